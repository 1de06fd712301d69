"""Budget: does a bus have the time for what is asked of it?  Pure: files and numbers, no wire."""

from edge.budget.bus import RESERVE, BusBudget, DeviceLoad, bus_budgets, plan_of
from edge.budget.check import refusals, warnings
from edge.budget.line import LineCost, line_of

__all__ = [
    "RESERVE",
    "BusBudget",
    "DeviceLoad",
    "LineCost",
    "bus_budgets",
    "line_of",
    "plan_of",
    "refusals",
    "warnings",
]
