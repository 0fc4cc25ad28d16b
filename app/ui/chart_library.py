"""The chart library, as its Python package carries it, under an address of our own that names its version."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import metadata
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PACKAGE, FILE = "plotly", "plotly/package_data/plotly.min.js"
FOLDER = "/static/charts"
FOR_A_YEAR = "private, max-age=31536000, immutable"


@cache
def chart_library_address() -> str:
    """Where browsers load the library from. A new version has a new address, so that an old copy is never used.

    Without the package the address leads nowhere: pages then show the table of a chart in place of its picture.
    """
    try:
        return f"{FOLDER}/{PACKAGE}-{metadata.version(PACKAGE)}.min.js"
    except metadata.PackageNotFoundError:
        return f"{FOLDER}/{PACKAGE}-missing.min.js"


def chart_library_route() -> Route:
    """The route that answers it; it comes before that of the other static files."""
    return Route(f"{FOLDER}/{{name}}", _answer, methods=["GET", "HEAD"], include_in_schema=False)


def _answer(request: Request) -> Response:
    path = _path()
    if path is None or request.path_params["name"] != chart_library_address().rsplit("/", 1)[-1]:
        raise HTTPException(404)
    headers = {"Cache-Control": FOR_A_YEAR, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(_packed(path), media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})
    return Response(path.read_bytes(), media_type="text/javascript", headers=headers)


def _path() -> Path | None:
    """The file, found without importing the package, which takes a while and is needed for nothing."""
    try:
        found = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        return None
    return found if found.is_file() else None


@cache
def _packed(path: Path) -> bytes:
    """A third of its size; kept in memory, since packing takes a quarter of a second."""
    return gzip.compress(path.read_bytes(), mtime=0)
