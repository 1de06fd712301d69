"""Group robots of 企业微信, 钉钉 and 飞书.

Ours, because these answer HTTP 200 with an error code in the body, which apprise 2.3.0 takes for
success of the first two: a message that was refused would count as told (docs/decisions/).
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import httpx

from contract.errors import DeliveryError
from server.notify.model import Channel, ChannelKind

TIMEOUT_S = 10.0
_BLOCKED_S = {ChannelKind.WECOM: 60.0, ChannelKind.DINGTALK: 600.0, ChannelKind.FEISHU: 60.0}
# too fast; the text beside the code is looked at too, since the lists of codes are not complete
_TOO_FAST = {45009, 45033, 130101, 90018, 90030, 11232, 2200}
_TOO_FAST_WORDS = ("too fast", "freq", "over limit", "too many", "exceed")
# keyword, signature, address, content: the same message would be refused again
_FOR_GOOD = {
    93000, 40008, 40058, 40035, 44004, 310000, 300001, 300005, 400101, 19001, 19002, 19021, 19022,
    19024,
}  # fmt: skip
_RETRY_STATUS = {408, 425, 429}


class RobotNotifier:
    """One robot; wall_ms: a clock, for the signatures of 钉钉 and 飞书."""

    def __init__(self, channel: Channel, wall_ms: Callable[[], int]) -> None:
        self._channel = channel
        self._wall_ms = wall_ms

    def send(self, title: str, body: str) -> None:
        """Post a text; DeliveryError unless the robot says in its body that it took it."""
        url, payload = self._request(f"{title}\n{body}")
        try:
            answer = httpx.post(url, json=payload, timeout=TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # no address in the text: it holds the robot's key
            raise DeliveryError(type(error).__name__, permanent=False) from error
        self._check(answer)

    def _request(self, text: str) -> tuple[str, dict[str, Any]]:
        c, now_ms = self._channel, self._wall_ms()
        if c.kind is ChannelKind.FEISHU:
            payload: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
            if c.secret:
                key = f"{now_ms // 1000}\n{c.secret}".encode()
                payload |= {"timestamp": str(now_ms // 1000), "sign": _sign(key, b"")}
            return c.url, payload
        payload = {"msgtype": "text", "text": {"content": text}}
        if c.kind is ChannelKind.DINGTALK and c.secret:
            said = f"{now_ms}\n{c.secret}".encode()
            params = {"timestamp": str(now_ms), "sign": _sign(c.secret.encode(), said)}
            return str(httpx.URL(c.url).copy_merge_params(params)), payload
        return c.url, payload

    def _check(self, answer: httpx.Response) -> None:
        kind, status = self._channel.kind, answer.status_code
        if status != httpx.codes.OK:
            is_final = 400 <= status < 500 and status not in _RETRY_STATUS
            wait = _BLOCKED_S[kind] if status == 429 else None
            raise DeliveryError(f"HTTP {status}", permanent=is_final, retry_after_s=wait)
        try:
            said = answer.json()
            code = int(said["code" if "code" in said else "errcode"])
        except (ValueError, KeyError, TypeError) as error:
            text = f"HTTP 200 without a code: {answer.text[:80]!r}"
            raise DeliveryError(text, permanent=False) from error
        if code:
            raise self._refusal(code, str(said.get("errmsg", said.get("msg", "")))[:200])

    def _refusal(self, code: int, said: str) -> DeliveryError:
        text, words = f"{code} {said}", said.lower()
        if code in _TOO_FAST or any(w in words for w in _TOO_FAST_WORDS):
            wait = _BLOCKED_S[self._channel.kind]
            return DeliveryError(text, permanent=False, retry_after_s=wait)
        return DeliveryError(text, permanent=code in _FOR_GOOD)


def _sign(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
