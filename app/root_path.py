"""The site below a path of another server, such as https://scans.example.org/promptoscope/."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import InvalidOption

PUBLIC_PATH = "public_path"
"""Key of the request's scope: the path the site stands below, "" at the root of its server."""

_FORM = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def check_root_path(path: str, own_names: Collection[str]) -> None:
    """Raises InvalidOption for a path that a site cannot stand below.

    own_names: first parts of the site's own addresses; below one of these nobody could tell the two apart.
    """
    first, parts = path[1:].split("/")[0], path.split("/")
    if not _FORM.fullmatch(path) or "." in parts or ".." in parts:
        raise InvalidOption(
            "A root path of letters, digits and . _ ~ - between slashes, such as /promptoscope",
            f"found {path[:80]!r}",
            "Give the path below which the proxy shows the site, without server and query.",
        )
    if first in own_names:
        raise InvalidOption(
            "A root path that is none of the site's own addresses", f"found '/{first}'", "Choose /promptoscope, say."
        )


def public_path(scope: Scope) -> str:
    """The path the site stands below for this request, "" at the root."""
    return str(scope.get(PUBLIC_PATH, ""))


class BelowPath:
    """Outermost ASGI layer: inside it all addresses start at the root, outside it all start at the root path.

    It does not matter whether the proxy passes the path on or takes it off. Redirects that name this server get the
    path back. Without a configured path the one that the server hands over counts.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the path off the request and put it before redirects."""
        root = self.root_path or scope.get("root_path", "").rstrip("/")
        if scope["type"] not in {"http", "websocket"} or not root:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path == root and scope["type"] == "http":
            query = scope.get("query_string", b"").decode("latin-1")
            # Links in the pages are relative to a folder, which the browser sees by the slash at the end.
            answer = RedirectResponse(f"{root}/?{query}" if query else f"{root}/", 307, {"Cache-Control": "no-store"})
            await answer(scope, receive, send)
            return
        inside = path.removeprefix(root) if path.startswith(f"{root}/") else path
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""

        async def put_before(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = _outside(headers["location"], host, root)
            await send(message)

        inner = {**scope, "path": inside, "raw_path": inside.encode(), "root_path": "", PUBLIC_PATH: root}
        await self.app(inner, receive, put_before)


def _outside(location: str, host: str, root: str) -> str:
    """A redirect as the browser must follow it; one to another server stays."""
    found = urlsplit(location)
    if found.netloc and found.netloc.lower() != host.lower():
        return location
    query = f"?{found.query}" if found.query else ""
    return f"{root}/{found.path.lstrip('/')}{query}" if found.path.startswith("/") else location
