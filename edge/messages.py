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
    # poller: status
    "status_none": (
        "采集代理没有运行，或用的是别的 outbox：{path}。先看 systemctl status compound-edge。"
        " / no agent answers there; is it running with this configuration?"
    ),
    "status_denied": (
        "无权读取 {path}：请用采集代理的用户或 root 运行。"
        " / permission denied: run it as the agent's user"
    ),
    "status_agent": "采集代理 {agent}（{site}），已运行 {uptime}。 / agent, running for {uptime}",
    "status_outbox": (
        "待发 {rounds} 轮 {bytes} 字节，丢弃 {dropped} 轮，隔离 {quarantined} 行。"
        " / {rounds} rounds wait, {dropped} dropped, {quarantined} lines set aside"
    ),
    "status_push_good": "上送正常：{url}，{age} 前成功。 / pushing works",
    "status_push_new": "上送：{url}，尚未成功过。 / pushing: nothing delivered yet",
    "status_push_bad": "上送失败：{url}，{error}；上次成功 {age}。 / pushing fails",
    "status_stalled": "停滞的循环：{loops}。 / loops that do not move: {loops}",
    "status_buses": "总线 / buses",
    "status_bus_columns": (
        "总线 bus|周期 tick|占用 used|空等 lost|应答 p50/p99 ms|请求 requests"
        "|超时 / 校验错 / 重试 timeouts / CRC / retries|错过 / 让路 missed / shed"
    ),
    "status_devices": "设备 / devices",
    "status_device_columns": (
        "设备 device|总线 bus|状态 state|上次正常 last good|空等 lost|读数 values|原因 reasons"
    ),
    "breaker_closed": "正常 ok",
    "breaker_no_data": "无数据 no data",
    "breaker_half_open": "试探 probing",
    "breaker_open": "停读 suspended，{again}后再试",
    "status_holes": "缺寄存器 {count} 处 holes",
    "status_never": "从未 never",
    "reason_clock_unsynced": "时钟未校准",
    "reason_cross_check": "互校不符",
    "reason_counter_backward": "表底倒走",
    "reason_timeout": "无应答",
    "reason_refused": "连不上",
    "reason_protocol": "应答错乱",
    "reason_illegal_address": "无此寄存器",
    "reason_device_exception": "设备报异常",
    "reason_sentinel": "设备称无数据",
    "reason_implausible": "超出合理范围",
    "reason_not_finite": "非数值",
    "reason_bad_status": "数据源称坏",
    "reason_suspended": "停读中",
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
