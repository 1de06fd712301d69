"""Every text the server's commands show a person: Chinese first, English beside it."""

MESSAGES = {
    "config_bad": "配置有误，未启动。/ The configuration is wrong; nothing was started.",
    "problem": (
        "  {file} › {at}\n    应为 expected: {expected}\n"
        "    实为 got:      {got}\n    处理 fix:      {fix}"
    ),
    "port_taken": "{host}:{port} 已被占用，请更换 listen.port。/ The address is in use.",
    "failed": (
        "未完成：{error}\n若数据库正被运行中的服务使用，请加 --server URL。"
        " / Not done; if a running server holds the store, use --server URL."
    ),
    "influx_ready": "存储桶 {bucket} 已就绪；令牌 {tokens} 已写入 {folder}。/ Bucket ready.",
    "dashboard_pushed": "看板已更新：{url} / Dashboard pushed.",
    "consumption_columns": "表 meter|合计 total|完整率 coverage|等级 grade",
    "backfilled": "已补算 {values} 个时段值，新增告警 {alerts} 条。/ Recomputed.",
    "report_written": "报告已写入 {path}；待填 {open} 处。/ Report written.",
    "server_said": "服务器答复 {status}：{text} / the server refused",
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
