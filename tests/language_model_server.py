"""An HTTP server on loopback that speaks the OpenAI protocol of chat completions, well or badly, as a test tells it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reaction = Callable[["Call"], None]
"""What the server does with a request."""


@dataclass
class Call:
    """One request. number: from 0, over all requests."""

    number: int
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    handler: BaseHTTPRequestHandler

    @property
    def asked_class(self) -> str:
        """The class that the question is about."""
        user = self.body["messages"][-1]["content"]
        return re.findall(r'\{"class": "(.*?)", "sentences"', user)[-1]

    @property
    def n(self) -> int:
        """How many sentences are asked for."""
        return int(re.findall(r"\b(\d+) (?:different|attributes)", self.body["messages"][-1]["content"])[-1])

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Answer with these bytes."""
        self.handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def say(self, text: Any, usage: dict[str, int] | None = None, finish: str = "stop") -> None:
        """Answer as a model that has said this."""
        message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        whole = {"id": "x", "object": "chat.completion", "model": "m", "choices": [message]}
        whole |= {"usage": usage} if usage else {}
        self.send(200, json.dumps(whole).encode())


@dataclass
class Served:
    """A running server. react: may be changed at any time. calls: all requests so far."""

    address: str
    react: Reaction
    calls: list[Call] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Classes asked about, in order."""
        return [call.asked_class for call in self.calls]


FEATURES = ("round", "oval", "bright", "dark", "sharp", "blurred", "large", "small", "smooth", "rough")


def sentences(name: str, n: int) -> list[str]:
    """n different sentences about a class."""
    return [
        f"An image of {name} shows a {FEATURES[i % 10]} area with {FEATURES[i // 10 % 10]} margins in zone {i}."
        for i in range(n)
    ]


def well(call: Call) -> None:
    """Answers as asked."""
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    call.say(json.dumps({"class": call.asked_class, "sentences": sentences(call.asked_class, call.n)}), usage)


@contextmanager
def language_model(react: Reaction = well) -> Iterator[Served]:
    """A server on a free port of loopback while the block lasts."""
    served = Served("", react)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                call = Call(len(served.calls), self.path, dict(self.headers), json.loads(raw), raw, self)
                served.calls.append(call)
            self.close_connection = True
            try:
                served.react(call)
            except (BrokenPipeError, ConnectionResetError):
                return  # whoever asked has gone

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def drip(call: Call, *, headers: bool = False) -> None:
    """Sends one byte every 20 ms without end."""
    wire = call.handler.wfile
    start = b"HTTP/1.1 200 OK\r\nX-Slow: " if headers else b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    wire.write(start)
    for _ in range(3000):
        wire.write(b"x")
        wire.flush()
        time.sleep(0.02)


def flood(call: Call, *, announced: bool = True) -> None:
    """Sends 10 MB of a well-begun answer."""
    wire = call.handler.wfile
    length = b"Content-Length: 10000000\r\n" if announced else b"Connection: close\r\n"
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n")
    wire.write(b'{"choices": [{"message": {"content": "')
    for _ in range(1000):
        wire.write(b"x" * 10_000)
