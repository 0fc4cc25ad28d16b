"""The site: API, pages and static files behind one guard, with the database migrated and a worker at its side."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app.api.common import PREFIX
from app.api.once import OnceOnly
from app.api.routes import add_api
from app.api.schemas import DISCLAIMER
from app.api.values import FitAddress
from app.http_errors import HideFailures, ReadableErrors, install_error_answers
from app.lanes import THREADS, Lanes
from app.root_path import BelowPath, check_root_path
from app.security import Access, Guard, PrivacyHeaders
from app.services.contents import fill_reserve, sweep_home
from app.services.context import Context, open_context
from app.worker_process import WorkerProcess
from core.disk import Reserve, free_bytes
from core.errors import Unavailable
from core.images.signature_store import kept_signatures
from core.records import migrate
from core.settings import Settings
from core.version import VERSION

log = logging.getLogger(__name__)
ROOM_TO_OPEN_BYTES = 1024**2
# A person or a program waits for the answer, so a locked database is told sooner than a command or a job tells it.
DATABASE_WAIT_S = 10


def create_app(
    settings: Settings | None = None,
    *,
    access: Access | None = None,
    context: Context | None = None,
    with_worker: bool = True,
    with_pages: bool = True,
) -> FastAPI:
    """The whole site for one home folder.

    access: secrets and host names; without it, those of a server bound to loopback. with_worker: start a training
    worker beside the site. with_pages: mount the pages (the API alone starts faster).
    """
    context = context or open_context(settings or Settings(), wait_s=DATABASE_WAIT_S)
    root_path = context.settings.root_path
    app = FastAPI(
        title="Promptoscope",
        version=VERSION,
        description=f"Few-shot tuning, honest comparison and attention maps. {DISCLAIMER}",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # the framework's pages load their scripts from another site
        redoc_url=None,
        servers=[{"url": root_path}] if root_path else None,
        telemetry={"auto_configure": False},  # nothing about requests leaves this machine
        lifespan=_lifespan(context, with_worker),
    )
    app.state.context = context
    app.state.access = access or Access.prepare(context.home)
    install_error_answers(app)
    add_api(app)
    names = {"api", "static", "assets", "gradio_api"}
    if with_pages:
        names |= _add_pages(app, context)
    app.add_middleware(OnceOnly, context=context)
    app.add_middleware(Lanes)
    app.add_middleware(FitAddress)
    app.add_middleware(Guard, access=app.state.access)
    app.add_middleware(HideFailures)
    app.add_middleware(ReadableErrors)
    app.add_middleware(PrivacyHeaders)
    check_root_path(root_path, names)
    app.add_middleware(BelowPath, root_path=root_path)  # the one added last is outermost
    return app


def _lifespan(context: Context, with_worker: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await run_in_threadpool(prepare_home, context)
        worker = WorkerProcess(context.settings) if with_worker else None
        if worker:
            worker.start()
        await run_in_threadpool(load_engine)
        try:
            with kept_signatures(context.settings.signatures_path):
                yield
        finally:
            if worker:
                await run_in_threadpool(worker.stop)
            context.close()

    return lifespan


def prepare_home(context: Context) -> None:
    """Migrate the database, after a backup if it is older and holds data, and remove what a crash left behind."""
    done = _migrate(context)
    if done.backup:
        log.warning("the database was brought from %s to %s; a copy is at %s", done.before, done.after, done.backup)
    if swept := sweep_home(context):
        log.warning("%d unfinished uploads or removals of an earlier process were cleared away", swept)
    fill_reserve(context)


def _migrate(context: Context) -> migrate.Upgrade:
    try:
        return migrate.upgrade(context.settings.database, backups_dir=context.home / "backups")
    except Unavailable:
        # Even opening an SQLite database needs some room, and without a site nobody can delete anything.
        if free_bytes(context.home) >= ROOM_TO_OPEN_BYTES or not Reserve.of(context.home).release():
            raise
        return migrate.upgrade(context.settings.database, backups_dir=context.home / "backups")


def load_engine() -> None:
    """Load what pages and models need, before the first request.

    Loading it beside requests would stop them all for seconds: libraries are loaded under the interpreter's one lock.
    """
    try:
        for module in ("core.explain.explain", "core.tuning.classifier"):
            importlib.import_module(module)
        importlib.import_module("app.services.methods").list_methods()
    except Exception:  # the page that needs it will say what is wrong; the site must start all the same
        log.exception("loading the methods failed")


def _add_pages(app: FastAPI, context: Context) -> set[str]:
    """Mount the pages; returns the first parts of their addresses."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported, which the pages do
    os.environ.setdefault("GRADIO_TEMP_DIR", str(context.settings.cache_dir / "gradio"))
    from app.ui.layout import PAGES, mount_pages

    mount_pages(app, context)
    return {page.path for page in PAGES if page.path}
