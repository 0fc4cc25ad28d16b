"""Errors as answers: one JSON shape for everything that can go wrong with a request."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import PromptoscopeError, Unavailable

log = logging.getLogger(__name__)


def error_body(code: str, expected: str, found: str = "", remedy: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    """The one JSON shape of an error answer: {"error": {code, message, expected, found, remedy, ...}}."""
    error = PromptoscopeError(expected, found, remedy)
    return {"error": {**error.as_dict(), "code": code, **more}}


def error_response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error body as an answer that no cache keeps."""
    return JSONResponse(dict(body), status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def respond_to_known(request: Request, error: Exception) -> JSONResponse:
    """The answer to a mistake a person can mend."""
    assert isinstance(error, PromptoscopeError), "registered for this family only"
    return known_error_response(error)


def known_error_response(error: PromptoscopeError) -> JSONResponse:
    """A known error with its problems; one that passes by itself says when to ask again (Retry-After)."""
    problems = [problem.as_dict() for problem in getattr(error, "problems", ())]
    body = {"error": {**error.as_dict(), **({"problems": problems} if problems else {})}}
    headers = (
        {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) and error.status == 503 else None
    )
    return error_response(error.status, body, headers)


def respond_to_invalid(request: Request, error: Exception) -> JSONResponse:
    """The answer to a body, query or path that does not fit the schema: each field named, values not repeated."""
    assert isinstance(error, RequestValidationError), "registered for this error only"
    fields = [{"field": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]} for item in error.errors()]
    found = "; ".join(f"{field['field']}: {field['problem']}" for field in fields)
    body = error_body(
        "invalid_input",
        "A request as /api/v1/openapi.json describes it",
        found,
        "Correct the named fields and send it again.",
        fields=fields,
    )
    return error_response(422, body)


def respond_to_http(request: Request, error: Exception) -> JSONResponse:
    """The answer to an HTTP error raised by the framework: unknown address, wrong method, malformed body."""
    assert isinstance(error, HTTPException), "registered for this error only"
    return error_response(error.status_code, http_error_body(request, error), error.headers)


def http_error_body(request: Request, error: HTTPException) -> dict[str, dict[str, Any]]:
    """Code, expected, found and remedy for a bare HTTP status."""
    if error.status_code == 404:
        return error_body(
            "not_found",
            "An address of this server",
            f"there is none at {request.url.path}",
            "GET /api/v1/openapi.json lists every address.",
        )
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return error_body(
            "method_not_allowed",
            f"One of {allowed} at {request.url.path}",
            f"found {request.method}",
            "GET /api/v1/openapi.json lists the methods of every address.",
        )
    phrase = HTTPStatus(error.status_code).phrase
    return error_body(phrase.lower().replace(" ", "_"), phrase, str(error.detail or ""), "")


class HideFailures:
    """ASGI layer that turns an unforeseen exception into a 500 without traceback and with a number for the log.

    It stands inside the framework's own error layer, which would answer with plain text and raise again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer 500 if the answer has not begun, else let the server cut the connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # whatever it is, the person gets a number and the log gets the trace
            response = failure_response(scope["method"], _route_path(scope), error)
            if begun:
                raise
            await response(scope, receive, send)


def failure_response(method: str, path: str, error: Exception) -> JSONResponse:
    """A 500 answer; where it happened goes to the log under the same id.

    The error's own text does not: it may name files, and those name patients.
    """
    log_id = secrets.token_hex(6)
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("request failed, log id %s: %s %s: %s\n%s", log_id, method, path, type(error).__name__, places)
    body = error_body(
        "internal_error",
        "The server completes the request",
        "it failed on something nobody foresaw",
        f"Look for log id {log_id} in the server's log, and report it together with what you did.",
        log_id=log_id,
    )
    return error_response(500, body)


def _route_path(scope: Scope) -> str:
    """The address pattern rather than the address, which may hold a name a person typed."""
    return getattr(scope.get("route"), "path", None) or scope.get("path", "")


def install_error_answers(app: FastAPI) -> None:
    """Give an application the one error shape for all four kinds of error."""
    app.add_exception_handler(PromptoscopeError, respond_to_known)
    app.add_exception_handler(RequestValidationError, respond_to_invalid)
    app.add_exception_handler(HTTPException, respond_to_http)
