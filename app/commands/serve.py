"""`serve` and `worker`: the site, and a training worker of its own."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Annotated, Any

import typer

from app.commands.home import settings
from app.commands.output import JsonFlag, Output, command, output
from core.errors import Unavailable

SHUTDOWN_S = 3


@command
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; only this machine unless told otherwise.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A further name this server is reached by, for example behind a proxy.")
    ] = None,
    root_path: Annotated[
        str | None, typer.Option(help="Path below which a proxy shows the site, such as /promptoscope.")
    ] = None,
    worker: Annotated[bool, typer.Option(help="Start a training worker beside the site.")] = True,
    json: JsonFlag = False,
) -> None:
    """Serve the site and print the link that opens it."""
    from app.warm_up import load_models, resting_collector
    from core.settings import with_slash_before

    found = settings()
    if root_path is not None:
        found = found.model_copy(update={"root_path": with_slash_before(root_path)})
    listener = listen(host, port)
    with resting_collector(), output(json) as out, suppress(KeyboardInterrupt):
        from app.main import create_app
        from app.security import Access

        access = Access.prepare(found.home, host, allowed_host or ())
        app = create_app(found, access=access, with_worker=worker)

        def welcome() -> None:
            announce(out, link(host, listener.getsockname()[1], access.code, found.root_path))
            load_models()

        run_server(app, listener, welcome)


@command
def worker() -> None:
    """Work on queued trainings until stopped; `serve` starts one of these by itself."""
    from training_jobs.__main__ import main

    with suppress(KeyboardInterrupt):
        raise typer.Exit(main([]))  # its own arguments, not the words of this command


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises Unavailable if the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows the option would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"A free port {port} at {host}", str(error.strerror or error), "Choose another one with --port."
        ) from None
    return listener


def link(host: str, port: int, code: str, root_path: str = "") -> str:
    """The address to open. A server at all interfaces is reached by its loopback one."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}{root_path}/?code={code}"


def announce(out: Output, address: str) -> None:
    """Print the link, once the server answers."""
    out.row(
        {"url": address},
        f"Promptoscope is ready. Open this link:\n\n  {address}\n\n"
        "Whoever has it comes in, with any number of browsers, until the server stops. Treat it like a password.",
    )
    out.text("Research use only. Not for use in diagnostic procedures. Ctrl-C stops the server.")


def run_server(app: Any, listener: socket.socket, when_ready: Any) -> None:
    """Serve until told to stop. Requests are not logged: the link carries the code, and names are patients'."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                when_ready()

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=SHUTDOWN_S, server_header=False
    )
    server = Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise Unavailable("The site starts", "it did not; the reason stands above", "Mend it and start again.")


COMMANDS = (serve, worker)
