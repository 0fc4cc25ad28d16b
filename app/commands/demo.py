"""`demo`: one trained model as a small application of its own."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, command, output


@command
def demo(
    model: Annotated[str, typer.Option(help="A model folder, or the name or id of a stored model.")],
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own let others in.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    abstain_below: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="No class is named below this probability.")
    ] = 0.5,
    json: JsonFlag = False,
) -> None:
    """Serve one model: an image in, probabilities and maps out. Nothing is recorded; there is no sign-in."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when Gradio is imported
    from app.demo import demo as build
    from core.errors import Unavailable

    with output(json) as out:
        blocks = build(find_folder(model), home=settings().home, abstain_below=abstain_below)
        try:
            _, url, _ = blocks.launch(server_name=host, server_port=port, quiet=True, prevent_thread_lock=True)
        except OSError as error:
            raise Unavailable(f"The port {port}", f"it cannot be used ({error})", "Choose another --port.") from None
        out.row({"url": url, "model": model}, f"{url}\n{DISCLAIMER}\nStop with Ctrl+C.")
        blocks.block_thread()


COMMANDS = (demo,)
