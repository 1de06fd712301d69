"""site check | show | diff | import | template: the site file and where it comes from."""

import argparse
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.tree import Tree

from contract.clock import SystemClock
from contract.errors import ConfigError, Problem
from server.cli.shared import add_command, message, show
from server.imports.site_table import with_ledger, with_meters, write_templates
from server.jobs.touched import changes_between
from server.periods import day_of
from server.rollup.places import counted_for, place_of
from server.site.file import check_document, load_site
from server.site.model import Carrier, Meter, MeterKind, Scope, Site, value_on
from server.yaml_file import read_mapping

KINDS = {
    MeterKind.REAL: "实表", MeterKind.VIRTUAL: "虚表", MeterKind.RESIDUAL: "差值",
    MeterKind.BILLED: "账单",
}  # fmt: skip


def add_site(commands: Any) -> None:
    """Add the commands."""
    group = commands.add_parser(
        "site", help="大院档案 / the site file",
        epilog="例 example: compound-server site check site.yaml",
    )  # fmt: skip
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    check = add_command(
        inner, "check", "检查档案 / check a site file", "site check site.yaml", _check
    )
    tree = add_command(
        inner, "show", "显示建筑与计量表 / show places and meters", "site show site.yaml", _show
    )
    for sub in (check, tree):
        sub.add_argument("file", type=Path)
    diff = add_command(
        inner, "diff", "比较两份档案 / compare two site files", "site diff old.yaml new.yaml", _diff
    )
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    take = add_command(
        inner, "import", "由台账与表单生成档案 / take over ledger and meter list (.xlsx, .csv)",
        "site import --into site.yaml --ledger 办公用房台账.xlsx --meters 计量表清单.xlsx"
        " --out new.yaml", _import,
    )  # fmt: skip
    take.add_argument("--into", type=Path, required=True, help="the site file to add to")
    take.add_argument("--ledger", type=Path)
    take.add_argument("--meters", type=Path)
    take.add_argument("--from", dest="start", type=date.fromisoformat, default=date(2015, 1, 1))
    take.add_argument("--out", type=Path, required=True, help="a new file; never overwritten")
    template = add_command(
        inner, "template", "生成 Excel 模板 / write the Excel templates",
        "site template --out 模板", _template,
    )  # fmt: skip
    template.add_argument("--out", type=Path, required=True, help="a folder")


def _check(args: argparse.Namespace) -> int:
    site = load_site(args.file)
    message(
        "site_good", buildings=len(site.compound_buildings), meters=len(site.meters),
        ledger=len(site.buildings_in(Scope.LEDGER)), areas=len(site.areas),
    )  # fmt: skip
    return 0


def _show(args: argparse.Namespace) -> int:
    site = load_site(args.file)
    today = day_of(SystemClock().now_ms(), site.zone)
    root = Tree(f"{site.name}  {_totals(site, site.id)}")
    for meter in (m for m in site.meters if m.building == site.id and m.parent is None):
        _add_meter(root, site, meter)
    for building in site.buildings:
        area, people = value_on(building.area_m2, today), value_on(building.people, today)
        facts = f"{_number(area)} m²  {_number(people)} 人"
        scope = "  [台账]" if building.scope is Scope.LEDGER else ""
        total = _totals(site, building.id)
        node = root.add(f"{building.name} ({building.id})  {facts}{scope}  {total}")
        for a in (a for a in site.areas if a.building == building.id):
            sealed = (
                "  封存"
                if any(s <= today and (e is None or today < e) for s, e in a.sealed)
                else ""
            )
            node.add(f"区域 {a.name} ({a.id}){sealed}  {_totals(site, a.id)}")
        for meter in (m for m in site.meters if m.building == building.id):
            parent = meter.parent
            if parent is None or site.meter(parent).building != building.id:
                _add_meter(node, site, meter)
    Console(highlight=False, soft_wrap=True).print(root, markup=False)
    return 0


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.10g}"


def _totals(site: Site, place: str) -> str:
    parts = []
    for carrier, sign in ((Carrier.ELECTRICITY, "电"), (Carrier.WATER, "水")):
        keys = counted_for(site, place, carrier)
        if keys:
            shown = [k if place_of(k) is None else f"{k.split(':')[0]}(合计)" for k in keys]
            parts.append(f"{sign} = {' + '.join(shown)}")
    return "；".join(parts)


def _add_meter(node: Tree, site: Site, meter: Meter) -> None:
    details = [KINDS[meter.kind], meter.end_use]
    if meter.kind is MeterKind.REAL:
        details.append(f"{meter.point_device}/{meter.measurand}")
    if meter.expression is not None:
        shares = " + ".join(f"{float(s):g}×{m}" for m, s in meter.expression.shares)
        load = f" + {float(meter.expression.load):g} kW" if meter.expression.load else ""
        details.append(f"= {shares}{load}")
    if meter.of is not None:
        details.append(f"= {meter.of} − 其下各表")
    details += [f"倍率 {r.value:g}" for r in meter.ratios[-1:]]
    details += [f"换表 {len(meter.replacements)} 次"] if meter.replacements else []
    inner = node.add(f"{meter.id} {meter.name}  " + "  ".join(details))
    for below in (m for m in site.meters if m.parent == meter.id):
        if below.building == meter.building:
            _add_meter(inner, site, below)


def _diff(args: argparse.Namespace) -> int:
    old, new = read_mapping(args.old), read_mapping(args.new)
    before, after = check_document(args.old, old), check_document(args.new, new)
    rows = [*_document_changes(old, new)]
    show("档案差异 / differences", "对象 object|键 key|原 before|现 after", rows)
    zone = after.zone
    windows = [
        (meter or "（计算表与合计）", "全部 all" if at <= 0 else str(
            datetime.fromtimestamp(at / 1000, zone).strftime("%Y-%m-%d %H:%M")), why)
        for meter, at, why in changes_between(before, after)
    ]  # fmt: skip
    show("将重算 / to be computed again", "表 meter|自 from|原因 why", windows)
    return 0


def _document_changes(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, str, str, str]]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if not _is_named(before) or not _is_named(after):
            yield key, "", _short(before), _short(after)
            continue
        was = {row["id"]: row for row in before or []}
        now = {row["id"]: row for row in after or []}
        for name in sorted(was.keys() | now.keys()):
            one, two = was.get(name), now.get(name)
            if one is None or two is None:
                yield f"{key}.{name}", "", _short(one), _short(two)
                continue
            for field in sorted(one.keys() | two.keys()):
                if one.get(field) != two.get(field):
                    yield f"{key}.{name}", field, _short(one.get(field)), _short(two.get(field))


def _is_named(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(r, dict) and "id" in r for r in value)
    )


def _short(value: Any) -> str:
    text = "—" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _import(args: argparse.Namespace) -> int:
    if args.out.exists():
        fix = "give another name; look at the difference with site diff, then replace it yourself"
        raise ConfigError([Problem(str(args.out), "--out", "a new file", "it exists", fix)])
    document = read_mapping(args.into)
    if args.ledger:
        document = with_ledger(document, args.ledger, args.start)
    if args.meters:
        document = with_meters(document, args.meters)
    site = check_document(args.out, document)
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    args.out.write_text(text, "utf-8")
    message("site_written", path=args.out, meters=len(site.meters), buildings=len(site.buildings))
    return 0


def _template(args: argparse.Namespace) -> int:
    for path in write_templates(args.out):
        message("template_written", path=path)
    return 0
