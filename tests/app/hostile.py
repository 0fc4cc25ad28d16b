"""Requests as attackers and broken programs send them, made from the OpenAPI description with a seeded generator.

They go to the application as a server would hand them over, so that nothing a polite client repairs is repaired.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI

TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\r\nX-Header: 1",
    "\x1b[31m",
    "\ud800",
    "x\udfffy",
    "\u202egnp.exe",
    "\u2066",
    "\ufffe",
    "\ufeff",
    "x" * 301,
    "x" * 5000,
    "é" * 250,
    "👩🏽‍⚕️",
    "می‌خواهم",
    "..",
    "../../etc/passwd",
    "/",
    "//host",
    "~root",
    "~nobody/x",
    "%00",
    "%ff",
    "{}",
    "{0}",
    "{name.__class__}",
    "%s%n",
    "' OR 1=1 --",
    "-1",
    "0",
    "1e999",
    "9" * 400,
    "null",
    "NaN",
    "local-dir:/",
    "local-dir:~x",
    "hf-hub:x/y",
    "C:\\",
    "con",
    "\u0130",
    "\U000e0041",
    "<script>",
    "a\u0301" * 150,
    "__init__",
)
NUMBERS = (
    0,
    -1,
    1,
    2,
    2**31 - 1,
    2**31,
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"": ""}, ["x"] * 3, {"\ud800": 1}, {"a\x00": ["\udfff"]})
RAW_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    b"\x00",
    b'{"a": NaN}',
    b"[" * 100_000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b'{"requests": [' + b"{}," * 600 + b"{}]}",
    b'{"image_set": 1e999}',
    b'{"image_set": "\\ud800", "method": "coop"}',
    "ключ=значение".encode("utf-16"),
)
RAW_QUERIES = (
    b"limit=1&limit=x",
    b"limit=%ff",
    b"offset=9999999999999999999999",
    b"limit=1;offset=2",
    b"=&&=",
    b"&" * 500,
    b"%",
    b"%zz=%zz",
    b"image_set=%00",
    b"image_set=%ed%a0%80",
    b"state=%e2%80%ae",
    b"\xff=\xff",
    b"version=9223372036854775807",
    b"version=0x1",
    b"limit=1_0",
    b"limit=%D9%A1",
    b"code=%00",
    b"code=" + b"x" * 9000,
)
HEADERS = (
    (b"content-type", b""),
    (b"content-type", b"application/json; charset=\xff"),
    (b"content-type", b"multipart/form-data"),
    (b"content-type", b"multipart/form-data; boundary="),
    (b"content-type", b"multipart/form-data; boundary=\xff\x00"),
    (b"content-type", b"multipart/form-data; boundary=" + b"x" * 5000),
    (b"content-type", b"text/plain"),
    (b"content-type", b"/"),
    (b"content-type", b"application/json; x*=utf-8''%ff"),
    (b"content-length", b"\xb2"),
    (b"content-length", b"-1"),
    (b"content-length", b"9" * 5000),
    (b"content-length", b"1e9"),
    (b"range", b"bytes=0-0"),
    (b"range", b"bytes=-"),
    (b"range", b"bytes=\xb2-"),
    (b"range", b"bytes=5-1"),
    (b"range", b"bytes=" + b"0-0," * 500 + b"0-0"),
    (b"range", b"x"),
    (b"range", b"bytes=0-99999999999999999999999"),
    (b"range", b"bytes=" + b"9" * 5000 + b"-"),
    (b"if-range", b"\xff"),
    (b"if-none-match", b"\xff\x00"),
    (b"if-none-match", b"*"),
    (b"if-modified-since", b"never"),
    (b"idempotency-key", b""),
    (b"idempotency-key", b"\xa0"),
    (b"idempotency-key", b"k" * 201),
    (b"idempotency-key", b"\xe9"),
    (b"idempotency-key", b"same"),
    (b"idempotency-key", b"\x00"),
    (b"cookie", b"\xff=\xff; ;;=,"),
    (b"cookie", b"a" * 9000),
    (b"cookie", b'promptoscope="\\777'),
    (b"origin", b"http://["),
    (b"origin", b"null"),
    (b"origin", b"http://\xe2\x84\x80"),
    (b"origin", b"http://x:99999999"),
    (b"host", b"["),
    (b"host", b""),
    (b"host", b"\xff"),
    (b"host", b"127.0.0.1:x"),
    (b"authorization", b"Bearer \xff"),
    (b"authorization", b"Bearer"),
    (b"sec-fetch-site", b"\xff"),
    (b"accept", b"\xff/*;q=x"),
    (b"accept-encoding", b"gzip;q=\xff"),
    (b"x-forwarded-for", b"\x00"),
    (b"expect", b"100-continue"),
)


@dataclass(frozen=True)
class Call:
    """One request, byte by byte."""

    method: str
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        sent = f"{self.method} {self.path[:80]}?{self.query[:80]!r} {self.headers!r:.200} {self.body[:300]!r}"
        return sent.encode("ascii", "backslashreplace").decode()


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


async def ask(app: FastAPI, call: Call, cookie: bytes | None, left_out: Collection[bytes] = ()) -> Answer:
    """Hand a request to the application. The call's own headers replace those a browser would send.

    left_out: names of headers that are not sent at all.
    """
    mine = {name for name, _ in call.headers} | set(left_out)
    polite = [(b"host", b"127.0.0.1:8000"), (b"sec-fetch-site", b"same-origin"), (b"content-type", b"application/json")]
    polite += [(b"cookie", cookie)] if cookie else []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "http",
        "path": unquote(call.path),
        "raw_path": call.path.encode(),
        "query_string": call.query,
        "root_path": "",
        "headers": [pair for pair in polite if pair[0] not in mine] + list(call.headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    answer, messages = Answer(), iter([{"type": "http.request", "body": call.body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


class Attacker:
    """Draws requests for every operation of an OpenAPI description.

    known: values that exist (ids, names), mixed in so that requests come past the first look-up.
    """

    def __init__(self, description: dict[str, Any], known: dict[str, list[str]], seed: int) -> None:
        self._description, self._known, self._random = description, known, random.Random(seed)

    def calls(self, rounds: int) -> Iterator[Call]:
        """`rounds` requests for each operation."""
        for _ in range(rounds):
            for path, operations in self._description["paths"].items():
                for method, operation in operations.items():
                    yield self._call(path, method.upper(), operation)

    def _call(self, path: str, method: str, operation: dict[str, Any]) -> Call:
        draw = self._random
        pairs = []
        for parameter in operation.get("parameters", []):
            value = self._text(parameter["name"])
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(value, safe="", errors="replace") or "x")
                path = path.replace(f"{{{parameter['name']}:path}}", quote(value, safe="", errors="replace") or "x")
            elif draw.random() < 0.5:
                pairs.append(f"{parameter['name']}={quote(value, errors='replace')}")
        query = draw.choice(RAW_QUERIES) if draw.random() < 0.15 else "&".join(pairs).encode()
        headers = tuple({draw.choice(HEADERS) for _ in range(draw.choice((0, 0, 0, 1, 2)))})
        body = self._body(operation) if "requestBody" in operation else b""
        return Call(method, path, query, headers, body)

    def _text(self, name: str) -> str:
        draw = self._random.random()
        if draw < 0.5 and (known := self._known.get(name)):
            return self._random.choice(known)
        if draw < 0.7:
            return str(self._random.choice(NUMBERS[:15]))
        return self._random.choice(TEXTS)

    def _body(self, operation: dict[str, Any]) -> bytes:
        schema = operation["requestBody"]["content"].get("application/json", {}).get("schema")
        if schema is None or self._random.random() < 0.15:
            return self._random.choice(RAW_BODIES)
        return json.dumps(self._value(schema, "", 0)).encode()

    def _value(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        draw = self._random
        if depth and draw.random() < 0.12:
            return draw.choice((draw.choice(TEXTS), draw.choice(NUMBERS), draw.choice(OTHERS)))
        if "$ref" in schema:
            schema = self._description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._value(draw.choice(choices), name, depth)
        if "enum" in schema:
            return draw.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return [self._value(schema.get("items", {}), name, depth + 1) for _ in range(draw.randrange(3))]
        if kind in ("integer", "number"):
            return draw.choice((1, 2, 4, 16, *(NUMBERS if draw.random() < 0.3 else ())))
        if kind == "boolean":
            return draw.random() < 0.5
        return self._text(name) if kind == "string" else draw.choice((*NUMBERS, *TEXTS, *OTHERS))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        draw, needed = self._random, schema.get("required", [])
        made = {
            name: self._value(part, name, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in needed or draw.random() < 0.4
        }
        if extra := schema.get("additionalProperties"):
            known = self._known.get("keys", [])
            keys = [draw.choice((*known, draw.choice(TEXTS))) for _ in range(draw.randrange(4))]
            made |= {key: self._value(extra if isinstance(extra, dict) else {}, key, depth + 1) for key in keys}
        return made
