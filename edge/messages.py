"""Every text the agent shows a person: Chinese first, English beside it."""

MESSAGES = {
    "config_bad": "配置有误，未启动。/ The configuration is wrong; nothing was started.",
    "problem": (
        "  {file} › {at}\n    应为 expected: {expected}\n"
        "    实为 got:      {got}\n    处理 fix:      {fix}"
    ),
    "config_good": "配置正确：{devices} 台设备，{connections} 条连接。/ Configuration is good.",
    "plan_title": "读取计划 / read plan",
    "plan_columns": (
        "设备 device|连接 connection|档案 profile|测点 points|请求 requests|寄存器 registers"
    ),
    "read_title": "现场读数 / live readings",
    "read_columns": "设备 device|被测量 measurand|数值 value|单位 unit|质量 quality",
    "no_device": "没有这台设备：{name}；已有 / no such device, known: {known}",
    "outbox_status": (
        "待发 {rounds} 轮，{bytes} 字节；累计丢弃 {dropped} 轮，隔离 {quarantined} 行。"
        " / {rounds} rounds wait, {dropped} dropped, {quarantined} lines set aside."
    ),
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
