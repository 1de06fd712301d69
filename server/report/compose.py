"""Composes the energy section: three runs of text, then tables, then where it all comes from.

The voice is that of the yearly self-evaluation reports: paired four-character phrases, then
facts.  Nothing is invented: a missing number or fact is a marked gap.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from server.delivery import Proof, Why
from server.factbook.workdays import ESTIMATED
from server.messages import say
from server.metrics.catalogue import METRICS
from server.report.facts import AlertStatistic, ReportInputs
from server.report.model import Block, Heading, Paragraph, Report, TableBlock
from server.report.writer import Writer
from server.rollup.model import Grade
from server.site.model import value_on

GRADES = {
    Grade.MEASURED: "实测", Grade.DERIVED: "推算", Grade.ALLOCATED: "分摊",
    Grade.ESTIMATED: "含估算", Grade.MANUAL: "人工录入", Grade.MISSING: "缺",
}  # fmt: skip
INDICATORS = (
    "energy_kwh", "volume_m3", "energy_equivalent_kgce", "energy_per_area_kwh_per_m2",
    "intensity_kgce_per_m2", "intensity_kgce_per_person", "water_per_person_m3", "carbon_kgco2",
    "carbon_per_area_kgco2_per_m2", "electricity_cost_yuan", "water_cost_yuan",
    "peak_demand_kw", "baseload_kw",
)  # fmt: skip
WAN = 10_000


def compose(inputs: ReportInputs) -> Report:
    """Give the energy section of a year's report."""
    w = Writer(inputs)
    site = inputs.site
    blocks: list[Block] = [
        Heading(2, "（五）公共机构节能工作开展情况"),
        Paragraph(_leadership(w), "一是加强领导，压实责任。"),
        Paragraph(_results(w), "二是精细管理，注重实效。"),
        Paragraph(_wastes(w), ""),
        Paragraph(_publicity(w), "三是深入宣传，示范带动。"),
        _indicators(w),
        _buildings(w),
        _end_uses(w),
        _alerts(w),
        Heading(3, "数据来源与口径说明"),
        *(Paragraph(text) for text in _sources(w)),
    ]
    if not inputs.is_whole_year:
        w.gap(f"{_day(inputs.last_on)}之后的数据（年度未结束）")
    title = f"{site.organization}\n{inputs.year}年度自评报告（节能部分）"
    span = f"统计期间：{_day(inputs.first_on)}至{_day(inputs.last_on)}"
    parts = tuple(w.missing), tuple(w.trace), frozenset(w.slots)
    return Report(title, span, tuple(blocks), *parts)


def _leadership(w: Writer) -> str:
    return (
        f"把公共机构节能纳入年度重点工作统筹推进，{w.slot('节能工作部署情况（会议、文件）')}。"
        f"{w.slot('节能管理制度与责任分工')}。依托大院能源监测系统，对{len(w.inputs.site.compound_buildings)}处"
        f"建筑和公共区域的用电、用水实行分户、分区、分项计量，在线计量表{len(w.inputs.site.meters)}块，"
        f"统计期内数据完整率{w.number(w.inputs.answers.get('data_coverage_percent'), '数据完整率', 1)}%，"
        "做到用能有计量、变化有记录、浪费有告警。"
    )


def _results(w: Writer) -> str:
    a = w.inputs.answers
    until = (
        ""
        if w.inputs.is_whole_year
        else f"（截至{w.inputs.last_on.month}月{w.inputs.last_on.day}日）"
    )
    parts = "、".join(
        f"{e.name}{w.number(e.answer, e.name + '用电量', 2, WAN)}万千瓦时"
        for e in w.inputs.end_uses
    )
    return (
        f"{w.inputs.year}年{until}大院用电{w.number(a.get('energy_kwh'), '用电量', 2, WAN)}万千瓦时，"
        f"{w.compared('energy_kwh')}；用水{w.number(a.get('volume_m3'), '用水量', 0)}立方米，"
        f"{w.compared('volume_m3')}。其中{parts}。单位建筑面积电耗"
        f"{w.number(a.get('energy_per_area_kwh_per_m2'), '单位建筑面积电耗', 2)}千瓦时/平方米，"
        f"单位建筑面积能耗{w.number(a.get('intensity_kgce_per_m2'), '单位建筑面积能耗', 2)}千克标准煤/平方米，"
        f"人均综合能耗{w.number(a.get('intensity_kgce_per_person'), '人均综合能耗', 1)}千克标准煤/人，"
        f"人均用水{w.number(a.get('water_per_person_m3'), '人均用水量', 2)}立方米/人，"
        f"用电产生的碳排放{w.number(a.get('carbon_kgco2'), '碳排放', 1, 1000)}吨。"
        f"按计量和电价时段测算，电费{w.number(a.get('electricity_cost_yuan'), '电费', 2, WAN)}万元、"
        f"水费{w.number(a.get('water_cost_yuan'), '水费', 2, WAN)}万元。"
        f"全院15分钟最大需量{w.number(a.get('peak_demand_kw'), '最大需量', 1)}千瓦，"
        f"夜间基础负荷{w.number(a.get('baseload_kw'), '夜间基础负荷', 1)}千瓦。"
    )


