"""What every command shares: where output goes, how errors look, and which exit code says what.

Exit codes: 0 done, 1 failed, 2 wrong use (an option, method, backbone, file or id that does not exist). With `--json`
standard output carries only JSON, one object on each line; progress, warnings and errors go to standard error, an
error as {"error": {code, message, expected, found, remedy}}.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from core.disk import disk_full, is_full
from core.errors import InvalidOption, NotFound, PromptoscopeError
from core.text import text_fault

DISCLAIMER = "Research use only. Not for use in diagnostic procedures."
DONE, FAILED, WRONG_USE = 0, 1, 2
LARGEST_NUMBER = 2**31 - 1

JsonFlag = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output, one object a line.")]


class Output:
    """Rows for programs or sentences for people, never both on standard output."""

    def __init__(self, as_json: bool, stream: TextIO) -> None:
        self.as_json, self._stream = as_json, stream

    def row(self, item: Mapping[str, Any], text: str | None = None) -> None:
        """One object: as a JSON line, or as a sentence (nothing where there is none)."""
        if self.as_json:
            self._write(json.dumps(item, ensure_ascii=False, default=str), escape_json)
        elif text is not None:
            self._write(text)

    def text(self, line: str = "") -> None:
        """A line for people; programs do not see it."""
        if not self.as_json:
            self._write(line)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
        """Rows as JSON lines, or for people as columns; `empty` says what to do where there are none."""
        for row in rows:
            self.row(row)
        if not self.as_json:
            self._write(_columns(rows, columns) if rows else empty)

    def note(self, line: str) -> None:
        """A remark beside the result, on standard error."""
        print(line, file=sys.stderr, flush=True)

    def progress(self, line: str) -> None:
        """A line that replaces itself, on a terminal only."""
        if sys.stderr.isatty():
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)

    def end_progress(self) -> None:
        """Leave the line that replaced itself."""
        if sys.stderr.isatty():
            print(file=sys.stderr, flush=True)

    def _write(self, line: str, escape: Callable[[str, str], str] | None = None) -> None:
        print(fit_for(self._stream, line, escape or escape_text), file=self._stream, flush=True)


def fit_for(stream: TextIO, line: str, escape: Callable[[str, str], str]) -> str:
    """The line if the stream can write it, else escaped: names of files may hold bytes that are no text at all."""
    encoding = stream.encoding or "utf-8"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return escape(line, encoding)
    return line


def escape_text(line: str, encoding: str) -> str:
    """For people: what cannot be written stands as its number."""
    return line.encode(encoding, "backslashreplace").decode(encoding)


def escape_json(line: str, encoding: str) -> str:
    """For programs: the same object with JSON's own escapes."""
    return json.dumps(json.loads(line))


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """The command's output; with JSON whatever libraries print goes to standard error meanwhile."""
    stream = sys.stdout
    redirect = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with redirect:
        yield Output(as_json, stream)


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors a person can mend into sentences (or JSON) on standard error and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            check_texts(kwargs)
            return function(*args, **kwargs)
        except PromptoscopeError as error:
            show_error(error, as_json=bool(kwargs.get("json")))
            raise typer.Exit(exit_code(error)) from None
        except (OSError, RuntimeError) as error:
            if not is_full(error):
                raise
            show_error(disk_full(), as_json=bool(kwargs.get("json")))
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            raise typer.Exit(FAILED) from None

    return run


def check_texts(values: Mapping[str, Any]) -> None:
    """Refuse texts that no database can keep. Raises InvalidOption; a text that names a file here may be any name."""
    for name, value in values.items():
        for text in value if isinstance(value, list) else [value]:
            fault = text_fault(text, lines=True) if isinstance(text, str) else None
            if fault and not os.path.exists(text):
                raise InvalidOption(f"'{name}' without control characters", fault, "Write it without them.")


def check_file(out: Path) -> None:
    """Raises InvalidOption for a folder, and for a file in a folder that does not exist."""
    if out.is_dir():
        raise InvalidOption("A file for --out", f"found the folder '{out}'", "Name a file.")
    if not out.resolve().parent.is_dir():
        raise InvalidOption("A folder that exists for --out", f"found '{out}'", "Make the folder first.")


def exit_code(error: PromptoscopeError) -> int:
    """2 for a name or value that cannot be right, 1 for work that failed."""
    return WRONG_USE if isinstance(error, InvalidOption | NotFound) else FAILED


def show_error(error: PromptoscopeError, as_json: bool) -> None:
    """One error on standard error."""
    if as_json:
        print(json.dumps({"error": error.as_dict()}, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"Error: {error.sentence}", file=sys.stderr)


def _columns(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    cells = [list(columns)] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value).replace("\n", " ")[:80]
