"""The frame around every page: head, skip link, header with navigation, heading, footer.

Gradio draws its pages in the browser from an almost empty document. The frame is written into that document on the
server instead, so that the landmarks, the language and the heading are there before any script runs, and Gradio's own
cards, manifest and titles (which name Gradio and point to other sites) are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.page import Page

RESEARCH_USE = "For research use only. Not for use in diagnostic procedures."

_HEAD = """
<title>{title}</title>
<meta name="color-scheme" content="light dark">
<meta name="description" content="Promptoscope tunes biomedical vision-language models on few images.">
<link rel="icon" type="image/svg+xml" href="/static/icons/favicon.svg">
<link rel="stylesheet" href="/static/app.css">
<link rel="stylesheet" href="/static/results.css">
<script src="/static/js/theme.js"></script>
<script type="module" src="/static/js/core.js"></script>
"""

_TOP = """
<a class="ps-skip" href="{href}#main">Skip to the content</a>
<header class="ps-header">
  <div class="ps-header-inner">
    <a class="ps-brand" href="/" aria-label="Promptoscope, to the start page">
      <img src="/static/icons/mark.svg" alt="" width="28" height="28"><span>Promptoscope</span>
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


def navigation(pages: Sequence[Page], current: Page) -> str:
    """The list items of the navigation, with the current page marked for eyes and for screen readers."""
    return "".join(
        f'<li><a href="{page.href}"{" aria-current=page" if page == current else ""}>{escape(page.name)}</a></li>'
        for page in pages
    )


def frame(document: str, pages: Sequence[Page], current: Page) -> str:
    """Gradio's document of one page with our head, header, heading and footer written into it."""
    top = _TOP.format(
        href=current.href,
        links=navigation(pages, current),
        heading=escape(current.heading or current.name),
        lead=escape(current.lead),
    )
    document = _FOREIGN.sub("", document)
    document = document.replace("</head>", _HEAD.format(title=escape(current.title)) + "</head>", 1)
    # Otherwise Gradio writes its one title over that of each page.
    document = document.replace('control_page_title="true"', 'control_page_title="false"', 1)
    document = document.replace("<gradio-app", f"{top}<gradio-app", 1)
    return document.replace("</gradio-app>", f"</gradio-app>{_BOTTOM}", 1)


class Frame:
    """ASGI application that answers like Gradio's, with the frame around each of our pages."""

    def __init__(self, app: ASGIApp, pages: Sequence[Page]) -> None:
        self.app = app
        self.pages = pages
        self._by_path = {page.href: page for page in pages}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._by_path.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if page is None:
            await self.app(scope, receive, send)
            return
        # A compressed document could not be written into.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self.app({**scope, "headers": headers}, receive, _Framed(send, self.pages, page))


class _Framed:
    """Holds an HTML answer back until it is complete, then sends it framed."""

    def __init__(self, send: Send, pages: Sequence[Page], page: Page) -> None:
        self.send, self.pages, self.page = send, pages, page
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
        elif self.start is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self.start)

    async def _finish(self, start: Message) -> None:
        body = frame(self.body.decode(), self.pages, self.page).encode()
        kept = [(name, value) for name, value in start["headers"] if name.lower() not in _REPLACED]
        headers = [*kept, (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        await self.send({**start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


_REPLACED = {b"content-length", b"cache-control"}


def _is_html(message: Message) -> bool:
    types = [value for name, value in message["headers"] if name.lower() == b"content-type"]
    return message["status"] == 200 and any(value.startswith(b"text/html") for value in types)
