"""Profile: YAML → DeviceProfile.  A device type is one file, and the file proves itself."""

from edge.profile.file import all_profiles, find_profile, known_refs, load_profile
from edge.profile.model import (
    Basis,
    DeviceProfile,
    Example,
    Pace,
    Part,
    PointSpec,
    Protocol,
    ReadLimits,
    Role,
    Sign,
)

__all__ = [
    "Basis",
    "DeviceProfile",
    "Example",
    "Pace",
    "Part",
    "PointSpec",
    "Protocol",
    "ReadLimits",
    "Role",
    "Sign",
    "all_profiles",
    "find_profile",
    "known_refs",
    "load_profile",
]
