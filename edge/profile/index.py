"""The generated pages of device_profiles/: index.md for people, profile.schema.json for editors."""

import json
from collections.abc import Sequence
from pathlib import Path

from edge.profile.model import DeviceProfile
from edge.profile.schema import ProfileFile

_HEAD = """# 设备档案 Device profiles

Made by `compound-edge profiles --write-index device_profiles`; do not edit.

| 档案 profile | 名称 title | 版本 variant | 协议 | 测点 points | 证据 evidence | 来源 sources |
|---|---|---|---|---|---|---|
"""


def index_text(profiles: Sequence[DeviceProfile]) -> str:
    """Give index.md."""
    rows = (
        f"| `{p.ref}` | {p.title} | {p.variant or '—'} | {p.protocol.value} | {len(p.points)} "
        f"| {p.evidence} | {'; '.join(p.sources)} |\n"
        for p in profiles
    )
    return _HEAD + "".join(rows)


def schema_text() -> str:
    """Give profile.schema.json."""
    schema = ProfileFile.model_json_schema()
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_index(folder: Path, profiles: Sequence[DeviceProfile]) -> None:
    """Write both files."""
    (folder / "index.md").write_text(index_text(profiles), "utf-8")
    (folder / "profile.schema.json").write_text(schema_text(), "utf-8")
