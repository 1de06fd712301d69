"""profiles: the device types that are shipped."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.cli.shared import add_command
from edge.profile import DeviceProfile, all_profiles


def add_profiles(commands: Any) -> None:
    """Add the commands of this module."""
    text = "列出设备档案 / list device profiles"
    sub = add_command(commands, "profiles", text, "profiles --json", _profiles)
    sub.add_argument("--json", action="store_true", help="逐点列出 / every point of every profile")
    sub.add_argument("--write-index", type=Path, metavar="FOLDER", help="写索引 / write the index")


def _profiles(args: argparse.Namespace) -> int:
    profiles = all_profiles()
    if args.write_index is not None:
        from edge.profile.index import write_index

        write_index(args.write_index, profiles)
    rows = [row for p in profiles for row in _point_rows(p)]
    if args.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return 0
    table = Table("档案 profile", "名称 title", "测点 points", "证据 evidence")
    for p in profiles:
        table.add_row(p.ref, p.title, str(len(p.points)), p.evidence)
    Console().print(table)
    return 0


def _point_rows(profile: DeviceProfile) -> list[dict[str, object]]:
    return [
        {
            "maker": profile.maker,
            "model": profile.model,
            "variant": profile.variant,
            "protocol": profile.protocol.value,
            "measurand": p.measurand,
            "function": p.function or None,
            "address": p.address if p.function else None,
            "words": p.words or None,
            "type": p.type or None,
            "parts": [f"{x.role} {x.type} {x.order} +{x.at} x{x.scale}" for x in p.parts],
            "mask": p.mask or None,
            "word_order": None
            if not p.type
            else "big"
            if p.order in {"ABCD", "BADC"}
            else "little",
            "byte_order": None
            if not p.type
            else "big"
            if p.order in {"ABCD", "CDAB"}
            else "little",
            "scale_to_canonical": p.scale_to_canonical,
            "unit": p.canonical_unit,
            "offset_canonical": float(p.offset_canonical),
            "basis": p.basis.value,
            "pace": p.pace.value,
            "needs": list(p.needs),
            "wrap": None if p.wrap is None else float(p.wrap),
            "node": p.node or None,
        }
        for p in profile.points
    ]
