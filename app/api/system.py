"""Whether the server lives and is ready; the two addresses that need no sign-in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from app.api import schemas
from app.api.common import InContext, errors
from app.services import system

router = APIRouter(tags=["system"])


@router.get("/healthz", summary="Is the server alive", response_model=schemas.Health, responses=errors())
async def healthz(ctx: InContext) -> Any:
    """Answers as soon as the server runs, without waiting for a thread or the database."""
    return system.health(ctx)


@router.get(
    "/readyz",
    summary="Is the server ready",
    response_model=schemas.Health,
    responses={**errors(), 503: {"model": schemas.Health, "description": "The database is not ready"}},
)
def readyz(ctx: InContext, response: Response) -> Any:
    """Answers 200 if the database has the right tables, else 503."""
    found = system.ready(ctx)
    response.status_code = 200 if found["status"] == "ok" else 503
    return found
