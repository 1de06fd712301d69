"""Plan: points and limits → the fewest reads a device stands.  Pure."""

from edge.plan.blocks import RawBlock, ReadBlock, plan

__all__ = ["RawBlock", "ReadBlock", "plan"]
