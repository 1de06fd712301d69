"""How codes are called on the pages."""

from contract.reading import Reason

REASONS = {
    Reason.GOOD: "正常",
    Reason.CLOCK_UNSYNCED: "时钟未校准",
    Reason.CROSS_CHECK: "互校不符",
    Reason.COUNTER_BACKWARD: "止码倒退",
    Reason.CLOCK_RESTAMPED: "时刻已补定",
    Reason.TIMEOUT: "无应答",
    Reason.REFUSED: "连接不上",
    Reason.PROTOCOL: "应答不符",
    Reason.ILLEGAL_ADDRESS: "寄存器不存在",
    Reason.DEVICE_EXCEPTION: "设备报错",
    Reason.SENTINEL: "设备标记无效",
    Reason.IMPLAUSIBLE: "超出合理范围",
    Reason.NOT_FINITE: "非数值",
    Reason.BAD_STATUS: "网关标记无效",
    Reason.SUSPENDED: "暂停读取",
    Reason.RATIO_UNKNOWN: "变比未知",
}
CARRIERS = {"electricity": "电", "water": "水"}
ROLES = {"main": "总表", "sub": "分表"}
DAY_STATES = {"published": "已公布", "estimated": "估计", "local": "本地规定"}
STALE_S = 30 * 60.0
SEVERITIES = {"severe": "严重", "warning": "警告", "notice": "提醒"}
CONDITIONS = {
    "pending": "待定", "firing": "进行中", "resolved": "已恢复", "lapsed": "未成立",
    "withdrawn": "已撤回",
}  # fmt: skip
WORKS = {
    "new": "未确认", "acknowledged": "已确认", "assigned": "已派单", "closed": "已关闭",
    "false_alarm": "误报",
}  # fmt: skip
ACTIONS = {
    "acknowledged": "确认", "assigned": "派单", "noted": "备注", "muted": "静默",
    "false_alarm": "误报", "closed": "关闭", "reopened": "重新打开",
}  # fmt: skip
PHASES = {
    **ACTIONS, "pending": "条件成立", "firing": "告警", "resolved": "恢复", "escalated": "逾期升级",
    "corrected": "更正", "reopened": "重新打开",
}  # fmt: skip
PROOFS = {"estimated": "估算", "verified": "已核实", "not_shown": "未见节约"}
WEEKDAYS = {
    "1": "一", "2": "二", "3": "三", "4": "四", "5": "五", "6": "六", "7": "日",
}  # fmt: skip
TAGS = {
    "irrigation": "绿化灌溉", "cooling-tower": "冷却塔", "round-the-clock": "昼夜用水",
    "fire": "消防", "lighting": "照明", "guard": "值班室", "server-room": "机房",
    "cold-store": "冷库", "no-ac-meter": "空调未单独计量", "outdoor": "室外",
    "saving-hour": "执行停开空调一小时",
}  # fmt: skip
KINDS = {
    "load_while_unoccupied": "无人时用电", "inferred_ac": "无人时空调（由总负荷推断）",
    "load_outside_hours": "非工作时段用电", "lit_by_day": "白天亮灯",
    "saving_hour": "停开空调一小时未执行", "setpoint": "温度设置超标", "sealed_use": "封存区域使用",
    "flow_never_zero": "流量从不为零", "night_flow": "夜间最小流量", "burst": "疑似爆管",
    "balance": "总分表不平", "night_baseload": "夜间基础负荷", "day_off_use": "节假日用电",
    "abnormal_day": "日用电异常", "target_pace": "目标进度", "demand": "需量与变压器负载",
    "power_factor": "功率因数", "phase_imbalance": "三相不平衡", "silent": "无数据",
    "frozen": "读数不变", "implausible": "读数不可信", "clock": "采集时钟偏差",
    "gate_silent": "门禁无数据",
}  # fmt: skip
# {name: (Chinese, unit)}; a name that ends in _minute is a time of day, one in _c °C
PARAMETERS = {
    "share_of_p90": ("占运行功率 P90 的比例", "%"), "share_of_ac": ("占空调负荷的比例", "%"),
    "share_of_median": ("占工作时段中位功率的比例", "%"),
    "share_of_mean": ("占平均流量的比例", "%"),
    "share_of_full": ("占满载功率的比例", "%"), "share_of_capacity": ("占变压器容量的比例", "%"),
    "share": ("偏离预期的比例", "%"), "share_a_degree": ("每度折算的用电比例", "%"),
    "least_share": ("至少占比", "%"), "most_share": ("最大占比", "%"),
    "floor_share": ("待机底数占比", "%"), "few_share": ("视为无人的比例（占日高峰）", "%"),
    "above_usual": ("高于往常的比例", "%"), "least_known": ("至少可判断比例", "%"),
    "margin": ("允许超出目标的比例", "%"), "times_floor": ("为夜间底数的倍数", "倍"),
    "times_p99": ("为 P99 流量的倍数", "倍"), "times_most": ("为额定上限的倍数", "倍"),
    "least_kw": ("至少功率", "kW"), "least_ac_kw": ("空调至少功率", "kW"),
    "least_kwh": ("至少电量", "kWh"), "least_m3_per_h": ("至少流量", "m³/h"),
    "least": ("至少用量", "kW 或 m³/h"), "least_drop": ("应降低的比例", "%"),
    "least_change": ("视为不变的最小变化", ""), "least_degrees": ("至少温差", "℃"),
    "cool_above_c": ("供冷起始温度", ""), "heat_below_c": ("供暖起始温度", ""),
    "summer_above_c": ("夏季判定温度", ""), "winter_below_c": ("冬季判定温度", ""),
    "cool_to_c": ("夏季室温不低于", ""), "heat_to_c": ("冬季室温不高于", ""),
    "ridge": ("回归正则系数", ""), "sigmas": ("离散倍数", "σ"), "sun_above": ("太阳高度角", "°"),
    "latitude": ("纬度", "°"), "longitude": ("经度", "°"), "few_persons": ("视为无人的人数", "人"),
    "still_min": ("无人进出满", "分钟"), "same_min": ("读数不变满", "分钟"),
    "evenings": ("傍晚也判断", "是否"), "days_off_by_calendar": ("休息日按日历判断", "是否"),
    "usual_percentile": ("往常取值分位", ""), "over_days": ("统计天数", "天"),
    "power_factor": ("功率因数", ""), "standard": ("功率因数标准", ""),
    "most_s": ("最大偏差", "秒"),
    "night_from_minute": ("夜间开始", ""), "night_to_minute": ("夜间结束", ""),
    "late_from_minute": ("深夜开始", ""), "late_to_minute": ("深夜结束", ""),
    "from_minute": ("时段开始", ""), "to_minute": ("时段结束", ""),
}  # fmt: skip
LEARNED = {
    "p90_kw": ("运行功率 P90", "kW"), "floor_kw": ("底数", "kW"), "ac_kw": ("空调负荷", "kW"),
    "floor_m3_per_h": ("夜间底数", "m³/h"), "full_kw": ("满载功率", "kW"),
    "work_kw": ("工作时段中位功率", "kW"), "work_kwh": ("工作日用电", "kWh"),
    "off_kwh": ("休息日用电", "kWh"), "kwh_per_cooling": ("每供冷度日", "kWh"),
    "kwh_per_heating": ("每供暖度日", "kWh"), "spread_kwh": ("离散", "kWh"),
    "usual_share": ("往常不平比例", "%"), "month_target": ("月目标", "kWh"),
}  # fmt: skip

