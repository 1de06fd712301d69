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
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
