"""A Python file that assigns {"class": ["sentence", ...]} to a name, as BiomedCoOp and BiomedAP publish theirs.

The file is read as text and never run: a dictionary of lists of plain strings is all that is understood. Everything
else in the file is passed over.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from core.errors import UnreadableSource

EXPECTED = 'A Python file with NAME = {"class": ["sentence", ...]}'
MOST_TEXT = 10_000_000
_ASSIGNED = re.compile(r"^([A-Za-z_]\w*)[ \t]*(?::[^=\n]{1,100})?=[ \t]*(?=\{)", re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|\\\r?\n)
      |(?P<string>[uUrR]?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
      |(?P<mark>[{}\[\]():,])""",
    re.VERBOSE | re.DOTALL,
)


class _Other(Exception):
    """The value is no dictionary of lists of strings."""


def read_python(text: str, name: str, preferred: Sequence[str] = ()) -> dict[str, list[str]]:
    """Sentences by class, from the first of the `preferred` names that is assigned such a dictionary, else from the
    largest. Raises UnreadableSource where there is none, or a class stands twice in it.
    """
    if len(text) > MOST_TEXT:
        raise UnreadableSource(EXPECTED, f"'{name}' is longer than 10 million characters", "Split it.")
    found: dict[str, dict[str, list[str]]] = {}
    for match in _ASSIGNED.finditer(text):
        try:
            found[match.group(1)] = _dictionary(_tokens(text, match.end()), name)
        except _Other:
            continue
    if not found:
        raise UnreadableSource(EXPECTED, f"'{name}' has none", "Give the file in which the sentences stand.")
    chosen = next((each for each in preferred if each in found), None)
    return found[chosen] if chosen else max(found.values(), key=lambda table: sum(map(len, table.values())))


def write_python(table: Mapping[str, Sequence[str]], name: str) -> str:
    """The table as `read_python` reads it, assigned to a name."""
    lines = [f"{name} = {{"]
    for label, texts in table.items():
        lines += [f"    {_quoted(label)}: [", *(f"        {_quoted(text)}," for text in texts), "    ],"]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _tokens(text: str, start: int) -> Iterator[str]:
    """Strings (unquoted, behind a quotation mark) and marks, until the dictionary ends."""
    depth, place = 0, start
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _Other
        place = match.end()
        token = match.group()
        if match.lastgroup == "string":
            yield f'"{_unquoted(token)}'
        elif match.lastgroup == "mark":
            depth += (token in "{[(") - (token in "}])")
            if depth > 3:
                raise _Other
            yield token
            if not depth:
                return
    raise _Other


def _unquoted(token: str) -> str:
    try:
        value = ast.literal_eval(token)
    except (ValueError, SyntaxError):
        raise _Other from None
    if not isinstance(value, str):
        raise _Other
    return value


def _dictionary(tokens: Iterator[str], name: str) -> dict[str, list[str]]:
    _expect(next(tokens, ""), "{")
    table: dict[str, list[str]] = {}
    token = next(tokens, "")
    while token != "}":
        label, token = _string(token, tokens)
        _expect(token, ":")
        if label in table:
            raise UnreadableSource(f"Each class once in '{name}'", f"'{label[:80]}' stands twice", "Join their lists.")
        table[label], token = _list(tokens)
        token = _after_comma(token, tokens, "}")
    if not table:
        raise _Other
    return table


def _list(tokens: Iterator[str]) -> tuple[list[str], str]:
    """The strings of a list or tuple, and the token behind it."""
    opened = next(tokens, "")
    if opened not in ("[", "("):
        raise _Other
    closed = "]" if opened == "[" else ")"
    found, token = [], next(tokens, "")
    while token != closed:
        text, token = _string(token, tokens)
        found.append(text)
        token = _after_comma(token, tokens, closed)
    return found, next(tokens, "")


def _string(token: str, tokens: Iterator[str]) -> tuple[str, str]:
    """A string, made of all that stand side by side, and the token behind it."""
    parts = []
    while token.startswith('"'):
        parts.append(token[1:])
        token = next(tokens, "")
    if not parts:
        raise _Other
    return "".join(parts), token


def _after_comma(token: str, tokens: Iterator[str], closed: str) -> str:
    if token == closed:
        return token
    _expect(token, ",")
    return next(tokens, "")


def _expect(token: str, mark: str) -> None:
    if token != mark:
        raise _Other
