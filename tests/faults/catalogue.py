"""The network faults that an agent is put through."""

from dataclasses import dataclass

from tests.faults import talks
from tests.faults.proxy import Talk


@dataclass(frozen=True)
class Fault:
    """One fault.

    talk: what the proxy does; None: it refuses connections.  certificate: what it shows over TLS.
    fails: whether pushing fails meanwhile
    """

    id: str
    chinese: str
    what: str
    talk: Talk | None = None
    certificate: str | None = None
    tls: bool = False
    plain: bool = False  # HTTP is spoken where TLS is expected
    nameless: bool = False  # the name of the store does not resolve
    flaps: bool = False
    freezes: bool = False  # connections stay and say nothing
    fails: bool = True


FAULTS = (
    Fault("refused", "断网", "connection refused"),
    Fault("flapping", "时通时断", "the link goes up and down three times a second", flaps=True),
    Fault("black-hole", "黑洞", "accepts, never answers", talks.black_hole),
    Fault("frozen", "半开连接", "the peer vanishes without FIN; the old connection stays silent",
          talks.black_hole, freezes=True),
    Fault("reset", "连接重置", "RST when the request is there", talks.resetting),
    Fault("half-body", "传输中断", "RST in the middle of the request",
          talks.closing_within_the_body),
    Fault("drip", "极慢应答", "an answer that comes byte by byte and does not end", talks.dripping),
    Fault("continue", "空应答", "100 Continue without end", talks.continuing),
    Fault("no-name", "域名解析失败", "the name does not resolve, then it does", nameless=True),
    Fault("tls-expired", "证书过期", "TLS: expired", certificate="expired", tls=True),
    Fault("tls-name", "证书名称不符", "TLS: of another name", certificate="elsewhere", tls=True),
    Fault("tls-authority", "证书颁发者不明", "TLS: unknown authority",
          certificate="unknown", tls=True),
    Fault("tls-plain", "明文应答", "plain HTTP on the https port",
          talks.greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n"), tls=True, plain=True),
    Fault("tls-hole", "握手无应答", "the TLS handshake is not answered",
          talks.black_hole, tls=True, plain=True),
    Fault("login-page", "登录页", "200 with HTML: a captive portal", talks.LOGIN_PAGE),
    Fault("redirect", "重定向", "302 to a login", talks.REDIRECT),
    Fault("flood", "超大应答", "200 with 10 GB of HTML", talks.flooding),
    Fault("not-http", "非 HTTP 服务", "another service on the port",
          talks.greeting(b"SSH-2.0-x\r\n")),
    Fault("bytes", "乱码", "bytes that mean nothing", talks.greeting(bytes(range(256)) * 4)),
    Fault("400", "全部拒收", "400 to whatever it is", talks.says("400 Bad Request", body=b"no")),
    Fault("damaged", "传输损坏", "a bit of each body turned over: the store says 400",
          talks.damaging),
    Fault("401", "令牌失效", "401 for a while", talks.says("401 Unauthorized")),
    Fault("403", "无权写入", "403 for a while", talks.says("403 Forbidden")),
    Fault("404", "库不存在", "404 for a while", talks.says("404 Not Found")),
    Fault("407", "代理要求登录", "407 from a proxy", talks.PROXY_LOGIN),
    Fault("413", "包过大", f"413 above {talks.MOST_BYTES} bytes", talks.too_large, fails=False),
    Fault("413-all", "一律过大", "413 to whatever it is", talks.says("413 Content Too Large")),
    Fault("415", "不收压缩", "415: gzip refused", talks.says("415 Unsupported Media Type")),
    Fault("429", "限流", "429 with Retry-After in seconds", talks.TOO_MANY),
    Fault("502", "网关错误", "502 with HTML", talks.BAD_GATEWAY),
    Fault("503", "繁忙", "503 with Retry-After as a date", talks.busy_until),
    Fault("500-stored", "存后报错", "500 after it has stored",
          talks.stored_but(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")),
    Fault("silent-stored", "存后无应答", "stored, then silence",
          talks.stored_but(b"", silent=True)),
    Fault("closed-stored", "存后断开", "stored, then closed without an answer",
          talks.stored_but(b"")),
    Fault("cut-stored", "应答截断", "stored, and the 204 is cut off",
          talks.stored_but(b"HTTP/1.1 20")),
    Fault("200-stored", "存后答 200", "stored, and answered 200 by a proxy",
          talks.stored_but(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    Fault("date-past", "服务器时钟偏慢", "204 with a Date a year ago",
          talks.dated(-365), fails=False),
    Fault("date-ahead", "服务器时钟偏快", "204 with a Date a year ahead",
          talks.dated(365), fails=False),
)  # fmt: skip
