"""What a request may hold: fit texts, whole numbers that SQL can keep, finite numbers, bodies of bounded depth.

Routers and bodies name these types instead of `str` and `int`, so that nothing reaches a query that a database would
refuse. Texts of an address are looked at before any route is, see `FitAddress`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http_errors import error_response
from core.errors import InvalidInput
from core.text import NAME_LENGTH, SENTENCE_LENGTH, fit_text, text_fault

LARGEST_SQL_INTEGER = 2**63 - 1
LARGEST_COUNT = 2**31 - 1
DEEPEST_BODY = 32
LONGEST_WORD = 300
"""Characters in an id, or in a name by which something is looked up."""


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("whole_number", "Input should be a whole number, not true or false")
    return value


def _is_a_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


def _fit(longest: int) -> AfterValidator:
    def check(text: str) -> str:
        try:
            return fit_text(text, "Text", longest=longest, may_be_empty=True)
        except InvalidInput as error:
            raise PydanticCustomError("text", "{sentence}", {"sentence": error.sentence}) from None

    return AfterValidator(check)


Whole = BeforeValidator(_no_bool)
NoBool = BeforeValidator(_is_a_number)
Count = Annotated[int, Whole, Field(ge=1, le=LARGEST_COUNT)]
Number = Annotated[int, Whole, Field(ge=-LARGEST_SQL_INTEGER, le=LARGEST_SQL_INTEGER)]
Word = Annotated[str, Field(max_length=LONGEST_WORD), _fit(LONGEST_WORD)]
Line = Annotated[str, Field(max_length=NAME_LENGTH), _fit(NAME_LENGTH)]
Sentence = Annotated[str, Field(max_length=SENTENCE_LENGTH), _fit(SENTENCE_LENGTH)]
Id = Word | Annotated[int, Whole, Field(ge=0, le=LARGEST_SQL_INTEGER)]


def fit_body(value: Any, depth: int = 0) -> Any:
    """A JSON body whose lines end in "\\n". Raises PydanticCustomError for what no field of any body may hold.

    That is: unfit texts (also as keys), numbers that are not finite or beyond 64 bits, and deeper nesting than
    DEEPEST_BODY.
    """
    if depth > DEEPEST_BODY:
        raise PydanticCustomError("too_deep", "A body of at most {most} levels", {"most": DEEPEST_BODY})
    if isinstance(value, dict):
        return {_fit_leaf(key): fit_body(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [fit_body(item, depth + 1) for item in value]
    return _fit_leaf(value)


def _fit_leaf(value: Any) -> Any:
    if isinstance(value, str):
        value = value.replace("\r\n", "\n")  # as editors on Windows write them
        fault = text_fault(value, lines=True)
        if fault:
            raise PydanticCustomError("text", "Text without control characters; {fault}", {"fault": fault})
    elif isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "Numbers should be finite")
    elif isinstance(value, int) and abs(value) > LARGEST_SQL_INTEGER:
        raise PydanticCustomError("whole_number", "Whole numbers should fit into 64 bits")
    return value


def announced_bytes(headers: Headers) -> int | None:
    """The length a body was announced with; None where nothing sensible was said, and reading it will tell."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


class FitAddress:
    """ASGI layer that answers 422 to an address with unfit text in its path or query, whatever it would lead to."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is fit."""
        fault = address_fault(scope) if scope["type"] == "http" else None
        if fault is None:
            await self.app(scope, receive, send)
            return
        error = InvalidInput("An address without control characters", fault, "Correct the address.")
        await error_response(error.status, {"error": error.as_dict()})(scope, receive, send)


def address_fault(scope: Scope) -> str | None:
    """What is unfit in path or query, in words; None where nothing is. Query values may have several lines."""
    if fault := text_fault(scope["path"]):
        return f"{fault} of its path"
    try:
        query = scope.get("query_string", b"").decode()
    except UnicodeDecodeError:
        return "bytes that are no UTF-8 in its query"
    for pair in parse_qsl(query, keep_blank_values=True):
        for text in pair:
            if fault := text_fault(text, lines=True):
                return f"{fault} of a part of its query"
    return None
