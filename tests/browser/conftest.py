"""The whole site on a port of its own, and a signed-in headless Chromium that reports what must not happen.

A page that asks another site, throws, or writes an error to the console fails its test, unless the test said that the
error is expected.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from app.services.context import Context

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A busy machine with two processors may need this long for one page.
PATIENCE_MS = 120_000
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Site:
    """A running site: its address without a slash at the end, the code that opens it, and the context it works in."""

    address: str
    code: str
    context: Context


def start_site(home: Path, *, with_worker: bool, root_path: str = "") -> tuple[Site, Callable[[], None]]:
    """Serve the application of a home folder from a thread; the second value stops it.

    root_path: where it stands below its server; the address then includes it, and asking anything outside is a mistake.
    """
    import uvicorn

    from app.main import create_app
    from core.settings import Settings

    app = create_app(Settings(home=home, root_path=root_path), with_worker=with_worker)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            pytest.fail("the site did not start in time")
        time.sleep(0.05)

    def stop() -> None:
        server.should_exit = True
        thread.join(20)

    address = f"http://127.0.0.1:{listener.getsockname()[1]}{root_path}"
    return Site(address, app.state.access.code, app.state.context), stop


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an empty home folder and no worker, for one test module."""
    running, stop = start_site(tmp_path_factory.mktemp("home"), with_worker=False)
    yield running
    stop()


@pytest.fixture(scope="session")
def program() -> str:
    """Where Chromium is; tests are skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install the package 'chromium'")
    return found


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """What drives browsers."""
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(driver: Any, program: str) -> Iterator[Any]:
    """A headless Chromium with a fresh profile."""
    browser = driver.chromium.launch(executable_path=program, args=FLAGS)
    yield browser
    browser.close()


@dataclass
class Visit:
    """A browser window on the site. `expected` holds parts of console errors the test provokes on purpose."""

    site: Site
    page: Any
    mistakes: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note foreign requests, console errors and exceptions from now on."""
        self.page.on("request", self._note_request)
        self.page.on("pageerror", lambda error: self.mistakes.append(f"exception: {error}"))
        self.page.on("console", self._note_console)

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((self.site.address, "data:", "blob:")):
            self.mistakes.append(f"foreign request: {request.url}")

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.mistakes.append(f"console: {message.text}")

    def open(self, path: str, wait_for: str = "h1") -> Any:
        """Go to a page of the site, wait for an element to be seen, and give the page."""
        self.page.goto(self.site.address + path)
        self.page.wait_for_selector(wait_for, timeout=PATIENCE_MS)
        return self.page

    @property
    def unexpected(self) -> list[str]:
        """What happened and should not have."""
        return [mistake for mistake in self.mistakes if not any(part in mistake for part in self.expected)]


@pytest.fixture
def open_window(chromium: Any, site: Site) -> Iterator[Callable[..., Visit]]:
    """Opens signed-in windows: `open_window(width=390, dark=True)`. At the end each must be free of mistakes."""
    visits: list[Visit] = []

    def open_(width: int = 1440, height: int = 900, dark: bool = False, **options: Any) -> Visit:
        scheme = "dark" if dark else "light"
        viewport = {"width": width, "height": height}
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        visit = Visit(site, context.new_page())
        visit.watch()
        visit.page.goto(f"{site.address}/?code={site.code}")
        visits.append(visit)
        return visit

    yield open_
    for visit in visits:
        visit.page.context.close()
    assert [visit.unexpected for visit in visits if visit.unexpected] == []


@pytest.fixture
def window(open_window: Callable[..., Visit]) -> Visit:
    """One signed-in window, 1440 px wide and light."""
    return open_window()
