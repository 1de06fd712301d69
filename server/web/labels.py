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
