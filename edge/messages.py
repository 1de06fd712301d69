"""Every text the agent shows a person: Chinese first, English beside it."""

from edge.messages_life import LIFE

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
    # commission: scan, probe, solve, record, accept
    "stopped": "已中断，线路已释放。/ Stopped; the line has been let go.",
    "written": "已写入 {path} / written",
    "line_failed": "{detail}",
    "port_taken": (
        "串口 {port} 正被占用：{users}。一条总线同时只能有一个主站。\n"
        "  若是采集代理，先停：sudo systemctl stop compound-edge ；调试完再 start。\n"
        "  / The port is taken; stop the agent first, and start it again afterwards."
    ),
    "agent_runs": (
        "注意：本机有采集代理在运行（pid {pids}），可能正占着这条线路或网关：\n"
        "  sudo systemctl stop compound-edge / an agent runs here; stop it first."
    ),
    "silent_device": (
        "站号 {unit} 没有应答。查：站号、波特率和校验、A/B 线、电源；不清楚就先 scan。\n"
        "  / No answer from unit {unit}: check unit id, baud and parity, wiring, power; or scan."
    ),
    "ports_title": "本机串口 / serial ports",
    "ports_columns": "长期不变的名字 lasting name|现在的名字 present name",
    "ports_next": "下一步 next: compound-edge scan --port {port}",
    "ports_none": (
        "没有找到串口。插上 USB-485 转换器再试；dmesg | tail 能看到它是否被识别。\n"
        "  网口设备：compound-edge scan --tcp 192.168.1.20 / No serial port found."
    ),
    "scan_left": "剩余 left",
    "scan_step": "{place} 站 {text} 已找到 {found}",
    "scan_unit": "● {place}  站号 unit {unit}",
    "scan_any_unit": "任意 any（不看站号 ignores unit ids）",
    "scan_answer": "应答 answer: {answer}",
    "scan_fit": "{number}. {ref}  {title}  符合 {share:.0%}",
    "scan_no_profile": (
        "没有合适的档案：照说明书写一个，或用 solve 找寄存器 / no shipped profile fits"
    ),
    "scan_unclear": "几个档案都说得通：看铭牌型号，再用 probe 核对 / look at the type plate",
    "scan_snippet": "\n可用的 agent.yaml 片段 / for agent.yaml:",
    "scan_interrupted": "扫描被中断，以上是中断前找到的。/ Interrupted: found so far.",
    "scan_garbled": (
        "{place}：有回音但乱码：波特率或校验不对，或两台设备同一站号。\n"
        "  / Something answers, garbled: wrong baud or parity, or two devices with one unit id."
    ),
    "scan_unopened": (
        "连不上 {places}：查 IP 和端口、网线、防火墙，网关是否只许一个连接。\n"
        "  / Cannot connect: check address, port, cable, firewall."
    ),
    "scan_nothing": "试了 {tried} 种线路参数，没有任何应答。/ Nothing answered.",
    "scan_check_serial": (
        "请逐项查 check:\n"
        "  1 A/B 是否接反（对调再试），屏蔽层和地线 / A and B swapped\n"
        "  2 表有没有电，RS-485 端子号是否接对（不是脉冲端子）/ power, the right terminals\n"
        "  3 站号是否在扫描范围：--units 1-247（正泰 DDSU666 出厂为表号末两位）/ unit id\n"
        "  4 表是否在 DL/T 645 规约（正泰 DTSU666、DDSU666 出厂如此，2400 8E1）：\n"
        "    在表上按键把规约改成 Modbus / CHINT meters leave the factory in DL/T 645\n"
        "  5 线路末端 120 Ω 终端电阻只在两端各一只；总线不要星形分支 / terminators\n"
        "  6 波特率更高或更低：--baud 1200,38400,115200；校验 --parity N,E,O；--thorough"
    ),
    "scan_check_tcp": (
        "连得上但无应答，请查 check:\n"
        "  1 网关是 Modbus TCP 还是透传：透传用 --rtu-tcp HOST:PORT / transparent gateway\n"
        "  2 网关串口侧的波特率、校验，A/B 线，表的电源 / the gateway's serial side\n"
        "  3 站号范围：--units 1-247；网关慢：--timeout 2 / unit ids, slow gateway"
    ),
    "fit_value": "{name} = {shown}",
    "fit_refused": "设备拒绝寄存器 refused {registers}",
    "fit_bad_value": "{at}: {why}",
    "snippet_head": (
        "# 由 compound-edge scan 写出；改 site、agent、url，放好 token，再运行\n"
        "#   compound-edge check --config agent.yaml\n"
        "site: site1\nagent: a1\ninterval_s: 60\noutbox: {{path: ./a1.outbox.db}}\n"
        'push: {{url: "http://127.0.0.1:8650", token_file: ./token}}'
    ),
    "snippet_none": "没有认出设备 / no device was recognised",
    "snippet_unknown": "{connection} 站号 {unit} 有应答，没有合适档案 / answers, no profile fits",
    "snippet_ratio": "填互感器变比，如 200/5 填 40 / set the CT ratio",
    "snippet_unclear": "也可能是 or {others}",
    "probe_title": "{name}  {place}  站号 unit {unit}",
    "probe_columns": "测点|name|数值>|单位|原始字 raw|质量",
    "quality_good": "良",
    "quality_timeout": "无应答",
    "quality_refused": "连不上",
    "quality_illegal": "无此点",
    "quality_implausible": "超范围",
    "quality_sentinel": "表称无",
    "check_voltage_ok": "电压 {shown} V 正常 / voltage is right",
    "check_voltage_bad": "{phases}相电压不对：{shown} V，应近 230 V / voltage is off",
    "check_balance_ok": "三相电压平衡，差 {percent:.1f} % / voltages balanced",
    "check_balance_bad": "{phase}相电压偏离均值 {percent:.1f} % / voltages unbalanced",
    "check_frequency_ok": "频率 {shown} Hz 正常 / frequency is right",
    "check_frequency_bad": "频率 {shown} Hz，应近 50 Hz / frequency is off",
    "check_sum_ok": "分相之和 {added} = 总功率 {total} kW / phases add up",
    "check_sum_bad": "分相之和 {added} ≠ 总功率 {total} kW / phases do not add up",
    "check_sum_unknown": "无负荷，不能核对分相之和 / no load",
    "check_apparent_ok": "有功 {power} kW ≤ 视在 {apparent} kVA / P ≤ S",
    "check_apparent_bad": "有功 {power} kW 大于视在 {apparent} kVA / P > S",
    "check_factor_ok": "功率因数 {shown} = P/S {worked} / power factor agrees",
    "check_factor_bad": "功率因数 {shown} ≠ P/S {worked} / power factor disagrees",
    "check_factor_unknown": "无负荷，不能核对功率因数 / no load",
    "check_volt_amperes_ok": "U·I {apparent} kVA 与功率 {power} kW 相符 / U·I agrees with P",
    "check_volt_amperes_bad": (
        "U·I {apparent} kVA 与功率 {power} kW 不符：比例、变比或相序不对 / U·I disagrees with P"
    ),
    "check_volt_amperes_unknown": "无负荷，不能核对 U·I / no load",
    "check_direction_ok": "各相功率方向一致 / all phases flow the same way",
    "check_direction_bad": "{phases}电流互感器可能接反（功率为负） / CT may be reversed",
    "check_direction_unknown": "无负荷，不能判断互感器方向 / no load",
    "check_crossed": (
        "{phases}的电流与电压可能不同相（互感器串相） / currents may be on the wrong phases"
    ),
    "check_all_reversed": (
        "各相功率都为负：进出线接反，或正在上网发电 / all phases are negative: reversed, or export"
    ),
    "check_counter_ok": "电表在走：{moved} / the counter runs",
    "check_counter_bad": "累计值走了 {moved}，应为 {expected} / the counter is off",
    "check_counter_unknown": "时间太短，看不出累计值走没走 / too short to see the counter move",
    "solve_reading": "读寄存器 reading",
    "solve_read": (
        "{place} 站号 {unit}：读了 {requests} 次，{refused} 个寄存器被拒绝。"
        " / {requests} reads, {refused} registers refused."
    ),
    "solve_columns": "#>|功能|地址 address|类型|次序|比例|现在 now>|也可能",
    "solve_title": "显示 {value}：剩 {count} 个候选 / {count} candidates remain",
    "solve_none": (
        "  没有寄存器是这个数：放宽范围 --from --to，给出 --ct-ratio，或先看数值是否在变\n"
        "  / No register holds it: widen the range, give the ratio."
    ),
    "solve_line": "最可能的一个，写进档案 points: / the likeliest, for the profile:",
    "solve_more": (
        "还剩 {count} 个：等数值变了，再运行 solve --value 新值 --again（记录在 {state}）\n"
        "  / wait until the value has changed, then run again with --again."
    ),
    "solve_unit_each": "一个单位，或每个 --value 一个 one unit, or one for each --value",
    "solve_not_zero": "非零数值 a number other than 0",
    "solve_wait": "等有负荷时再试 try under load",
    "solve_first": "先运行一次 a first run without --again",
    "solve_state": "solve 写的记录 a state file of solve",
    "solve_writable": "可写的文件 a writable file",
    "record_head": "档案 {ref} 的实例，录于 {day}；放进该档案的 examples: / example of a profile",
    "record_energy_kept": "电量照录 / counters as they were",
    "record_energy_moved": "电量已减去整千数 / counters are less whole thousands",
    "record_differs": "{name}：屏幕 {shown}，读到 {read}，不一致，未录制 / differs; not recorded",
    "record_written": (
        "已写入 {path}；把其中的条目放进 {ref} 的 examples:，再运行\n"
        "  python -m pytest tests/device_profiles / written"
    ),
    "accept_reading": "观察 watching",
    "accept_title": "验收 {name} / acceptance",
    "accept_sheet": "验收单 sheet: {path}（用浏览器打开，打印 A4 / open in a browser, print）",
    "accept_link": "通信：{requests} 次请求，失败 {failures} 次（{share:.2f} %） / link errors",
    "accept_latency": "应答时间 中位 {p50:.0f} ms，99 % 在 {p99:.0f} ms 内 / latency",
    "accept_refused": "设备没有这些测点：{points} / points the device does not have",
    "accept_no_reading": "{label}：显示 {shown} {unit}，没有读到 / could not be read",
    "accept_display_ok": "{label}：表屏 {shown}，读数 {read} {unit}，一致 / agrees",
    "accept_display_bad": "{label}：表屏 {shown}，读数 {read} {unit}，不一致",
    "accept_clamp_ok": "{label}：钳表 {shown}，读数 {read} {unit}，一致 / agrees",
    "accept_clamp_bad": "{label}：钳表 {shown}，读数 {read} {unit}，不一致",
    "accept_hint_sign": "：符号相反，互感器方向接反 / the sign is reversed",
    "accept_hint_ratio": (
        "：变比可能应为 {ratio}（{plate}），现配置 {configured} / the ratio may be {ratio}"
    ),
    "accept_hint_scale": "：差 {factor} 倍，单位或小数点不对 / off by {factor}: unit or decimals",
    "accept_hint_factor": "：差 {factor} 倍 / off by a factor of {factor}",
    "accept_ratio_unproven": (
        "变比 {ct} 未核对：加 --display power_kw=… 或 --clamp l1=… / the ratio was not proven"
    ),
    "sheet_title": "计量设备验收单",
    "sheet_title_en": "Acceptance sheet",
    "sheet_passed": "结论：合格 PASSED",
    "sheet_failed": "结论：不合格 FAILED",
    "sheet_findings": "检查项目 Findings",
    "sheet_readings": "读数（{samples} 次采样）Readings",
    "sheet_columns": "测点|最后|最小|最大|单位",
    "sheet_facts": "设备代号|安装地点|设备类型|档案|线路|站号|电流变比|电压变比|观察|核对",
    "sheet_span": "{samples} 次采样，{minutes:.1f} 分钟",
    "sheet_checked": "表屏 {displays} 项，钳表 {clamps} 项",
    "sheet_signatures": "调试人　　　　　　日期|用户代表　　　　　日期|监理　　　　　　　日期",
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
        "待发 {rounds} 批 {bytes} 字节，丢弃 {dropped} 批（{dropped_readings} 条读数），"
        "隔离 {quarantined} 行。"
        " / {rounds} parcels wait, {dropped} dropped, {quarantined} lines set aside"
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
    "reason_ratio_unknown": "变比未知",
    # outbox
    "outbox_status": (
        "待发 {rounds} 批，{bytes} 字节；累计丢弃 {dropped} 批、{dropped_readings} 条读数，"
        "隔离过 {quarantined} 行。 / {rounds} parcels wait, {dropped} dropped,"
        " {quarantined} lines set aside so far."
    ),
    "outbox_in_ram": (
        "注意：存储写不进去（{why}），新读数只存在内存里，断电会丢。查：磁盘是否已满（df -h）、"
        "存储卡是否只读或损坏（dmesg）。恢复后自动写回。"
        " / the disk cannot be written: new readings are in memory only; look at df and dmesg."
    ),
    "outbox_unreadable": (
        "读不了待发队列 {path}：{error}。采集代理启动时会把坏文件挪开并救回能读的内容。"
        " / the outbox cannot be read; the agent sets a broken file aside when it starts"
    ),
    "outbox_which": (
        "{action} 哪几行？给出编号，或 --all；编号见 outbox list。"
        " / which lines? give their numbers or --all"
    ),
    "outbox_no_such": "没有这样的隔离行：{ids}。 / no such lines",
    "outbox_no_refused": "没有隔离行。 / No line was refused.",
    "outbox_refused": "服务端拒收的行 / lines a server refused",
    "outbox_columns": "编号 id|时间 UTC|批 parcel|内容 line|原因 reason|下一步 next",
    "outbox_asked_again": "待重发 to be sent",
    "outbox_entry": "{id}  批 parcel {sequence}  {time}\n  {line}\n  原因 reason: {reason}",
    "outbox_retried_running": (
        "{lines} 行将随下一次写盘重发（一分钟内）；仍被拒收会再次隔离。"
        " / they are sent again within a minute"
    ),
    "outbox_retried": (
        "{lines} 行将在采集代理启动后重发。 / they are sent again once the agent runs"
    ),
    "outbox_discarded": "已丢弃 {lines} 行，不可恢复。 / forgotten for good",
    # clock
    "reason_clock_restamped": "时刻已补定",
    # unattended
    **LIFE,
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