def _wastes(w: Writer) -> str:
    found = [s for s in w.inputs.alerts if s.count]
    if not found:
        return "统计期内监测系统未发现“无人空调”“长明灯”“长流水”告警。"
    texts = "；".join(
        f"“{s.title}”{s.count}起、累计{s.hours:,.0f}小时，多用{_quantity(s)}"
        + (f"，折合{s.yuan:,.0f}元" if s.yuan is not None else "")
        for s in found
    )
    resolved, count = sum(s.resolved for s in found), sum(s.count for s in found)
    return (
        f"针对浪费现象，监测系统结合门禁人数、工作日历与回路负荷逐项识别：{texts}。"
        f"上述{count}起告警中已恢复正常{resolved}起。以上多用电量、水量按告警规则所列基线测算，属估算值。"
    )


def _quantity(s: AlertStatistic) -> str:
    return f"{s.excess:,.0f}{'千瓦时' if s.unit == 'kWh' else '立方米'}"


def _publicity(w: Writer) -> str:
    return (
        f"{w.slot('节能宣传周与全国低碳日活动（时间、主题、内容）')}。"
        f"{w.slot('反食品浪费与绿色办公活动')}。{w.slot('节约型机关创建数量与所获荣誉')}。"
    )


def _indicators(w: Writer) -> TableBlock:
    rows = []
    for name in INDICATORS:
        m, a = METRICS[name], w.inputs.answers.get(name)
        then = w.inputs.previous.get(name)
        usable = then is not None and then.coverage >= 0.9
        rows.append(
            (
                m.label_zh,
                m.unit,
                _target(w, m.label_zh),
                w.plain(a, m.digits),
                w.plain(then, m.digits) if usable else "—",
                w.change(name) or "—",
                f"{a.coverage:.1%}" if a is not None and a.value is not None else "—",
                GRADES[a.grade] if a is not None else "缺",
            )
        )
    if any(r[2] == "【待填】" for r in rows):
        w.gap("各项指标年度目标值")
    header = ("指标", "单位", "目标值", "实际值", "上年同期", "同比", "完整率", "等级")
    note = "注：“—”表示无可比数据，不按零计；水不计入综合能耗；电力折标采用当量值。"
    return TableBlock(
        "表1 能源资源消费指标完成情况表",
        "",
        header,
        tuple(rows),
        note,
        (3, 1.6, 1.75, 2.3, 1.6, 1.1, 1.4, 1.1),
    )


def _target(w: Writer, label: str) -> str:
    name = f"目标值：{label}"
    w.slots.add(name)
    return w.inputs.entered.get(name, "【待填】")


def _buildings(w: Writer) -> TableBlock:
    rows = []
    for b in w.inputs.site.compound_buildings:
        a = w.inputs.buildings[b.id]
        rows.append(
            (
                b.name,
                w.plain(a.get("energy_kwh"), 0),
                w.plain(a.get("volume_m3"), 0),
                w.plain(a.get("energy_per_area_kwh_per_m2"), 1),
                w.plain(a.get("peak_demand_kw"), 1),
                w.plain(a.get("baseload_kw"), 1),
            )
        )
    header = ("建筑", "用电量 kWh", "用水量 m³", "电耗 kWh/m²", "最大需量 kW", "夜间负荷 kW")
    return TableBlock("表2 各建筑用能情况", "", header, tuple(rows))


