"""Profile: YAML → DeviceProfile.  A device type is one file, and the file proves itself."""

from edge.profile.file import all_profiles, find_profile, known_refs, load_profile
from edge.profile.model import (
    Basis,
    DeviceProfile,
    Example,
    Pace,
    PointSpec,
    Protocol,
    ReadLimits,
)

__all__ = [
    "Basis",
    "DeviceProfile",
    "Example",
    "Pace",
    "PointSpec",
    "Protocol",
    "ReadLimits",
    "all_profiles",
    "find_profile",
    "known_refs",
    "load_profile",
]
