"""Analysis: questions that pages, API and report ask; answered from rollups and state."""

from server.analysis.questions import Analysis, Period, slice_rollup

__all__ = ["Analysis", "Period", "slice_rollup"]