def _end_uses(w: Writer) -> TableBlock:
    whole = w.inputs.answers.get("energy_kwh")
    total = float(whole.value) if whole is not None and whole.value else 0.0
    rows = [
        (e.code, e.name, w.plain(e.answer, 0), _share(e.answer.value, total))
        for e in w.inputs.end_uses
    ]
    known = sum(float(e.answer.value) for e in w.inputs.end_uses if e.answer.value is not None)
    if total:
        rest = round(total - known) + 0.0  # the meters' own steps leave a few kWh either way
        rows.append(("—", "未分项及损耗", f"{rest:,.0f}", _share(rest, total)))
        rows.append(("01000", "合计", w.plain(whole, 0), "100.0%"))
    header = ("编码", "分项", "用电量 kWh", "占比")
    note = "注：未单独计量的分体空调用电计入照明插座分项。"
    return TableBlock("表3 分项用电情况", "", header, tuple(rows), note)


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _share(part: float | Decimal | None, total: float) -> str:
    return "—" if part is None or not total else f"{float(part) / total:.1%}"


def _alerts(w: Writer) -> TableBlock:
    rows = tuple(
        (
            s.title,
            f"{s.count}",
            f"{s.resolved}",
            f"{s.hours:,.0f}",
            f"{s.excess:,.0f} {s.unit}",
            "—" if s.yuan is None else f"{s.yuan:,.0f}",
            "、".join(s.places) or "—",
        )
        for s in w.inputs.alerts
    )
    header = ("类型", "起数", "已恢复", "时长 h", "多用量（估算）", "折合 元", "涉及建筑")
    return TableBlock(
        "表4 浪费告警统计", "", header, rows, widths=(1.6, 0.9, 1.2, 1.2, 2.2, 1.4, 4.2)
    )


def _sources(w: Writer) -> list[str]:
    i = w.inputs
    facts = sorted({f for t in w.trace for f in t.answer.facts})
    sealed = i.site.sealed_m2(i.last_on)
    area = sum(value_on(b.area_m2, i.last_on) or 0.0 for b in i.site.compound_buildings) - sealed
    people = sum(value_on(b.people, i.last_on) or 0.0 for b in i.site.compound_buildings)
    calendar = (
        "部分日期的工作日安排尚未公布，按法定节假日估计"
        if ESTIMATED in i.calendar_states
        else "工作日按国务院公布的安排（含调休）"
    )
    return [
        f"1. 统计范围为大院在线计量范围（{i.site.name}），不含全县其他办公用房；两种口径不混用。",
        f"2. 分母：建筑面积{area:,.1f} m²，用能人数{people:,.0f}人，均取统计期末有效值，已扣除封存面积{sealed:,.1f} m²。",
        "3. 用量为计量表止码减起码，断线与复位时段按前后读数分摊并标为估算；缺数不按零计。",
        f"4. 采用的系数与价格行：{'、'.join(_fact(w, f) for f in facts) or '无'}。",
        f"5. {calendar}。",
        *([f"6. {_deliveries(i.deliveries)}。"] if i.deliveries else []),
    ]


def _deliveries(proofs: Sequence[Proof]) -> str:
    """Say whether everything that agents gave out for the span arrived."""
    whole = sum(p.is_complete for p in proofs)
    if whole == len(proofs):
        return f"送达：{len(proofs)}个采集代理发出的数据批经序号核对全部入库"
    found = [f for p in proofs for f in p.findings]
    parts = []
    for why in reversed(Why):
        mine = [f for f in found if f.why is why]
        if mine:
            parcels = sum(f.parcels or 0 for f in mine)
            parts.append(f"{say(f'why_{why}')}{len(mine)}段（{parcels:,}个数据批未到）")
    return f"送达：{len(proofs)}个采集代理中{whole}个经序号核对全部入库；其余{'，'.join(parts)}"


def _fact(w: Writer, fact_id: str) -> str:
    rows = {f.id: (f.source, f.verified) for f in w.inputs.factbook.factors}
    rows |= {t.id: (t.source, t.verified) for t in w.inputs.factbook.tariffs}
    source, verified = rows[fact_id]
    return f"{fact_id}（{source}{'' if verified else '，未核实'}）"
