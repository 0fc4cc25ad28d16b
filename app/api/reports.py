"""Reports of studies: a reporting guideline's items, filled from the records as far as they go."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from app.api.common import InContext, binary, errors, research_use
from app.services import reports

router = APIRouter(prefix="/reports", tags=["reports"], dependencies=[Depends(research_use)])
Standard = Literal["claim", "tripod-ai", "stard-ai"]


@router.get(
    "",
    summary="Download a report of a study",
    response_class=Response,
    responses=errors(404, 422) | binary("The report; what only a person can say is a blank.", "text/html"),
)
def report(
    of: Annotated[str, Query(min_length=1, max_length=200, description="An experiment, a run or a model: id or name.")],
    ctx: InContext,
    standard: Annotated[Standard, Query(description="The reporting guideline.")] = "claim",
    pictures: Annotated[
        bool, Query(description="Small copies of images and their file names too: the file is then patient data.")
    ] = False,
) -> Any:
    """One HTML file that needs no network: numbers, flow of images, wrong answers, and the guideline's items."""
    study, _, page = reports.report(ctx, of, standard, with_images=pictures)
    name = quote(f"{study.name}, {standard}.html", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)
