"""Texts of the unattended life: apply, doctor, and what status says of host and configuration."""

LIFE = {
    "config_waits": (
        "配置有误，{s} 秒后再试；改好 {path} 会立即重试。"
        " / the configuration is wrong; tried again in {s} s, or as soon as the file is changed"
    ),
    "apply_denied": (
        "不能写 {path}：{error}。请用 root 运行（sudo）。 / cannot write; run it as root"
    ),
    "apply_staged": (
        "新配置 {hash} 已放到 {path}，试用中；失败会自动恢复 {back_to}。"
        " / the new configuration is in force, on trial"
    ),
    "apply_no_agent": (
        "采集代理没有运行：下次启动时试用。 / no agent runs: it is tried at the next start"
    ),
    "apply_not_told": (
        "无权通知采集代理（pid {pid}），它会在十几秒内自己发现。"
        " / not allowed to tell the agent; it looks by itself within seconds"
    ),
    "apply_waits": (
        "最多等 {s} 秒，每条总线要有设备应答；断开本终端也会继续。"
        " / devices on every bus must answer within {s} s; it goes on without this terminal"
    ),
    "apply_confirmed": "新配置 {hash} 已生效：{detail}。 / the new configuration stays",
    "apply_rolled_back": (
        "新配置 {hash} 没有成功，已恢复原配置：{detail}。"
        " / it did not work; the last good configuration is back"
    ),
    "apply_no_trial": "没有正在试用的配置。 / no configuration is on trial",
    "apply_open": (
        "还没有结果，稍后看 compound-edge status。 / not decided yet; see compound-edge status"
    ),
    "doctor_sum": (
        "共查 {all} 项：{bad} 项要处理，{warnings} 项要注意。 / {bad} to mend, {warnings} to watch"
    ),
    "doctor_folder_ok": "待发队列的文件夹可写、能落盘：{path} / the outbox's folder can be written",
    "doctor_folder_bad": (
        "待发队列的文件夹写不了：{path}（{error}）。查 mount 是否只读、权限是否属于 compound-edge；"
        "存储卡只读多半是卡坏了，换卡。 / cannot be written; is the card read-only?"
    ),
    "doctor_space_ok": "存储剩余 {mb} MB / space is left",
    "doctor_space_warn": (
        "存储只剩 {mb} MB，放不下 outbox.max_bytes。清理日志，或减小 max_bytes。"
        " / not enough space for outbox.max_bytes"
    ),
    "doctor_space_bad": "存储将满，剩 {mb} MB。先清理（journalctl --vacuum-size=50M）。 / full",
    "doctor_broken_warn": (
        "曾有损坏的队列文件被搁置：{files}。里面可能有未上送的读数，先拷走再删；常见原因是存储卡老化。"
        " / broken outbox files were set aside; copy them before deleting"
    ),
    "doctor_clock_ok": "时钟正常 / the clock is right",
    "doctor_clock_warn": (
        "时钟还没有对过时。查能否连到 NTP：timedatectl ；内网请设 NTP 服务器。"
        " / the clock has not been synchronised since boot"
    ),
    "doctor_clock_bad": (
        "时钟不对（早于本软件）。对时前的读数会先留在本机。timedatectl set-ntp true ；建议加 RTC。"
        " / the clock is wrong: set it, or add an RTC"
    ),
    "doctor_token_ok": "令牌可读，权限 {mode} / the token can be read",
    "doctor_token_warn": "令牌 {path} 人人可读（{mode}）：chmod 0640 {path} / world-readable",
    "doctor_token_bad": "令牌读不了：{path}（{error}）。 / the token cannot be read",
    "doctor_port_ok": "{bus}：串口在 {port} / the port is there",
    "doctor_port_bad": (
        "{bus}：没有串口 {port}。查转换器是否插好：ls /dev/serial/by-id ；换过转换器要改配置。"
        " / the port is not there"
    ),
    "doctor_access_bad": (
        "{bus}：无权用串口 {port}：sudo usermod -aG dialout 用户名 / no access to the port"
    ),
    "doctor_power_ok": "供电正常 / the supply is right",
    "doctor_power_warn": (
        "供电电压不足（现在或开机以来）。换 5 V 3 A 以上电源和短线，否则会坏卡、丢串口。"
        " / undervoltage: use a better supply"
    ),
    "doctor_heat_ok": "处理器 {c} °C / the processor's temperature is right",
    "doctor_heat_warn": "处理器 {c} °C，太热：通风、加散热片。 / the processor is too hot",
    "doctor_server_ok": "服务器可达：{url} / the server can be reached",
    "doctor_server_warn": (
        "现在连不上服务器：{url}（{error}）。不影响采集，读数先存本机。查网线、地址、防火墙。"
        " / the server cannot be reached now; readings are kept"
    ),
    "status_host": "主机：{facts} / host",
    "status_cpu": "处理器 {value:.0f} °C",
    "status_power_1": "开机以来曾欠压",
    "status_power_2": "供电电压不足！",
    "status_throttled_1": "曾降频",
    "status_throttled_2": "正在降频！",
    "status_disk": "存储剩 {value:,.0f} MB",
    "status_memory": "内存 {value:.0f} MB",
    "status_boot": "已开机 {time}",
    "status_flash": "写盘 {rate:,.1f} MB/天，启动以来 {total:,.1f} MB / written to the card",
    "status_flash_new": "写盘：启动以来 {total:,.1f} MB，十分钟后才有日均 / written to the card",
    "status_time": "时间：{time} UTC（{state}） / clock",
    "status_time_synced": "已对时",
    "status_time_unsynced": "未对时！",
    "status_time_unknown": "对时情况不明",
    "status_config": "配置：{hash}，{path} / configuration",
    "status_config_serial": "，服务器序号 {serial}",
    "status_trial": (
        "新配置试用中（来自 {by}，{within:g} 秒内要有设备应答），失败会自动恢复。 / on trial"
    ),
    "status_outcome": "最近一次换配置（{hash}）：{state}，{detail}。 / newest change",
    "status_state_staged": "已放入",
    "status_state_confirmed": "已生效",
    "status_state_rolled_back": "已退回",
    "status_state_refused": "已拒绝",
    "status_errors": "最近的告警 / newest warnings",
    "status_error_columns": "多久前 ago|级别 level|事件 event|详情 details",
    "trial_every_bus": "每条总线都有设备应答 / devices answer on every bus",
    "trial_some": "有设备应答，但总线 {buses} 上没有 / devices answer, but none on {buses}",
    "trial_none": "{s:g} 秒内没有设备应答 / no device answered within {s:g} s",
    "trial_by_hand": "人工确认 / confirmed by hand",
    "trial_cut_off": "切换前中断 / cut off before it was in force",
    "trial_starts": "启动 {count} 次没有结果 / started {count} times without an outcome",
    "trial_cannot_start": "不能启动 / cannot start: {why}",
}