POWER_UNITS = {"kWh": "kW", "m³": "m³/h"}
_NO_LIMIT = ("silent", "frozen", "implausible", "clock", "gate_silent")
_NO_AMOUNT = (*_NO_LIMIT, "power_factor", "target_pace", "phase_imbalance")


def is_limit_of_load(kind: str) -> bool:
    """Say whether a kind's threshold is one of the load or flow, in kW or m³/h."""
    return kind not in (*_NO_LIMIT, "power_factor", "target_pace")


def limit(kind: str, threshold: float | None, unit: str) -> str:
    """Say a threshold with what it is of; unit is the alert's, kWh or m³; — where there is none."""
    if threshold is None or kind in _NO_LIMIT:
        return "—"
    if kind == "power_factor":
        return f"功率因数 {threshold:.2f}"
    if kind == "target_pace":
        return f"本月累计 {threshold:,.1f} {unit}"
    return f"{threshold:.2f} {POWER_UNITS[unit]}"


def amount(kind: str, excess: float, unit: str) -> str:
    """Say what was used above the floor, kWh or m³; — for a kind that measures no amount."""
    return "—" if kind in _NO_AMOUNT else f"{excess:,.1f} {unit}"


def lasting(ms: int) -> str:
    """Say how long: 30 分钟, 24 小时, 48 小时 15 分钟."""
    hours, minutes = divmod(ms // 60_000, 60)
    said = [f" {hours} 小时"] if hours else []
    return "".join(said + ([f" {minutes} 分钟"] if minutes or not hours else []))
