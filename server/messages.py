"""Every text the server's commands show a person: Chinese first, English beside it."""

MESSAGES = {
    "config_bad": "配置有误，未启动。/ The configuration is wrong; nothing was started.",
    "problem": (
        "  {file} › {at}\n    应为 expected: {expected}\n"
        "    实为 got:      {got}\n    处理 fix:      {fix}"
    ),
    "port_taken": "{host}:{port} 已被占用，请更换 listen.port。/ The address is in use.",
    "file_bad": "文件 {path} 不能读写：{error}。请检查路径与权限。/ Check the path.",
    "failed": (
        "未完成：{error}\n若数据库正被运行中的服务使用：backfill、report 加 --server URL；"
        "结账、修补请用控制台；其他命令先停服务。"
        " / Not done; if a running server holds the store: --server URL, the console, or stop it."
    ),
    "influx_ready": "存储桶 {bucket} 已就绪；令牌 {tokens} 已写入 {folder}。/ Bucket ready.",
    "dashboard_pushed": "看板已更新：{url} / Dashboard pushed.",
    "site_good": (
        "档案无误：大院建筑 {buildings} 栋，台账建筑 {ledger} 栋，区域 {areas} 个，"
        "计量表 {meters} 块。 / The site file is right."
    ),
    "site_written": (
        "已写入 {path}：建筑 {buildings} 栋，计量表 {meters} 块。请用 site diff 核对。"
        " / Written; look at it with site diff."
    ),
    "template_written": "模板已写入 {path} / Template written.",
    "repair_entered": "已登记，编号 {numbers}；相关时段将自动重算。/ Entered.",
    "repair_undone": "已撤销 {number}；相关时段将自动重算。/ Undone.",
    "doubt": "存疑 {subject}：{text}",
    "not_entered": "未登记。核实无误后加 --accept 再录入。/ Nothing was entered.",
    "obstacle": "不能结账 {subject}：{text}",
    "not_closed": "{label} 未结账。查明原因后可加 --accept（未结束的期间不能结）。/ Not closed.",
    "closed": "{label} 已结账，第 {revision} 版。/ Closed.",
    "deleted": "已删除 {count} 个读数，相关时段将重算。/ Deleted.",
    "consumption_columns": "表 meter|合计 total|完整率 coverage|等级 grade",
    "backfilled": "已补算 {values} 个时段值，新增告警 {alerts} 条。/ Recomputed.",
    "report_written": "报告已写入 {path}；待填 {open} 处。/ Report written.",
    "server_said": "服务器答复 {status}：{text} / the server refused",
    # fleet: deliveries, agents, their configurations
    "why_pending": "尚未说明",
    "why_queued": "待发",
    "why_quarantined": "隔离",
    "why_dropped": "丢弃",
    "why_unknown": "丢失",
    "delivery_title": "送达 / delivery {start} — {end}",
    "delivery_columns": (
        "采集代理 agent|结论 verdict|数据批 parcels|读数 readings|最近消息 last word|问题 findings"
    ),
    "findings_title": "未送达的数据批 / what is not there",
    "findings_columns": (
        "代理 agent|队列 outbox|序号 numbers|原因 why|所属时段 time of readings"
        "|未到包 parcels|条数 amount"
    ),
    "delivery_complete": "完整 complete",
    "delivery_nothing": "无数据 no data",
    "delivery_none_there": "所选时段没有任何数据批，无从证明。/ Nothing arrived of this span.",
    "delivery_incomplete": "不完整 incomplete",
    "delivery_unheard": "没有采集代理发来过回执。/ No agent has sent a receipt yet.",
    "delivery_all_there": "已送达的证明：代理发出的每个数据批都已入库。/ Everything is there.",
    "delivery_not_all": (
        "有数据批未送达或尚未说明，见上表；“丢失”须查明。/ Not everything is there."
    ),
    "count_good": (
        "读数核对：库存 {held} 条，回执应有 {least}–{most} 条，无短缺。/ The count is right."
    ),
    "count_short": (
        "读数核对：库存 {held} 条，回执至少 {least} 条，短缺 {lost} 条：库内曾有读数被删或损坏。"
        " / The store has lost readings."
    ),
    "agents_title": "采集代理 / agents",
    "agents_columns": (
        "代理 agent|状态 state|版本|最近消息 last seen|积压 backlog|时钟 clock|配置 config"
        "|队列 outbox|闪存 MB/日|温度 °C|供电 power|总线 buses"
    ),
    "agents_none": "还没有采集代理。/ No agents yet.",
    "state_fine": "正常",
    "state_never_seen": "从未出现",
    "state_offline": "离线",
    "state_lost": "有丢失",
    "state_dropped": "有丢弃",
    "state_in_ram": "队列在内存",
    "state_stalled": "总线停滞",
    "state_backlog": "积压",
    "state_quarantined": "有隔离行",
    "state_clock": "时钟不准",
    "state_config_failed": "配置未生效",
    "state_config_waits": "配置待取",
    "state_undervoltage": "欠压",
    "state_hot": "过热",
    "state_flash": "写盘过多",
    "config_staged": "试运行",
    "config_confirmed": "已生效",
    "config_rolled_back": "已退回",
    "config_refused": "已拒绝",
    "config_pushed": (
        "已签发 {agent} 第 {serial} 号配置（指纹 {hash}）。代理取走后自行全面校验，"
        "不合格会拒绝，试运行失败会自动退回；结果见 agents config history {agent}。"
        " / Signed; the agent itself checks all of it."
    ),
    "config_same": "与 {agent} 第 {serial} 号配置相同，未签发。/ The same as it is meant to have.",
    "config_raced": "同时有人签发了 {agent} 的配置，请核对后重试。/ Another push came first.",
    "config_cancelled": ("已撤回 {agent} 第 {serial} 号配置；已取走的代理不受影响。/ Withdrawn."),
    "config_none": "{agent} 没有生效中的下发配置。/ No configuration is meant for this agent.",
    "config_header": (
        "{agent} 第 {serial} 号，签发 {at}，经办 {author}：{reason}（指纹 {hash}）{cancelled}"
    ),
    "config_withdrawn": "，已撤回 withdrawn",
    "config_unchanged": "无差别。/ No difference.",
    "history_title": "{agent} 的配置 / configurations",
    "history_columns": "号 serial|时间 at|事 what|指纹 hash|经办 by|说明 detail",
    "config_issued": "签发",
    "config_cancelled_short": "撤回",
    "key_made": (
        "私钥 {path}（0600，由经办人保管，不要放在服务器上）；公钥 {public} 装到各采集代理的"
        " fleet.public_key_file。/ Key made: keep the private half, give agents the public one."
    ),
    # alerts and notices: their life and delivery
    "alerts_title": "待处理告警 / open alerts",
    "alerts_columns": (
        "号 id|规则 rule|等级|状态 state|处理 work|地点 place|计量表 meter|开始 since"
        "|多用 excess|元"
    ),
    "alerts_none": "没有待处理的告警。/ Nothing is open.",
    "alert_unknown": "没有编号为 {number} 的告警。/ There is no such alert.",
    "alert_acted": "{number}：{action}。/ Done.",
    "alert_refused": "{number} 未处理：{reason} / Refused.",
    "timeline_title": "{order} 时间线 / timeline",
    "timeline_columns": "时间 at|登记 recorded|事 what|经办 by|说明 detail",
    "rates_title": "误报率 / how often each rule was right",
    "rates_columns": "规则 rule|触发 fired|误报 false|撤销 withdrawn|误报率 share",
    "whitelist_title": "白名单 / expected use",
    "whitelist_columns": "号|规则 rule|计量表 meter|原因|从 from|至 until|星期|时段 hours|经办 by",
    "whitelist_entered": "已登记白名单，编号 {number}。/ Entered.",
    "whitelist_ended": "已终止 {number}。/ Ended.",
    "whitelist_unknown": "没有生效中的白名单 {number}。/ No such entry holds.",
    "notify_took": "{channel}：对方已接收。/ Taken.",
    "notify_failed": "{channel}：未送达：{error} / Not taken.",
    "notify_test": "这是一条测试消息，收到即表示渠道可用，无需处理。",
    "notify_columns": "号|渠道 channel|类别 kind|状态 state|次数|应发 due|标题 title|错误 error",
    "notify_title": "消息 / messages：{counts}",
    "notify_blocked": "{channel} 静默至 {until}（对方要求降速）。/ Kept silent, as it asked.",
    "notify_retried": "{count} 条被拒消息将重发。/ Will be tried again.",
    "notify_plan_good": "配置无误：渠道 {channels} 个，分组 {groups} 个。/ The file is right.",
    # rules: test, explain, backtest, score
    "rule_expected": "应为 expected",
    "rules_title": "规则示例 / the rules' examples",
    "rules_columns": "规则 rule|名称 title|示例 example|结果 result",
    "rules_tested": "示例 {examples} 个，不符 {wrong} 个。/ Examples run.",
    "explain_title": "告警 {number} 的来由 / why it was raised",
    "explain_columns": "项 what|值 value",
    "backtest_title": "回测 / backtest",
    "backtest_columns": (
        "规则 rule|名称 title|告警 alerts|超出 above|元 yuan|查准 precision|查全 recall"
    ),
    "score_title": "评分 / score: {what}",
    "score_columns": (
        "规则 rule|列 column|浪费 wastes|告警 alerts|查准 precision|查全 recall"
        "|延迟分钟 minutes|判定量 flagged|可判占比 known"
    ),
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
