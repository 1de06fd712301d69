"""Apply: a new configuration is tried, and the last good one comes back by itself."""

from edge.apply.begin import begin, keep
from edge.apply.book import ConfigBook, Outcome, State, Trial, config_hash
from edge.apply.stage import LEAST_TRIAL_S, MAX_BYTES, Validate, stage, trial_s
from edge.apply.trial import watch

__all__ = [
    "LEAST_TRIAL_S",
    "MAX_BYTES",
    "ConfigBook",
    "Outcome",
    "State",
    "Trial",
    "Validate",
    "begin",
    "config_hash",
    "keep",
    "stage",
    "trial_s",
    "watch",
]
