"""Every text the server's commands show a person: Chinese first, English beside it."""

MESSAGES = {
    "config_bad": "配置有误，未启动。/ The configuration is wrong; nothing was started.",
    "problem": (
        "  {file} › {at}\n    应为 expected: {expected}\n"
        "    实为 got:      {got}\n    处理 fix:      {fix}"
    ),
    "port_taken": "{host}:{port} 已被占用，请更换 listen.port。/ The address is in use.",
    "store_taken": (
        "数据库正被另一进程使用：{error}\n请改用 --server URL，或先停止服务。"
        " / Another process has the store open; use --server URL."
    ),
    "backfilled": "已补算 {values} 个时段值，新增告警 {alerts} 条。/ Recomputed.",
    "report_written": "报告已写入 {path}；待填 {open} 处。/ Report written.",
    "server_said": "服务器答复 {status}：{text} / the server refused",
}


def say(key: str, **values: object) -> str:
    """Give a text of the catalogue with its values filled in."""
    return MESSAGES[key].format(**values)
