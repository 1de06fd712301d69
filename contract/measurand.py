"""The closed table of physical quantities: name, 中文, canonical unit, kind, plausible range.

A measurand's name ends in its canonical unit and is the field name on the wire.  Nothing outside
this table can be read, sent or stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """How values of a measurand behave over time."""

    GAUGE = "gauge"  # an instantaneous value
    COUNTER = "counter"  # cumulative; only differences mean anything
    STATE = "state"  # a number that stands for a condition


class Medium(StrEnum):
    """The measurement (line-protocol sense) a measurand is written to."""

    ELECTRICITY = "electricity"
    WATER = "water"
    ACCESS = "access"
    ENVIRONMENT = "environment"
    AGENT = "agent"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Measurand:
    """One physical quantity in its canonical unit; `low <= value <= high` is plausible."""

    name: str
    label_zh: str
    unit: str
    kind: Kind
    medium: Medium
    low: float
    high: float

    def is_plausible(self, value: float) -> bool:
        """Say whether a value in the canonical unit lies in the plausible range."""
        return self.low <= value <= self.high


_PHASES = (("l1", "A相"), ("l2", "B相"), ("l3", "C相"))
_COUNTER_MAX = 1.0e9


def _electricity() -> list[Measurand]:
    m, g, c = Medium.ELECTRICITY, Kind.GAUGE, Kind.COUNTER
    rows = [
        Measurand("energy_import_kwh", "正向有功电能", "kWh", c, m, 0, _COUNTER_MAX),
        Measurand("energy_export_kwh", "反向有功电能", "kWh", c, m, 0, _COUNTER_MAX),
        Measurand("energy_total_kwh", "组合有功电能", "kWh", c, m, 0, _COUNTER_MAX),
        Measurand("reactive_energy_import_kvarh", "正向无功电能", "kvarh", c, m, 0, _COUNTER_MAX),
        Measurand("reactive_energy_export_kvarh", "反向无功电能", "kvarh", c, m, 0, _COUNTER_MAX),
        Measurand("power_kw", "有功功率", "kW", g, m, -20_000, 20_000),
        Measurand("reactive_power_kvar", "无功功率", "kvar", g, m, -20_000, 20_000),
        Measurand("apparent_power_kva", "视在功率", "kVA", g, m, 0, 25_000),
        Measurand("power_factor", "功率因数", "1", g, m, -1.0, 1.0),
        Measurand("frequency_hz", "频率", "Hz", g, m, 45, 55),
        Measurand("demand_kw", "需量", "kW", g, m, -20_000, 20_000),
        Measurand("current_neutral_a", "零线电流", "A", g, m, 0, 20_000),
    ]
    for key, zh in _PHASES:
        rows += [
            Measurand(f"voltage_{key}_v", f"{zh}电压", "V", g, m, 0, 23_400),
            Measurand(f"current_{key}_a", f"{zh}电流", "A", g, m, -20_000, 20_000),
            Measurand(f"power_{key}_kw", f"{zh}有功功率", "kW", g, m, -20_000, 20_000),
            Measurand(f"power_factor_{key}", f"{zh}功率因数", "1", g, m, -1.0, 1.0),
        ]
    rows += [
        Measurand(f"voltage_{key}_v", f"{zh}线电压", "V", g, m, 0, 40_500)
        for key, zh in (("l12", "AB"), ("l23", "BC"), ("l31", "CA"))
    ]
    return rows


def _others() -> list[Measurand]:
    g, c, s = Kind.GAUGE, Kind.COUNTER, Kind.STATE
    water, access, env = Medium.WATER, Medium.ACCESS, Medium.ENVIRONMENT
    return [
        Measurand("volume_m3", "正向累计水量", "m³", c, water, 0, 1.0e8),
        Measurand("volume_reverse_m3", "反向累计水量", "m³", c, water, 0, 1.0e8),
        Measurand("flow_m3_per_h", "瞬时流量", "m³/h", g, water, -5_000, 5_000),  # DN 600, 5 m/s
        Measurand("water_temperature_c", "水温", "°C", g, water, -10, 110),
        Measurand("water_pressure_mpa", "水压", "MPa", g, water, 0, 4),  # PN 40
        Measurand("pipe_state", "管道状态", "1", s, water, 0, 65_535),
        Measurand("door_in_total", "进入累计人次", "persons", c, access, 0, 4_294_967_295),
        Measurand("door_out_total", "离开累计人次", "persons", c, access, 0, 4_294_967_295),
        Measurand("people_now", "在场人数", "persons", g, access, 0, 100_000),
        Measurand("device_ok", "设备正常", "1", s, access, 0, 1),
        Measurand("temperature_c", "温度", "°C", g, env, -50, 80),
        Measurand("setpoint_c", "设定温度", "°C", g, env, 5, 40),
        Measurand("humidity_percent", "相对湿度", "%", g, env, 0, 100),
        Measurand("co2_ppm", "二氧化碳", "ppm", g, env, 0, 20_000),
        Measurand("illuminance_lux", "照度", "lux", g, env, 0, 200_000),
    ]


def _agent() -> list[Measurand]:
    g, c, a, d = Kind.GAUGE, Kind.COUNTER, Medium.AGENT, Medium.DELIVERY
    big = 1.0e15
    return [
        Measurand("outbox_rounds", "待发轮次", "1", g, a, 0, big),
        Measurand("outbox_bytes", "待发字节", "B", g, a, 0, big),
        Measurand("outbox_dropped", "丢弃轮次", "1", c, a, 0, big),
        Measurand("outbox_quarantined", "隔离行数", "1", c, a, 0, big),
        Measurand("polls_total", "读取次数", "1", c, a, 0, big),
        Measurand("poll_errors_total", "读取失败次数", "1", c, a, 0, big),
        Measurand("push_failures_total", "上送失败次数", "1", c, a, 0, big),
        Measurand("uptime_s", "运行时长", "s", g, a, 0, big),
        # of a bus, as the device `<agent>.<bus>`
        Measurand("bus_utilisation_percent", "总线占用率", "%", g, a, 0, 100),
        Measurand("bus_lost_s", "总线等待无应答耗时", "s", c, a, 0, big),
        Measurand("bus_requests_total", "总线请求次数", "1", c, a, 0, big),
        Measurand("bus_retries_total", "总线重试次数", "1", c, a, 0, big),
        Measurand("bus_timeouts_total", "总线超时次数", "1", c, a, 0, big),
        Measurand("bus_crc_errors_total", "总线校验错误次数", "1", c, a, 0, big),
        Measurand("bus_latency_p50_ms", "总线应答时间中位数", "ms", g, a, 0, big),
        Measurand("bus_latency_p99_ms", "总线应答时间99分位", "ms", g, a, 0, big),
        Measurand("bus_reads_shed_total", "因超时让路的读取次数", "1", c, a, 0, big),
        Measurand("slots_missed_total", "错过时刻数", "1", c, a, 0, big),
        # of a device, under its own name
        Measurand("device_breaker_state", "设备熔断状态", "1", Kind.STATE, a, 0, 2),
        Measurand("device_last_good_age_s", "距上次正常读数", "s", g, a, 0, big),
        Measurand("device_lost_s", "等待设备无应答耗时", "s", c, a, 0, big),
        Measurand("sequence_first", "首序号", "1", g, d, 0, big),
        Measurand("sequence_last", "末序号", "1", g, d, 0, big),
        Measurand("oldest_ms", "最早读数时刻", "ms", g, d, 0, big),
        Measurand("newest_ms", "最晚读数时刻", "ms", g, d, 0, big),
        Measurand("readings_sent", "读数条数", "1", g, d, 0, big),
        # fleet: what the server proves deliveries and shows agents by; said by outbox,
        Measurand("outbox_id", "存储编号", "1", g, d, 0, big),
        Measurand("sequence_next", "下一序号", "1", g, d, 0, big),
        Measurand("dropped_first", "丢弃首序号", "1", g, d, 0, big),
        Measurand("dropped_last", "丢弃末序号", "1", g, d, 0, big),
        Measurand("dropped_readings", "丢弃读数条数", "1", g, d, 0, big),
        Measurand("quarantined_sequence", "隔离行所在序号", "1", g, d, 0, big),
        Measurand("quarantined_lines", "隔离行数", "1", g, d, 0, big),
        Measurand("queued_first", "待发首序号", "1", g, d, 0, big),
        Measurand("queued_last", "待发末序号", "1", g, d, 0, big),
        Measurand("queued_parcels", "待发批数", "1", g, d, 0, big),
        Measurand("outbox_in_ram", "仅存于内存", "1", Kind.STATE, a, 0, 1),
        # by clock,
        Measurand("clock_known", "时钟已校准", "1", Kind.STATE, a, 0, 1),
        Measurand("clock_offset_s", "服务器时间减本机时间", "s", g, a, -big, big),
        Measurand("clock_steps_total", "时钟跳变次数", "1", c, a, 0, big),
        # and by the host
        Measurand("cpu_temperature_c", "处理器温度", "°C", g, a, -40, 150),
        Measurand("host_undervoltage_state", "供电电压不足", "1", Kind.STATE, a, 0, 2),
        Measurand("boot_uptime_s", "主机运行时长", "s", g, a, 0, big),
        Measurand("flash_written_bytes_total", "代理写盘字节", "B", c, a, 0, big),
        Measurand("agent_version", "代理版本", "1", Kind.STATE, a, 0, big),
        Measurand("config_hash", "配置指纹", "1", Kind.STATE, a, 0, 2.0**48),
        Measurand("config_serial", "配置序号", "1", Kind.STATE, a, 0, big),
    ]


MEASURANDS: Mapping[str, Measurand] = MappingProxyType(
    {m.name: m for m in (*_electricity(), *_others(), *_agent())}
)
