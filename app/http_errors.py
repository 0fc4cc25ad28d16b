"""Errors as answers: one JSON shape for everything that can go wrong with a request."""

from __future__ import annotations

import html
import json
import logging
import secrets
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.root_path import public_path
from core.disk import disk_full, is_full
from core.errors import PromptoscopeError, Unavailable
from core.text import shown, storable

log = logging.getLogger(__name__)
MOST_FIELDS = 50
LONGEST_FIELD, LONGEST_PROBLEM = 200, 500

ERROR_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Promptoscope</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:12vh auto;padding:0 1.5rem}}</style></head>
<body><main><h1>{title}</h1><p>{text}</p><p><a href="{home}">To the start page</a></p></main></body></html>
"""


def error_body(code: str, expected: str, found: str = "", remedy: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    """The one JSON shape of an error answer: {"error": {code, message, expected, found, remedy, ...}}."""
    error = PromptoscopeError(expected, found, remedy)
    return {"error": {**error.as_dict(), "code": code, **more}}


def error_response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error body as an answer that no cache keeps. What it quotes of a request is made fit for JSON."""
    return JSONResponse(
        storable(dict(body)), status_code=status, headers={"Cache-Control": "no-store", **(headers or {})}
    )


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
    fields = [_field(item) for item in error.errors()[:MOST_FIELDS]]
    found = "; ".join(f"{field['field']}: {field['problem']}" for field in fields)
    body = error_body(
        "invalid_input",
        "A request as /api/v1/openapi.json describes it",
        found,
        "Correct the named fields and send it again.",
        fields=fields,
    )
    return error_response(422, body)


def _field(item: Mapping[str, Any]) -> dict[str, str]:
    """Where a value stands and what is wrong with it. Keys of a body are the sender's, so they are made fit."""
    place = ".".join(str(part) for part in item["loc"])
    return {"field": shown(place, LONGEST_FIELD), "problem": shown(item["msg"], LONGEST_PROBLEM)}


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


class ReadableErrors:
    """ASGI layer that shows people an error as a page: the API's JSON is for programs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold back an error in JSON that a browser asked for as a page, and send the page."""
        if scope["type"] != "http" or not wants_page(scope):
            await self.app(scope, receive, send)
            return
        held: Message | None = None
        body = b""

        async def watch(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and _is_json_error(message):
                held = message
            elif held is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self.app(scope, receive, watch)
        if held is None:
            return
        sentence = _sentence(body)
        if sentence is None:
            await send(held)
            await send({"type": "http.response.body", "body": body})
        else:
            await error_page(held["status"], sentence, public_path(scope))(scope, receive, send)


def wants_page(scope: Scope) -> bool:
    """Whether a person's browser asks for a page, rather than a script or a program for data."""
    accepts = Headers(scope=scope).get("accept", "")
    return "text/html" in accepts and not scope["path"].startswith(("/api/", "/gradio_api/"))


def error_page(status: int, sentence: str, root: str) -> HTMLResponse:
    """An error answer as a page with its sentence and a way on. root: the path the site stands below."""
    title = "There is no page at this address" if status == 404 else "This did not work"
    text = "Perhaps the link is old or was typed wrongly." if status == 404 else sentence
    page = ERROR_PAGE.format(title=title, text=html.escape(text), home=f"{root}/")
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})


def _sentence(body: bytes) -> str | None:
    """The sentence of an error in the one shape; None for another answer, such as that of /readyz."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_json_error(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    return message["status"] >= 400 and headers.get("content-type", "").startswith("application/json")


def failure_response(method: str, path: str, error: Exception) -> JSONResponse:
    """A 500 answer; where it happened goes to the log under the same id.

    The error's own text does not: it may name files, and those name patients. A full disk is no mystery and is said.
    """
    if is_full(error):
        full = disk_full()
        log.error("%s %s: the disk is full", method, path)
        return error_response(full.status, {"error": full.as_dict()})
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
