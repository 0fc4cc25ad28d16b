"""Who may come in: a link with a secret code, a signed session cookie, a bearer token, and the checks before them.

Everything is one ASGI layer in front of the API, the pages and the static files, so that nothing a mounted
application adds is open by accident. Only `/healthz` and `/readyz` answer without a session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import ipaddress
import os
import secrets
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http_errors import error_body, error_response
from app.root_path import public_path

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_DAYS = 30
SECRET_BYTES = 32
CODE_FIELD = "code"
WILDCARD_HOSTS = frozenset({"0.0.0.0", "::", ""})

PAGE_POLICY = "; ".join(
    [
        "default-src 'self'",
        # Gradio writes its configuration and the pages' small scripts into the document, and compiles templates.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
API_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

SIGN_IN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to Promptoscope</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:12vh auto;padding:0 1.5rem;color:#1b1f24}}
code{{background:#eef1f4;padding:.1em .35em;border-radius:4px}}</style></head>
<body><main><h1>Sign in to Promptoscope</h1><p>{reason}</p>
<p>The link was printed where the server was started (<code>promptoscope serve</code>, <code>make run</code> or the
container's log). It looks like <code>{address}/?code=&hellip;</code>. Open it in this browser; the browser then
stays signed in.</p>
<p>The link opens any number of browsers until the server stops, for whoever has it. A new start prints a
new one.</p>
<p>Research use only. Not for use in diagnostic procedures.</p></main></body></html>
"""


def read_or_make_secret(path: Path) -> str:
    """A secret of 256 bits kept in a file that only its owner may read (mode 0600); made at first use.

    Two processes that start at once agree: the file appears whole under its name or not at all.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first, and its secret counts
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return path.read_text().strip()


@dataclass(frozen=True)
class Access:
    """The secrets of one running server and the host names it answers to.

    code: opens a session, new at each start. key: signs sessions, kept in the home folder so that they survive a
    restart. token: for programs. hosts: names beside the loopback ones; any_address: bound to all interfaces, so
    every literal address is right (a page that rebinds a name to us still sends that name).
    """

    code: str
    key: bytes
    token: str
    hosts: frozenset[str] = frozenset()
    any_address: bool = False

    @classmethod
    def prepare(cls, home: Path, bound_host: str = "127.0.0.1", more_hosts: Collection[str] = ()) -> Access:
        """Read or make the secrets of a home folder; a new code."""
        wildcard = bound_host in WILDCARD_HOSTS
        hosts = {name.lower() for name in more_hosts}
        hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()} if wildcard else {bound_host.lower()}
        return cls(
            code=secrets.token_urlsafe(SECRET_BYTES),
            key=read_or_make_secret(home / "session-key").encode(),
            token=read_or_make_secret(home / "api-token"),
            hosts=frozenset(hosts),
            any_address=wildcard,
        )

    @property
    def cookie_name(self) -> str:
        """Differs between homes, because browsers share cookies between ports of one machine."""
        return f"promptoscope_{hashlib.sha256(self.key).hexdigest()[:8]}"

    def new_session(self, now: float | None = None) -> str:
        """A signed cookie value: issue time, random part, signature."""
        payload = f"{int(time.time() if now is None else now)}.{secrets.token_urlsafe(12)}"
        return f"{payload}.{self._sign(payload)}"

    def is_session(self, value: str, now: float | None = None) -> bool:
        """Whether a cookie value was signed here and is not older than SESSION_DAYS."""
        payload, _, signature = value.rpartition(".")
        if not same_text(signature, self._sign(payload)):
            return False
        age_s = (time.time() if now is None else now) - int(payload.split(".")[0])
        return -60 <= age_s <= SESSION_DAYS * 86400

    def is_code(self, value: str) -> bool:
        """Whether this is the code of this start."""
        return same_text(value, self.code)

    def is_token(self, authorization: str) -> bool:
        """Whether an Authorization header carries the bearer token."""
        scheme, _, value = authorization.partition(" ")
        return scheme.lower() == "bearer" and same_text(value.strip(), self.token)

    def is_host(self, header: str) -> bool:
        """Whether a Host header names this server: a loopback name, the bound host, or an allowed one."""
        name = host_name(header)
        if name == "localhost" or name in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.any_address

    def _sign(self, payload: str) -> str:
        signature = hmac.new(self.key, payload.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(signature).decode().rstrip("=")


def same_text(given: str, secret: str) -> bool:
    """Equality in constant time; an empty secret equals nothing."""
    return bool(secret) and hmac.compare_digest(given.encode(), secret.encode())


def host_name(header: str) -> str:
    """The name in a Host header or origin, without port and brackets, in lower case; empty where malformed."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


