"""The frame around every page: head, skip link, header with navigation, heading, footer.

Gradio draws its pages in the browser from an almost empty document. The frame is written into that document on the
server instead, so that the landmarks, the language and the heading are there before any script runs, and Gradio's own
cards, manifest and titles (which name Gradio and point to other sites) are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.root_path import public_path
from app.ui.chart_library import chart_library_address
from app.ui.page import Page

RESEARCH_USE = "For research use only. Not for use in diagnostic procedures."

_HEAD = """
<title>{title}</title>
<meta name="color-scheme" content="light dark">
<meta name="description" content="Promptoscope tunes biomedical vision-language models on few images.">
<link rel="icon" type="image/svg+xml" href="{root}/static/icons/favicon.svg">
<link rel="stylesheet" href="{root}/static/app.css">
<link rel="stylesheet" href="{root}/static/results.css">
<link rel="stylesheet" href="{root}/static/descriptions.css">
<meta name="ps-charts" content="{root}{charts}">
<script src="{root}/static/js/theme.js"></script>
<script type="module" src="{root}/static/js/core.js"></script>
"""

_TOP = """
<a class="ps-skip" href="{root}{href}#main">Skip to the content</a>
<header class="ps-header">
  <div class="ps-header-inner">
    <a class="ps-brand" href="{root}/" aria-label="Promptoscope, to the start page">
      <img src="{root}/static/icons/mark.svg" alt="" width="28" height="28"><span>Promptoscope</span>
    </a>
    <nav class="ps-nav" aria-label="Pages"><ul>{links}</ul></nav>
    <button class="ps-theme" type="button" data-ps-theme><span class="ps-visually-hidden">Colours: </span>
      <span data-ps-theme-name>system</span></button>
  </div>
</header>
<main id="main" class="ps-main" tabindex="-1">
<div class="ps-page-head"><h1>{heading}</h1><p class="ps-lead">{lead}</p></div>
<noscript><p class="ps-notice">This page needs JavaScript, which is switched off in this browser.</p></noscript>
"""

_BOTTOM = f"""
</main>
<footer class="ps-footer"><p>{RESEARCH_USE}</p></footer>
<div class="ps-visually-hidden" role="status" aria-live="polite" id="ps-polite"></div>
<div class="ps-visually-hidden" role="alert" aria-live="assertive" id="ps-assertive"></div>
"""

# Gradio's social cards point to its own site, and its manifest is fetched without our session cookie.
_FOREIGN = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')

PLACEHOLDER_HOST = "promptoscope.invalid"
# Gradio writes the address it was asked under into each page.
_PLACEHOLDER = f'"http://{PLACEHOLDER_HOST}"'

_FILES = frozenset({"/theme.css"})
_NAME = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9_.@-]*)+")
_LONGEST = 200
_FILE_HEADERS = frozenset({b"host", b"accept-encoding", b"if-none-match", b"if-modified-since"})


def navigation(pages: Sequence[Page], current: Page, root: str = "") -> str:
    """The list items of the navigation, with the current page marked for eyes and for screen readers.

    root: the path the site stands below, "" at the root of its server.
    """
    return "".join(
        f'<li><a href="{root}{page.href}"{" aria-current=page" if page == current else ""}>{escape(page.name)}</a></li>'
        for page in pages
    )


def frame(document: str, pages: Sequence[Page], current: Page, root: str = "") -> str:
    """Gradio's document of one page with our head, header, heading and footer written into it."""
    top = _TOP.format(
        root=root,
        href=current.href,
        links=navigation(pages, current, root),
        heading=escape(current.heading or current.name),
        lead=escape(current.lead),
    )
    document = _FOREIGN.sub("", document).replace(_PLACEHOLDER, f'(location.origin + "{root}")')
    head = _HEAD.format(root=root, title=escape(current.title), charts=chart_library_address())
    document = document.replace("</head>", f"{head}</head>", 1)
    # Otherwise Gradio writes its one title over that of each page.
    document = document.replace('control_page_title="true"', 'control_page_title="false"', 1)
    document = document.replace("<gradio-app", f"{top}<gradio-app", 1)
    return document.replace("</gradio-app>", f"</gradio-app>{_BOTTOM}", 1)


class Frame:
    """ASGI application in front of Gradio's: its pages in our frame, the files they load, and nothing else of it.

    Pages ask our own API. Gradio's routes for events, uploads, files, proxies and documentation are not needed, were
    not made for hostile requests (some answer 500 in plain text), and are closed: what is not listed here is not there.
    """

    def __init__(self, app: ASGIApp, pages: Sequence[Page]) -> None:
        self.app = app
        self.pages = pages
        self._by_path = {page.href: page for page in pages}
        self._documents: dict[tuple[Page, str], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for pages and their files. Raises HTTPException for everything else."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        page = self._by_path.get(path)
        if page is None and not _is_file_of_pages(path):
            await self._lead_to_page(scope, receive, send)
        elif scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        elif page is not None:
            await self._show(page, scope, receive, send)
        else:
            await self._give_file(scope, receive, send)

    async def _lead_to_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page asked for with a slash behind; nothing else is there."""
        page = self._by_path.get(scope["path"].rstrip("/"))
        if page is None or scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(404)
        query = scope.get("query_string", b"").decode("latin-1")
        address = f"{page.href}?{query}" if query else page.href
        await RedirectResponse(address, 307, {"Cache-Control": "no-store"})(scope, receive, send)

    async def _show(self, page: Page, scope: Scope, receive: Receive, send: Send) -> None:
        root = public_path(scope)
        document = self._documents.get((page, root))
        if document is None:
            document = self._documents[page, root] = await self._draw(page, scope, receive, root)
        await HTMLResponse(document, headers={"Cache-Control": "no-store"})(scope, receive, send)

    async def _draw(self, page: Page, scope: Scope, receive: Receive, root: str) -> str:
        """One page in our frame: the same for everybody, so it is drawn once.

        Gradio writes the address it was asked under into the document, which would be wrong behind a proxy: the browser
        puts it in instead. Queries are for our own scripts, and Gradio fails on some.
        """
        asked = {**scope, "method": "GET", "query_string": b"", "headers": [(b"host", PLACEHOLDER_HOST.encode())]}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        await self._only_good(asked, receive, keep)
        return frame(body.decode(), self.pages, page, root)

    async def _give_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = [(name, value) for name, value in scope["headers"] if name in _FILE_HEADERS]
        await self._only_good({**scope, "query_string": b"", "headers": kept}, receive, send)

    async def _only_good(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass Gradio's good answers on. Raises HTTPException for its errors, so that they get our shape."""
        failed: int | None = None

        async def watch(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start" and message["status"] >= 400:
                failed = message["status"]
            if failed is None:
                await send(message)

        await self.app(scope, receive, watch)
        if failed is not None:
            raise HTTPException(failed)


def _is_file_of_pages(path: str) -> bool:
    """Whether Gradio has a file of this name for its pages, as far as the name says."""
    return path in _FILES or (path.startswith("/assets/") and len(path) <= _LONGEST and bool(_NAME.fullmatch(path)))
