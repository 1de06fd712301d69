"""The catalogue of metrics: API, console and report are made from this one list.

Every compute function takes MetricInputs and gives an Answer; what is not known is None with a
caveat, never zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType

import numpy as np

from server.factbook.book import FactRow
from server.factbook.workdays import minute_of_day
from server.metrics.answer import Answer
from server.metrics.cost import cost
from server.metrics.inputs import MetricInputs
from server.periods import day_of
from server.rollup.combine import mean_power_kw, total
from server.rollup.model import Grade, Rollup
from server.series import Values
from server.site.model import Carrier

NIGHT_END_MINUTE = 300  # the baseload window is 00:00 to 05:00 of the site's day
Compute = Callable[["Metric", MetricInputs], Answer]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the catalogue."""

    id: str
    label_zh: str
    label_en: str
    unit: str
    formula: str
    compute: Compute
    digits: int = 1


def compute(metric: str, inputs: MetricInputs) -> Answer:
    """Compute a metric of the catalogue; KeyError for an unknown id."""
    row = METRICS[metric]
    return row.compute(row, inputs)


def unknown(metric: Metric, inputs: MetricInputs, why: str) -> Answer:
    """Give the answer of a metric that is not known, and why."""
    return Answer(metric.id, inputs.interval, None, metric.unit, 0.0, Grade.MISSING, (why,))


def _caveats(coverage: float, grade: Grade) -> tuple[str, ...]:
    notes = []
    if coverage < 0.995:
        notes.append(f"数据完整率 {coverage:.1%}")
    if grade >= Grade.ESTIMATED:
        notes.append("含估算时段")
    return tuple(notes)


def _consumption(carrier: Carrier) -> Compute:
    def compute_total(metric: Metric, inputs: MetricInputs) -> Answer:
        r = inputs.rollup(carrier)
        if r is None:
            return unknown(metric, inputs, "无对应计量表")
        value, coverage, grade = total(r)
        return Answer(
            metric.id, inputs.interval, value, metric.unit, coverage, grade,
            _caveats(coverage, grade), _sources(inputs, carrier),
        )  # fmt: skip

    return compute_total


def _sources(inputs: MetricInputs, carrier: Carrier) -> tuple[str, ...]:
    return tuple(m.id for m in inputs.meters(carrier))


def _of_power(
    pick: Callable[[Rollup, Values, MetricInputs], tuple[float, str] | None],
) -> Compute:
    """Make a metric from the 15-minute mean power; intervals not fully seen are left out."""

    def compute_power(metric: Metric, inputs: MetricInputs) -> Answer:
        r = inputs.rollup(Carrier.ELECTRICITY)
        if r is None:
            return unknown(metric, inputs, "无对应计量表")
        is_seen = r.grades <= Grade.DERIVED
        power = np.where(is_seen, mean_power_kw(r), np.nan)
        picked = pick(r, power, inputs) if not np.isnan(power).all() else None
        if picked is None:
            return unknown(metric, inputs, "无实测时段")
        value, note = picked
        _, coverage, _ = total(r)
        grade = Grade(int(r.grades[is_seen].max()))
        caveats = (note, *_caveats(coverage, grade))
        return Answer(
            metric.id, inputs.interval, value, metric.unit, coverage, grade,
            caveats, _sources(inputs, Carrier.ELECTRICITY),
        )  # fmt: skip

    return compute_power


def _peak(r: Rollup, power: Values, inputs: MetricInputs) -> tuple[float, str] | None:
    at = int(np.nanargmax(power))
    local = datetime.fromtimestamp(int(r.edges_ms[at]) / 1000, UTC).astimezone(inputs.site.zone)
    return float(power[at]), f"出现于 {local:%Y-%m-%d %H:%M}"


def _baseload(r: Rollup, power: Values, inputs: MetricInputs) -> tuple[float, str] | None:
    night = minute_of_day(r.starts_ms, inputs.site) < NIGHT_END_MINUTE
    seen = power[night & ~np.isnan(power)]
    return (float(seen.mean()), "00:00–05:00 平均") if len(seen) else None


def _load_factor(_: Rollup, power: Values, __: MetricInputs) -> tuple[float, str] | None:
    peak = float(np.nanmax(power))
    return (float(np.nanmean(power)) / peak, "平均 ÷ 最大") if peak > 0 else None


def _divided(numerator: str, by: str) -> Compute:
    """Make a metric that divides another by area or people, and names the denominator."""

    def compute_ratio(metric: Metric, inputs: MetricInputs) -> Answer:
        top = compute(numerator, inputs)
        bottom = inputs.area_m2() if by == "area" else inputs.people()
        if top.value is None or not bottom:
            why = top.caveats[0] if top.value is None and top.caveats else "缺建筑面积或用能人数"
            return unknown(metric, inputs, why)
        named = f"建筑面积 {bottom:,.1f} m²" if by == "area" else f"用能人数 {bottom:,.0f} 人"
        return Answer(
            metric.id, inputs.interval, float(top.value) / bottom, metric.unit, top.coverage,
            top.grade, (*top.caveats, f"分母：{named}"), top.sources, top.facts,
        )  # fmt: skip

    return compute_ratio


