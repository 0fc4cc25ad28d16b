"""All routers put into an application, and the answers to API addresses that do not exist."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from app.api import (
    classifications,
    description_effect,
    description_files,
    description_review,
    description_sets,
    description_tasks,
    description_unsaved,
    description_versions,
    experiments,
    explanation_batches,
    explanation_heads,
    image_sets,
    jobs,
    methods,
    published,
    recipes,
    regions,
    reports,
    runs,
    system,
)
from app.api.common import PREFIX

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class NoSuchAddress:
    """ASGI endpoint behind all API routes: 405 where another method would do, else 404.

    Without it such requests would fall through to the pages mounted at the root and be answered in another shape.
    """

    def __init__(self, routes: list[BaseRoute]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise the error; the application gives it its shape."""
        allowed = [method for method in METHODS if self._is_offered(scope, method)]
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
        raise HTTPException(404)

    def _is_offered(self, scope: Scope, method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in self._routes)


def add_api(app: FastAPI) -> None:
    """Put every router in, then the fallback for the rest of `/api/`."""
    app.include_router(system.router)
    for module in (
        image_sets,
        regions,
        # before the sets, whose ids would take the words of its addresses
        description_tasks,
        description_sets,
        description_effect,
        description_review,
        description_unsaved,
        description_versions,
        description_files,
        methods,
        recipes,
        jobs,
        runs,
        experiments,
        published,
        reports,
        classifications,
        explanation_batches,
        explanation_heads,
    ):
        app.include_router(module.router, prefix=PREFIX)
    app.router.routes.append(Route("/api/{rest:path}", NoSuchAddress(list(app.router.routes))))
