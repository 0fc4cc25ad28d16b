"""The site's pages put together: one Gradio application with an address per page, in our own frame and colours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.ui import attention, classify, compare, descriptions, experiments, image_sets, jobs, start, train
from app.ui.chart_library import chart_library_route
from app.ui.shell import Frame

if TYPE_CHECKING:
    from app.services.context import Context

STATIC_DIR = Path(__file__).resolve().parents[2] / "static"

# The order is that of the work, and of the navigation.
PAGE_MODULES = (start, image_sets, descriptions, train, experiments, compare, classify, attention, jobs)
PAGES = tuple(module.PAGE for module in PAGE_MODULES)


def theme() -> gr.themes.Base:
    """Gradio's components in the colours, type and corners of `static/app.css`.

    Each value names one of our custom properties, which answer to light and dark by themselves.
    """
    face = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
    fixed = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")
    base = gr.themes.Base(font=[gr.themes.Font(name) for name in face], font_mono=[gr.themes.Font(n) for n in fixed])
    return base.set(**{f"{name}{dark}": value for name, value in _COLOURS.items() for dark in ("", "_dark")}, **_SHAPES)


_COLOURS = {
    "body_background_fill": "var(--ps-page)",
    "body_text_color": "var(--ps-ink)",
    "body_text_color_subdued": "var(--ps-ink-soft)",
    "background_fill_primary": "var(--ps-surface)",
    "background_fill_secondary": "var(--ps-surface-2)",
    "block_background_fill": "var(--ps-surface)",
    "block_border_color": "var(--ps-line)",
    "block_label_background_fill": "var(--ps-surface)",
    "block_label_text_color": "var(--ps-ink-soft)",
    "block_title_text_color": "var(--ps-ink)",
    "border_color_primary": "var(--ps-line)",
    "border_color_accent": "var(--ps-accent)",
    "color_accent_soft": "var(--ps-accent-soft)",
    "input_background_fill": "var(--ps-surface)",
    "input_border_color": "var(--ps-edge)",
    "input_border_color_focus": "var(--ps-accent)",
    "link_text_color": "var(--ps-accent-ink)",
    "button_primary_background_fill": "var(--ps-accent)",
    "button_primary_background_fill_hover": "var(--ps-accent-strong)",
    "button_primary_text_color": "var(--ps-on-accent)",
    "button_secondary_background_fill": "var(--ps-surface)",
    "button_secondary_background_fill_hover": "var(--ps-surface-2)",
    "button_secondary_border_color": "var(--ps-edge)",
    "button_secondary_text_color": "var(--ps-ink)",
    "table_even_background_fill": "var(--ps-surface)",
    "table_odd_background_fill": "var(--ps-surface)",
    "slider_color": "var(--ps-accent)",
}
_SHAPES = {"block_radius": "var(--ps-radius)", "button_large_radius": "var(--ps-radius)", "block_shadow": "none"}


def build_pages(ctx: Context) -> gr.Blocks:
    """One `gr.Blocks` with all pages, each built by the `build(ctx)` of its module."""
    with gr.Blocks(title="Promptoscope", analytics_enabled=False, fill_width=True) as blocks:
        PAGE_MODULES[0].build(ctx)
    for module in PAGE_MODULES[1:]:
        with blocks.route(module.PAGE.name, module.PAGE.href, show_in_navbar=False):
            module.build(ctx)
    return blocks


def mount_pages(app: FastAPI, ctx: Context) -> None:
    """Serve the pages at `/` and their files at `/static`; call it after the API's routes are in place."""
    app.router.routes.append(chart_library_route())
    app.mount("/static", StaticAssets(directory=STATIC_DIR, packages=[("gradio", "templates/frontend/static")]))
    with warnings.catch_warnings():
        # Gradio says of every site with several pages that it draws them in the browser, which is what we ask for.
        warnings.filterwarnings("ignore", message="SSR mode is not supported")
        gr.mount_gradio_app(
            app,
            build_pages(ctx),
            path="/",
            theme=theme(),
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            show_error=False,
            # Files go to our own API, which checks and limits them; Gradio's upload keeps copies outside our store.
            max_file_size=1,
        )
    _frame_the_pages(app)


def _frame_the_pages(app: FastAPI) -> None:
    mount = next(route for route in reversed(app.routes) if isinstance(route, Mount) and route.path == "")
    mount.app = Frame(mount.app, PAGES)


class StaticAssets(StaticFiles):
    """Our own files, then Gradio's of the same prefix; checked for news on each visit, so that no old script stays."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response