def _by_factor(key: str) -> Compute:
    """Make a metric that multiplies the energy by the factor valid then."""

    def compute_equivalent(metric: Metric, inputs: MetricInputs) -> Answer:
        energy = compute("energy_kwh", inputs)
        fact = inputs.factbook.factor(key, _first_day(inputs), inputs.site.region)
        if energy.value is None or fact is None:
            return unknown(metric, inputs, "无电量" if fact else "无适用系数")
        note = f"系数 {fact.value} {fact.unit}（{fact.source}）" + _unverified(fact)
        return Answer(
            metric.id, inputs.interval, float(energy.value) * fact.value, metric.unit,
            energy.coverage, energy.grade, (*energy.caveats, note), energy.sources, (fact.id,),
        )  # fmt: skip

    return compute_equivalent


def _first_day(inputs: MetricInputs) -> date:
    return day_of(inputs.interval.start_ms, inputs.site.zone)


def _unverified(fact: FactRow) -> str:
    return "" if fact.verified else "，未核实"


def _coverage(metric: Metric, inputs: MetricInputs) -> Answer:
    meters = [m.id for m in inputs.site.meters if m.id in inputs.rollups]
    if not meters:
        return unknown(metric, inputs, "无读数")
    share = float(np.mean([total(inputs.rollups[m])[1] for m in meters]))
    return Answer(
        metric.id, inputs.interval, share * 100, metric.unit, share, Grade.MEASURED,
        (), tuple(meters),
    )  # fmt: skip


def _cost(carrier: Carrier) -> Compute:
    def compute_cost(metric: Metric, inputs: MetricInputs) -> Answer:
        return cost(metric.id, carrier, inputs) or unknown(metric, inputs, "无计量或无适用价格")

    return compute_cost


_KWH, _M3 = Carrier.ELECTRICITY, Carrier.WATER
METRICS: Mapping[str, Metric] = MappingProxyType({
    m.id: m
    for m in (
        Metric("energy_kwh", "用电量", "electricity", "kWh", "电能表止码 − 起码", _consumption(_KWH)),
        Metric("volume_m3", "用水量", "water", "m³", "水表止码 − 起码", _consumption(_M3)),
        Metric("peak_demand_kw", "最大需量（15分钟）", "peak demand", "kW", "max(15 分钟电量 ÷ 0.25 h)", _of_power(_peak)),
        Metric("baseload_kw", "夜间基础负荷", "baseload", "kW", "mean(00:00–05:00 功率)", _of_power(_baseload)),
        Metric("load_factor", "负荷率", "load factor", "1", "平均功率 ÷ 最大需量", _of_power(_load_factor), 2),
        Metric("energy_per_area_kwh_per_m2", "单位建筑面积电耗", "electricity per m²", "kWh/m²", "用电量 ÷ 建筑面积", _divided("energy_kwh", "area"), 2),
        Metric("energy_equivalent_kgce", "综合能耗（电，当量值）", "energy equivalent", "kgce", "用电量 × 折标系数；水不计入", _by_factor("kgce_per_kwh")),
        Metric("intensity_kgce_per_m2", "单位建筑面积能耗", "intensity per m²", "kgce/m²", "综合能耗 ÷ 建筑面积", _divided("energy_equivalent_kgce", "area"), 2),
        Metric("intensity_kgce_per_person", "人均综合能耗", "intensity per person", "kgce/人", "综合能耗 ÷ 用能人数", _divided("energy_equivalent_kgce", "people"), 1),
        Metric("carbon_kgco2", "碳排放", "carbon", "kgCO2", "用电量 × 电力排放因子", _by_factor("kgco2_per_kwh"), 0),
        Metric("carbon_per_area_kgco2_per_m2", "单位建筑面积碳排放", "carbon per m²", "kgCO2/m²", "碳排放 ÷ 建筑面积", _divided("carbon_kgco2", "area"), 2),
        Metric("water_per_person_m3", "人均用水量", "water per person", "m³/人", "用水量 ÷ 用水人数", _divided("volume_m3", "people"), 2),
        Metric("electricity_cost_yuan", "电费", "electricity cost", "元", "Σ 各时段电量 × 当时电价", _cost(_KWH), 0),
        Metric("water_cost_yuan", "水费", "water cost", "元", "用水量 × 当时水价", _cost(_M3), 0),
        Metric("data_coverage_percent", "数据完整率", "data coverage", "%", "应有读数时间 ÷ 已有", _coverage),
    )
})  # fmt: skip
