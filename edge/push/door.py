"""The door of one server: HTTP, TLS and the token."""

import ssl
from typing import Any
from urllib.parse import urlencode

import urllib3

from contract.clock import Clock
from contract.errors import DeliveryError
from contract.line import PRECISION
from edge.clock import X509_NO_CHECK_TIME, AgentClock
from edge.config import PushConfig
from edge.push.answers import judge
from edge.push.deadline import Deadline

_UNAUTHORIZED = 401
_READ_BYTES = 65_536  # of an answer; a login page may be of any length


class Door:
    """Posts bodies to one server.  Used by one thread."""

    def __init__(self, to: PushConfig, clock: Clock) -> None:
        self._to, self._clock = to, clock
        query = {"org": to.org, "bucket": to.bucket, "precision": PRECISION}
        self._url = f"{to.url.rstrip('/')}/api/v2/write?{urlencode(query)}"
        self._token = ""
        self._tls: ssl.SSLContext | None = None
        trust: dict[str, Any] = {}
        if to.pin_sha256:
            trust = {"cert_reqs": "CERT_NONE", "assert_fingerprint": to.pin_sha256}
        elif to.url.startswith("https:"):
            ca_file = str(to.ca_file) if to.ca_file else None
            self._tls = trust["ssl_context"] = ssl.create_default_context(cafile=ca_file)
        self._pool = urllib3.PoolManager(
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(total=to.timeout_s),
            **trust,
        )
        self._deadline = Deadline(self._pool, to.timeout_s)

    def post(self, body: bytes) -> None:
        """Send a gzip body; RefusedError, TooLargeError, or DeliveryError when it is not kept.

        A token that is refused is read again: it may have been renewed.
        """
        if not self._token:
            self._token = self._read_token()
        sent_s, answer = self._clock.monotonic_s(), self._ask(body)
        if answer[0] == _UNAUTHORIZED and (token := self._read_token()) != self._token:
            self._token = token
            sent_s, answer = self._clock.monotonic_s(), self._ask(body)
        status, headers, said = answer
        judge(status, headers, said, self._clock.now_ms())
        if isinstance(self._clock, AgentClock):
            self._clock.heard_date(headers.get("Date"), sent_s)

    def _ask(self, body: bytes) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
        headers = {
            "Authorization": f"Token {self._token}",
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
        }
        if self._tls is not None and isinstance(self._clock, AgentClock):
            skips = X509_NO_CHECK_TIME if self._clock.has_only_the_server else 0
            self._tls.verify_flags = self._tls.verify_flags & ~X509_NO_CHECK_TIME | skips
        try:
            with self._deadline.kept():
                answer = self._pool.request(
                    "POST", self._url, body=body, headers=headers, preload_content=False
                )
                said = answer.read(_READ_BYTES)
                if answer.read(1):
                    answer.close()  # more than a store has to say: do not wait for the end
                else:
                    answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            why = str(error).rsplit(": ", 1)[-1]
            raise DeliveryError(f"no answer: {why}", permanent=False) from error
        return answer.status, answer.headers, said

    def _read_token(self) -> str:
        try:
            return self._to.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._token:
                return self._token
            raise DeliveryError(f"no token: {error}", permanent=True) from error
