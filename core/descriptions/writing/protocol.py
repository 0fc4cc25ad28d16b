"""The protocol of chat completions: what is left out for servers that know less, and how their answers are read."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from core.descriptions.writing.answers import answer_schema
from core.descriptions.writing.messages import ClassRequest
from core.descriptions.writing.writer import WriterAway

BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
REFUSING = frozenset({400, 422})


@dataclass(frozen=True)
class Dialect:
    """What of the protocol a server understands; less after each refusal that names a part of it."""

    schema: bool = True
    limit: str | None = "max_tokens"
    temperature: bool = True

    def less(self, refusal: str) -> Dialect | None:
        """One that leaves out what the refusal speaks of; the schema where it names nothing. None: nothing is left."""
        if self.limit == "max_tokens" and "max_completion_tokens" in refusal:
            return replace(self, limit="max_completion_tokens")
        if self.temperature and "temperature" in refusal:
            return replace(self, temperature=False)
        return replace(self, schema=False) if self.schema else None

    def body(self, request: ClassRequest, model: str, temperature: float, answer_tokens: int) -> bytes:
        """What is sent: the messages as they stand, and how to answer."""
        asked: dict[str, Any] = {"model": model, "messages": list(request.messages), "stream": False}
        if self.temperature:
            asked["temperature"] = temperature
        if self.limit:
            asked[self.limit] = answer_tokens
        if self.schema:
            shape = {"name": "descriptions", "strict": True, "schema": answer_schema(request.class_name)}
            asked["response_format"] = {"type": "json_schema", "json_schema": shape}
        return json.dumps(asked, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Trouble:
    """Why there is no answer. again: it may pass. simpler: it was asked for more than the server understands.

    found: after "The language model answers; ". log: after "the endpoint ". pause_s: as the server wishes. in_vain: its
    whole time was waited for nothing. stop: other classes would meet the same.
    """

    found: str
    log: str
    again: bool = False
    pause_s: float | None = None
    in_vain: bool = False
    stop: bool = False
    simpler: bool = False
    remedy: str = "Try again later: what is written stays."

    def error(self, sendings: int, more: str = "") -> WriterAway:
        """The error for people."""
        times = f", {sendings} times in a row" if sendings > 1 else ""
        return WriterAway("The language model answers", f"{self.found}{times}{more}", self.remedy, stop=self.stop)


def trouble_of(error: Exception) -> Trouble:
    """Why a connection gave no answer."""
    kind = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            found = "its certificate cannot be trusted, or it speaks no encryption"
            remedy = "Correct the address, or name the certificate of your own authority in SSL_CERT_FILE."
            return Trouble(found, f"could not be trusted ({kind})", stop=True, remedy=remedy)
        cause = cause.__cause__ or cause.__context__
    if kind in {"ConnectError", "ConnectTimeout"}:
        return Trouble("nobody answers there", f"could not be reached ({kind})", again=True, stop=True)
    return Trouble(f"the connection broke off ({kind})", f"broke off ({kind})", again=True)


def content_of(message: Mapping[str, Any]) -> str:
    """The text of a message: plain, in parts, or a refusal."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content if content is not None else message.get("refusal") or "")


def counted(value: Any, otherwise: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    return value if is_count else otherwise


def asked_pause(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number or a date; None without a sensible one."""
    if not value:
        return None
    try:
        if value.strip().isdecimal():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