class Guard:
    """ASGI layer that refuses foreign hosts, foreign origins and everybody without a session, in this order."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass; answer the rest here. Sockets of other kinds than HTTP are closed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = self.refusal(scope)
            await (refusal or self.app)(scope, receive, send)

    def refusal(self, scope: Scope) -> Response | None:
        """The answer that keeps a request out (or signs it in), or None if it may pass."""
        headers, path = Headers(scope=scope), scope["path"]
        if not self.access.is_host(headers.get("host", "")):
            return wrong_host()
        if path in OPEN_PATHS and scope["method"] in SAFE_METHODS:
            return None
        if self.access.is_token(headers.get("authorization", "")):
            return None
        if is_foreign(scope["method"], headers):
            return wrong_origin()
        code = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))).get(CODE_FIELD)
        if code is not None and scope["method"] == "GET" and not path.startswith("/api/"):
            return self.sign_in(scope, code)
        if self.access.is_session(session_cookie(headers, self.access.cookie_name)):
            return None
        return not_signed_in(scope, headers, "This address needs a sign-in, and this browser has none yet.")

    def sign_in(self, scope: Scope, code: str) -> Response:
        """Set the session cookie and show the same page without the code; or say that the code is wrong."""
        headers = Headers(scope=scope)
        if not self.access.is_code(code):
            return not_signed_in(scope, headers, "The link's code is not valid: the server was started again since.")
        response = RedirectResponse(address_without_code(scope), 303, {"Cache-Control": "no-store"})
        response.set_cookie(
            self.access.cookie_name,
            self.access.new_session(),
            max_age=SESSION_DAYS * 86400,
            httponly=True,
            samesite="lax",
            secure=scope.get("scheme") == "https",
            path=public_path(scope) or "/",
        )
        return response


def session_cookie(headers: Headers, name: str) -> str:
    """The session cookie's value, or an empty text."""
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def is_foreign(method: str, headers: Headers) -> bool:
    """Whether another site's page caused this request.

    Browsers say so in Sec-Fetch-Site, older ones in Origin for everything that may change something. Following a link
    to a page here is allowed; reading our pictures or writing from another origin is not, not even from another port
    of the same machine, which would carry the cookie.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site not in {"same-origin", "none"} and not is_link
    origin = headers.get("origin")
    if method in SAFE_METHODS or origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True  # not an address at all, so not ours


def address_without_code(scope: Scope) -> str:
    """Path and query of a request without the code. One leading slash: two would name another host."""
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    rest = urlencode([(name, value) for name, value in query if name != CODE_FIELD])
    path = "/" + quote(scope["path"].replace("\\", "/").lstrip("/"))
    return f"{path}?{rest}" if rest else path


def wrong_host() -> Response:
    """Refusal of a Host header that is not ours (protection against rebound names)."""
    body = error_body(
        "wrong_host",
        "A request addressed to this server's own name",
        "found another Host header",
        "Use the printed link, or start the server with --allowed-host NAME.",
    )
    return error_response(400, body)


def wrong_origin() -> Response:
    """Refusal of a request another site's page made."""
    body = error_body(
        "not_allowed",
        "A request made by a page of this server",
        "found one made by another site",
        "Open this server's own pages, or use the API token.",
    )
    return error_response(403, body)


def not_signed_in(scope: Scope, headers: Headers, reason: str) -> Response:
    """401: a page for people, the JSON shape for programs."""
    path = scope["path"]
    if "text/html" in headers.get("accept", "") and not path.startswith(("/api/", "/gradio_api/")):
        host = headers.get("host", "127.0.0.1:8000")
        address = f"{scope.get('scheme', 'http')}://{host}{public_path(scope)}"
        page = SIGN_IN_PAGE.format(reason=reason, address=html.escape(address))
        return HTMLResponse(page, 401, {"Cache-Control": "no-store"})
    body = error_body(
        "not_signed_in",
        "A signed-in browser or 'Authorization: Bearer <token>'",
        "found neither",
        "Open the link the server printed, or send the token kept in the file api-token of the home folder.",
    )
    return error_response(401, body, {"WWW-Authenticate": "Bearer"})


class PrivacyHeaders:
    """ASGI layer that adds to every answer what keeps pictures and pages private."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add headers to the start of each HTTP answer; those an answer sets itself stay."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_api = scope["path"].startswith("/api/")
        policy = API_POLICY if is_api else PAGE_POLICY
        # Answers of the API hold pictures and names of patients; a browser's disk would keep them past the session.
        caching = "no-store" if is_api else "private, no-cache"

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", policy)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
                headers.setdefault("Cache-Control", caching)
            await send(message)

        await self.app(scope, receive, add)
