"""What every router shares: the context, paging, documented errors, and answers that are files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Query, Request, Response
from fastapi.responses import FileResponse

from app.api.schemas import DISCLAIMER, ErrorAnswer
from app.api.values import LARGEST_SQL_INTEGER
from app.services.context import Context
from core.errors import NotFound

PREFIX = "/api/v1"
LARGEST_PAGE = 1000
RESEARCH_HEADER = "X-Research-Use-Only"

_MEANINGS = {
    400: "Malformed request or a Host header that is not this server's",
    401: "Neither a session cookie nor a bearer token",
    403: "Caused by another site's page",
    404: "Nothing under this id or address",
    405: "Method not offered at this address",
    409: "Contradicts the present state",
    413: "Larger than one upload may be",
    415: "A body of another type than asked for",
    422: "A value that cannot be used as it is",
    500: "An unforeseen failure; `log_id` finds it in the log",
    503: "The database or weights are not there now, or too much waits already; ask again after `Retry-After`",
    507: "The disk is full; deleting makes room",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of error answers; those any address can give are always among them."""
    listed = sorted({400, 401, 403, 422, 500, 503, 507, *statuses})
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in listed}


async def context(request: Request) -> Context:
    """The context the application was made with. A coroutine, since a plain function would wait for a thread."""
    return request.app.state.context


InContext = Annotated[Context, Depends(context)]


async def research_use(response: Response) -> None:
    """Say on the answer itself what results are for."""
    response.headers[RESEARCH_HEADER] = DISCLAIMER


@dataclass(frozen=True)
class Paging:
    """limit and offset of a list."""

    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="At most so many items.")] = 100
    offset: Annotated[int, Query(ge=0, le=LARGEST_SQL_INTEGER, description="Skip so many items.")] = 0

    def cut(self, items: Sequence[Any]) -> dict[str, Any]:
        """The asked-for stretch of a whole list."""
        return self.page(items[self.offset : self.offset + self.limit], len(items))

    def page(self, items: Sequence[Any], total: int) -> dict[str, Any]:
        """A stretch that was already cut."""
        return {"items": list(items), "total": total, "limit": self.limit, "offset": self.offset}


InPages = Annotated[Paging, Depends(Paging)]


def file_answer(
    path: Path, media_type: str, name: str, *, download: bool = False, results: bool = False
) -> FileResponse:
    """A file under our own name, never sniffed, run as nothing, kept by no cache: its disk outlives a session.

    Raises NotFound if the file was removed meanwhile.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise NotFound("A stored file", "it was removed meanwhile", "Load the page again.") from None
    kind = "attachment" if download else "inline"
    headers = {
        "Content-Disposition": f"{kind}; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if results:
        headers[RESEARCH_HEADER] = DISCLAIMER
    return FileResponse(path, media_type=media_type, headers=headers, stat_result=facts)


def text_answer(text: str, media_type: str, name: str, *, results: bool = False) -> Response:
    """A text to be saved as a file under our own name, kept by no cache and run as nothing."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if results:
        headers[RESEARCH_HEADER] = DISCLAIMER
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=headers)


def binary(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entry of an answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": dict.fromkeys(media_types, schema)}}


def form_body(fields: dict[str, str], required: Sequence[str]) -> dict[str, Any]:
    """OpenAPI entry of a multipart body: text fields with their descriptions, and `files`."""
    properties: dict[str, Any] = {name: {"type": "string", "description": text} for name, text in fields.items()}
    properties["files"] = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    schema = {"type": "object", "properties": properties, "required": [*required, "files"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
