"""A language model behind an OpenAI-compatible address: `POST <address>/chat/completions`."""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from core.descriptions.writing.address import check_encryption, completions_url, is_near
from core.descriptions.writing.budget import Budget, Taken, judged_tokens
from core.descriptions.writing.exchange import Answer, OtherEncoding, TookTooLong, TooLarge, exchange
from core.descriptions.writing.messages import ClassRequest
from core.descriptions.writing.protocol import (
    BUSY,
    REFUSING,
    Dialect,
    Trouble,
    asked_pause,
    content_of,
    counted,
    trouble_of,
)
from core.descriptions.writing.writer import Reply, Spent, Stopped, WriterAway
from core.errors import InvalidOption
from core.settings import Settings
from core.text import shown

SENDINGS, SENDINGS_IN_VAIN = 5, 2
"""So often one request is sent while the endpoint is busy or in trouble, and while nothing comes within the time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
SHORTEST_SECRET = 12
"""Keys of fewer characters, such as "none" for local servers, are words that texts may hold."""
LOOK_EVERY_S = 0.05


class Endpoint:
    """Asks for sentences, within a budget. Used by several threads at once; close it after use.

    Raises InvalidOption where settings are missing or unfit.
    """

    def __init__(
        self,
        settings: Settings,
        budget: Budget,
        *,
        model: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        base, self.model = endpoint_of(settings, model)
        self._url = completions_url(base)
        check_encryption(self._url, allowed=settings.llm_allow_http)
        self._settings, self._budget, self._stopped, self._told = settings, budget, stopped, told
        self._headers = _headers(settings.llm_api_key)
        self._dialect, self._lock = Dialect(), threading.Lock()
        self._client = self._open()

    def close(self) -> None:
        """Give up connections."""
        self._client.close()

    @property
    def settings(self) -> dict[str, Any]:
        """Address, temperature and longest answer; whether the answer was held to its shape by the server."""
        dialect = self._dialect
        return {
            "address": str(self._url),
            "temperature": self._settings.llm_temperature if dialect.temperature else None,
            "answer_tokens": self._settings.llm_answer_tokens,
            "held_to_schema": dialect.schema,
        }

    def ask(self, request: ClassRequest, attempt: int, spent: Spent) -> Reply:
        """See `Writer`. attempt changes nothing: the same is sent again."""
        sendings, in_vain = 0, 0
        while True:
            trouble = self._send(request, spent)
            if isinstance(trouble, Reply):
                return trouble
            if trouble.simpler:
                continue
            sendings, in_vain = sendings + 1, in_vain + trouble.in_vain
            if not trouble.again or sendings >= SENDINGS or in_vain >= SENDINGS_IN_VAIN:
                raise trouble.error(sendings)
            pause_s = trouble.pause_s if trouble.pause_s is not None else FIRST_PAUSE_S * 2 ** (sendings - 1)
            if pause_s > LONGEST_PAUSE_S:
                raise trouble.error(sendings, f", and asks to wait {pause_s:.0f} s")
            self._told(f"the endpoint {trouble.log}; asking again in {pause_s:.1f} s")
            self._pause(pause_s * random.uniform(1.0, 1.25))

    def _open(self) -> httpx.Client:
        encrypted = self._url.scheme == "https"
        # proxies are for the world outside: what lies near is called directly
        outside = encrypted and not _lies_near(self._url.host)
        tls: ssl.SSLContext | bool = httpx.create_ssl_context() if encrypted else False
        return httpx.Client(
            verify=tls,
            trust_env=outside,
            follow_redirects=False,
            # each request has a connection of its own, which can be cut without harm to the others
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def _send(self, request: ClassRequest, spent: Spent) -> Reply | Trouble:
        dialect = self._dialect
        chosen = self._settings
        body = dialect.body(request, self.model, chosen.llm_temperature, chosen.llm_answer_tokens)
        judged = judged_tokens([each["content"] for each in request.messages])
        with self._budget.room(judged, self._settings.llm_answer_tokens, spent) as taken:
            try:
                answer = exchange(
                    self._client,
                    self._url,
                    body,
                    self._headers,
                    timeout_s=self._settings.llm_timeout_s,
                    stopped=self._stopped,
                )
            except TookTooLong:
                found = f"it was not whole after {self._settings.llm_timeout_s:g} s"
                return Trouble(found, "took too long", again=True, in_vain=True)
            except TooLarge:
                return Trouble("its answer is larger than any answer needs, and was cut off", "sent too much")
            except OtherEncoding:
                return Trouble("its answer is compressed, which nobody asked for", "sent a compressed answer")
            except httpx.TransportError as error:
                taken.tokens_in = taken.tokens_out = 0
                return trouble_of(error)
            return self._read(answer, taken, dialect)

    def _read(self, answer: Answer, taken: Taken, dialect: Dialect) -> Reply | Trouble:
        if answer.status != 200:
            taken.tokens_in = taken.tokens_out = 0
            return self._refused(answer, dialect)
        try:
            found = json.loads(answer.body)
            choice = found["choices"][0]
            text = content_of(choice["message"])
            ended = str(choice.get("finish_reason") or "stop")[:40]
            usage = found.get("usage")
        except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
            return Trouble("its answer is none of this protocol, or not whole", "sent no whole answer", again=True)
        usage = usage if isinstance(usage, dict) else {}
        taken.tokens_in = counted(usage.get("prompt_tokens"), taken.tokens_in)
        taken.tokens_out = counted(usage.get("completion_tokens"), judged_tokens([text]))
        return Reply(self._without_key(text), ended)

    def _refused(self, answer: Answer, dialect: Dialect) -> Trouble:
        status = answer.status
        log = f"answered {status}"
        if status in BUSY:
            busy = "it has too many requests (429)" if status == 429 else f"it is in trouble ({status})"
            return Trouble(busy, log, again=True, pause_s=asked_pause(answer.headers.get("retry-after")))
        if 300 <= status < 400:
            return Trouble(f"it leads to another address ({status})", log, stop=True, remedy="Name the right address.")
        if status in {401, 402, 403}:
            return Trouble(f"it refuses the key or its account ({status})", log, stop=True, remedy="Look at the key.")
        if status == 404:
            known = f"it knows no such address or model (404), model '{shown(self.model, 80)}'"
            return Trouble(known, log, stop=True, remedy="Look at address and model.")
        words = self._words(answer.body)
        if status in REFUSING and (simpler := dialect.less(words)):
            with self._lock:
                if self._dialect == dialect:
                    self._dialect = simpler
            self._told(f"the endpoint {log}; asking in a simpler way")
            return Trouble("", log, simpler=True)
        return Trouble(f"it refuses the request ({status}): {shown(words, 200)}", log)

    def _words(self, body: bytes) -> str:
        """What a refusal says, for people."""
        text = body[:20_000].decode("utf-8", "replace")
        try:
            found = json.loads(text)
            inner = found.get("error", found)
            text = str(inner.get("message", inner) if isinstance(inner, dict) else inner)
        except (ValueError, RecursionError, AttributeError):
            pass
        return " ".join(self._without_key(text).split())

    def _without_key(self, text: str) -> str:
        """A server may send back what it was sent; the key must not be kept."""
        key = self._settings.llm_api_key or ""
        return text.replace(key, "[key]") if len(key) >= SHORTEST_SECRET else text

    def _pause(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            if self._stopped():
                raise Stopped
            time.sleep(min(left, LOOK_EVERY_S))


def endpoint_of(settings: Settings, model: str | None = None) -> tuple[str, str]:
    """Address and model in force. Raises InvalidOption where one is missing."""
    base, model = (settings.llm_base_url or "").strip(), (model or settings.llm_model or "").strip()
    if not base or not model:
        missing = "PROMPTOSCOPE_LLM_MODEL" if base else "PROMPTOSCOPE_LLM_BASE_URL"
        raise InvalidOption(
            "A language model writes sentences where one is configured",
            f"{missing} is not set",
            "Set it, and PROMPTOSCOPE_LLM_API_KEY where a key is needed; or name the folder of a local model.",
        )
    return base, model


def _headers(key: str | None) -> dict[str, str]:
    found = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    if key and key.strip():
        if not (key.isascii() and key.isprintable()):
            raise InvalidOption(
                "PROMPTOSCOPE_LLM_API_KEY holds letters, digits and signs", "found others", "Copy the key again."
            )
        found["Authorization"] = f"Bearer {key.strip()}"
    return found


def _lies_near(host: str) -> bool:
    try:
        return is_near(host)
    except WriterAway:
        return False  # a proxy may know the name
