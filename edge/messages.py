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
    # plan: budgets and the plan that `check` prints
    "budget_expected": "一轮不超过 a round within {tick:g} s，应留 keeping {reserve:.0%} free",
    "budget_got": "{s:.2f} s ({share:.0%}), {count} 台 devices: {total}; {why}",
    "budget_requests": "{count} 次请求 requests × {ms:.1f} ms",
    "budget_registers": "{count} 寄存器 registers × {ms:.3f} ms",
    "budget_pauses": "停顿 pauses {s:.2f} s",
    "budget_slow": "慢速 slow reads {s:.2f} s",
    "budget_request": (
        "一次请求 a request: {characters} 字符 characters × {character:.3f} ms ({baud} baud)"
        " + 应答 turnaround_ms {turnaround:.1f} + 静默 silence {between:.1f} ms"
    ),
    "budget_request_tcp": "一次请求 a request: 应答 turnaround_ms {turnaround:.1f}",
    "fix_interval_s": "任选其一 any one of: interval_s ≥ {s:g}",
    "fix_intervals": "任选其一 any one of: intervals × {times:.2f} (最短 shortest ≥ {s:g} s)",
    "fix_baud": "波特率 baud ≥ {baud} ({s:.2f} s)",
    "fix_no_baud": "提高波特率不够 no baud is enough ({baud}: {s:.2f} s)",
    "fix_devices": (
        "本线至多前 {fitting} 台（共 {count}），或分到 {lines} 条线"
        " the first {fitting} of {count} devices here, or spread over {lines} lines"
    ),
    "fix_no_devices": "单独一台也放不下 some device does not fit on a line of its own",
    "fix_points": (
        "用 points 减到每台一次请求、至多 {registers} 个寄存器"
        " points: one request a device of at most {registers} registers"
    ),
    "fix_no_points": "每台只读一次也放不下 not even one request a device fits",
    "warn_unused": "连接 {name} 上没有设备 / no device on connection {name}",
    "warn_reserve": (
        "{name}: 一轮 {busiest:.2f} s，占 {tick:g} s 的 {share:.0%}，余量不足 {reserve:.0%}"
        " / less than {reserve:.0%} of a round is free; {fix}"
    ),
    "warn_worst": (
        "{name}: 若有一台不应答，一轮 {worst:.2f} s 超过 {tick:g} s，会漏读；可缩短 timeout_s"
        " / one silent device makes a round overrun; a shorter timeout_s helps"
    ),
    "warn_line_baud": (
        "{name}: 未给 line_baud，串口服务器后面的线速未计入预算"
        " / line_baud is not given: the line behind the server is not in the budget"
    ),
    "warn_serial": (
        "{names}: {profile} 出厂为 {factory}，线路为 {line}；请改表或改线路设置"
        " / factory settings differ from the line's"
    ),
    "warn_timeout": (
        "{names}: {profile} 可能要等 {wanted:g} s，连接的 timeout_s 只有 {given:g}"
        " / the connection waits less than the profile asks for"
    ),
    "warning": "注意 warning: {text}",
    "blocks_columns": (
        "设备 device|连接 connection|档案 profile|频度 pace|周期 every s"
        "|请求 requests|测点 points|寄存器 registers|空读 idle"
    ),
    "budget_title": "总线时间 / bus time ({reserve:.0%} 应空闲 should stay free)",
    "budget_columns": (
        "连接 connection|线速 baud|节拍 tick s|设备 devices|请求 requests|寄存器 registers"
        "|全读一遍 cycle s|最忙一轮 busiest s|占用 share|一台不应答 one silent s"
        "|可容不应答 silent ones it stands|各频度占线 share by pace"
    ),
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
