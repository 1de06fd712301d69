"""Plan: points and limits → the fewest reads a device stands.  Pure."""

from edge.plan.blocks import (
    FEWEST_REQUESTS,
    Hole,
    RawBlock,
    ReadBlock,
    bisect,
    fingerprint,
    hole_of,
    plan,
)
from edge.plan.paces import DevicePlan, plan_paced, rotated, turns

__all__ = [
    "FEWEST_REQUESTS",
    "DevicePlan",
    "Hole",
    "RawBlock",
    "ReadBlock",
    "bisect",
    "fingerprint",
    "hole_of",
    "plan",
    "plan_paced",
    "rotated",
    "turns",
]
