"""Files of published numbers: CSV with a header, or TOML with a table [[result]] each and what they share above.

    source = "A paper, 2025"
    place = "Table 3"

    [[result]]
    method = "a_method"
    data_set = "BTMRI"
    shots = 16
    value = "82.1 %"
    whose = "authors"

A file is read whole or not at all: every row that cannot be used is named.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any

from core.errors import InvalidInput, UnreadableSource
from core.text import fit_name, fit_text, shown

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece")
PROTOCOLS = ("few-shot", "base-to-novel", "full")
WHOLE, BASE, NOVEL, HARMONIC = PARTS = ("test", "base", "novel", "harmonic mean")
AUTHORS, RE_RUN = WHOSE = ("authors", "re-run")
ALL = "all"
MOST_ROWS = 5000
MOST_BYTES = 5_000_000
LARGEST = 2**31 - 1
MOST_DECIMALS = 6
SHOWN_FAULTS = 20
EXPECTED = "Published numbers are CSV with a header, or TOML with a table [[result]] for each"
_PERCENT = re.compile(r"(-?\d{1,3}(?:\.(\d+))?)\s*%")
_MEAN = re.compile(r"^(mean|average|avg)\b|\b(mean|average|avg) (of|over) ", re.IGNORECASE)


@dataclass(frozen=True)
class PublishedResult:
    """A published number; see `core.records.published_tables.PublishedResultRow` for the fields."""

    method: str
    data_set: str
    value: float
    decimals: int
    whose: str
    source: str
    place: str
    metric: str = "accuracy"
    part: str = WHOLE
    protocol: str = "few-shot"
    shots: int | None = None
    share: float | None = None
    seeds: int | None = None
    n_test: int | None = None
    backbone: str | None = None
    run_by: str | None = None
    h_definition: str | None = None
    deviations: str | None = None
    fingerprint: str | None = None
    image_set: str | None = None


NEEDED = ("method", "data_set", "value", "shots", "whose", "source", "place")
KEYS = frozenset(each.name for each in fields(PublishedResult)) - {"decimals"}


def shipped_results(methods: Sequence[str]) -> list[PublishedResult]:
    """The numbers that come with the project: one file a method, in the folder `published_numbers`."""
    rows = []
    for file in sorted((files("core.evaluation") / "published_numbers").iterdir(), key=lambda each: each.name):
        method = file.name.removesuffix(".toml")
        found = _from_toml(file.read_text("utf-8"), file.name)
        rows += [(f"{where} of {file.name}", {"method": method, **values}) for where, values in found]
    return checked_rows(rows, methods)


def parse_published(content: str | bytes, name: str, methods: Sequence[str]) -> list[PublishedResult]:
    """The rows of a file called `name`. methods: names that exist. Raises UnreadableSource, InvalidInput by row."""
    text = _text(content, name)
    rows = _from_csv(text, name) if name.lower().endswith(".csv") else _from_toml(text, name)
    return checked_rows(rows, methods)


def checked_rows(rows: Sequence[tuple[str, Mapping[str, Any]]], methods: Sequence[str]) -> list[PublishedResult]:
    """Results of (where it stands, values) of each row. Raises InvalidInput that names every row that is wrong."""
    if not 0 < len(rows) <= MOST_ROWS:
        raise InvalidInput(f"1 to {MOST_ROWS} published numbers at once", f"found {len(rows)}", "Split the file.")
    made: list[PublishedResult] = []
    faults: list[str] = []
    for where, values in rows:
        try:
            made.append(_result(values, methods))
        except InvalidInput as error:
            faults.append(f"{where}: {error.sentence}")
    if faults:
        more = f" ({len(faults) - SHOWN_FAULTS} further ones are wrong too)" if len(faults) > SHOWN_FAULTS else ""
        raise InvalidInput(
            "Every row of published numbers can be used",
            f"found {len(faults)} that cannot. {' '.join(faults[:SHOWN_FAULTS])}{more}",
            "Nothing was kept; correct these and import again.",
        )
    return made


def _text(content: str | bytes, name: str) -> str:
    if len(content) > MOST_BYTES:
        raise UnreadableSource(EXPECTED, f"'{shown(name)}' is larger than 5 MB", "Split it.")
    try:
        return (content.decode("utf-8") if isinstance(content, bytes) else content).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise UnreadableSource(EXPECTED, f"'{shown(name)}' is not UTF-8 text", "Save it as UTF-8.") from None


def _from_csv(text: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        header = [column.strip().lower() for column in next(reader, [])]
        _check_header(header, name)
        rows: list[tuple[str, Mapping[str, Any]]] = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    found = (
                        f"line {reader.line_num} of '{shown(name)}' has {len(cells)} cells, the header {len(header)}"
                    )
                    raise UnreadableSource(EXPECTED, found, "A cell with a comma stands in quotation marks.")
                values = {key: cell.strip() for key, cell in zip(header, cells, strict=True) if cell.strip()}
                rows.append((f"Line {reader.line_num}", values))
        return rows
    except csv.Error as error:
        raise UnreadableSource(EXPECTED, f"'{shown(name)}' is no CSV ({error})", "Correct the file.") from None


def _check_header(header: Sequence[str], name: str) -> None:
    unknown = [column for column in header if column not in KEYS]
    missing = [column for column in NEEDED if column not in header]
    if unknown or missing or len(set(header)) < len(header):
        found = f"unknown: {', '.join(map(shown, unknown))}" if unknown else f"missing: {', '.join(missing)}"
        found = found if unknown or missing else "one stands twice"
        raise UnreadableSource(
            f"The columns of '{shown(name)}' are among {', '.join(sorted(KEYS))}", found, "Rename the columns."
        )


def _from_toml(text: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = f"'{shown(name)}' is no TOML ({error})"
        raise UnreadableSource(EXPECTED, shown(found, 400), "Correct the file.") from None
    rows = values.pop("result", None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableSource(EXPECTED, f"'{shown(name)}' has none", "Write [[result]] above each.")
    return [(f"Result {at}", values | row) for at, row in enumerate(rows, 1)]


def _result(given: Mapping[str, Any], methods: Sequence[str]) -> PublishedResult:
    unknown = sorted(set(given) - KEYS)
    if unknown:
        raise InvalidInput(f"Keys are {', '.join(sorted(KEYS))}", f"found '{shown(unknown[0])}'")
    for name in NEEDED:
        if given.get(name) in (None, ""):
            raise InvalidInput(f"'{name}' is given", "it is missing")
    metric = _word(given, "metric", METRICS, "accuracy")
    value, decimals = _value(given["value"], metric)
    protocol = _word(given, "protocol", PROTOCOLS, "few-shot")
    whose = _word(given, "whose", WHOSE)
    result = PublishedResult(
        method=_word(given, "method", methods),
        data_set=fit_name(_string(given, "data_set"), "'data_set'"),
        value=value,
        decimals=decimals,
        whose=whose,
        source=fit_text(_string(given, "source"), "'source'"),
        place=fit_text(_string(given, "place"), "'place'"),
        metric=metric,
        part=_word(given, "part", PARTS, WHOLE),
        protocol=protocol,
        shots=_shots(given["shots"]),
        share=_share(given, protocol),
        seeds=_whole(given, "seeds"),
        n_test=_whole(given, "n_test"),
        fingerprint=_fingerprint(given),
        **{name: _optional(given, name) for name in ("backbone", "run_by", "h_definition", "deviations", "image_set")},
    )
    _check_together(result)
    return result


def _check_together(result: PublishedResult) -> None:
    if _MEAN.search(result.data_set):
        raise InvalidInput(
            "A published number is of one data set",
            f"found '{shown(result.data_set)}'",
            "Means over sets compare nothing.",
        )
    if (result.part == WHOLE) == (result.protocol == "base-to-novel"):
        raise InvalidInput(
            f"'part' is {BASE}, {NOVEL} or {HARMONIC} for base-to-novel and {WHOLE} otherwise",
            f"found {result.part} with {result.protocol}",
        )
    if (result.whose == RE_RUN) != bool(result.run_by):
        raise InvalidInput(
            "'run_by' says who ran a method again, and stands with whose = re-run only", "it does not fit"
        )
    if result.h_definition and result.part != HARMONIC:
        raise InvalidInput(f"'h_definition' stands with part = {HARMONIC} only", f"found {result.part}")


def _string(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given[name], str):
        raise InvalidInput(f"'{name}' is text", f"found {shown(repr(given[name]), 60)}")
    return str(given[name])


def _optional(given: Mapping[str, Any], name: str) -> str | None:
    if given.get(name) in (None, ""):
        return None
    check: Callable[..., str] = fit_name if name in ("backbone", "image_set") else fit_text
    return check(_string(given, name), f"'{name}'")


def _word(given: Mapping[str, Any], name: str, known: Sequence[str], default: str | None = None) -> str:
    value = given.get(name)
    if value in (None, "") and default is not None:
        return default
    if value not in known:
        raise InvalidInput(f"'{name}' is one of {', '.join(known)}", f"found {shown(repr(value), 60)}")
    return str(value)


def _value(given: Any, metric: str) -> tuple[float, int]:
    """The number as a fraction, and how many decimals its percentage was printed with."""
    least = -1 if metric == "kappa" else 0
    try:
        if isinstance(given, str) and (percent := _PERCENT.fullmatch(given.strip())):
            value, decimals = round(float(percent[1]) / 100, 12), len(percent[2] or "")
        else:
            value = float("nan") if isinstance(given, bool) else float(given)
            text = str(given).strip()
            decimals = max(0, len(text.partition(".")[2]) - 2) if re.fullmatch(r"-?\d?\.\d+", text) else 0
    except (TypeError, ValueError, OverflowError):
        value, decimals = float("nan"), 0
    if math.isfinite(value) and least <= value <= 1:
        return value, min(decimals, MOST_DECIMALS)
    raise InvalidInput(
        "'value' is a fraction such as 0.724, or a text in percent such as 72.4 %", f"found {shown(repr(given), 60)}"
    )


def _shots(given: Any) -> int | None:
    """Images per class; None for all of them, 0 for a method that learns from none."""
    if given == ALL:
        return None
    number = _number(given)
    if number is None or not 0 <= number <= LARGEST or number != int(number):
        raise InvalidInput("'shots' is a whole number of images per class, or all", f"found {shown(repr(given), 60)}")
    return int(number)


def _share(given: Mapping[str, Any], protocol: str) -> float | None:
    if given.get("share") in (None, ""):
        return 1.0 if protocol == "full" else None
    number = _number(given["share"])
    if protocol != "full" or number is None or not 0 < number <= 1:
        found = f"found {shown(repr(given['share']), 60)} with {protocol}"
        raise InvalidInput("'share' of the labels is above 0, at most 1, and of the protocol full only", found)
    return number


def _whole(given: Mapping[str, Any], name: str) -> int | None:
    if given.get(name) in (None, ""):
        return None
    number = _number(given[name])
    if number is None or not 1 <= number <= LARGEST or number != int(number):
        raise InvalidInput(f"'{name}' is a whole number from 1", f"found {shown(repr(given[name]), 60)}")
    return int(number)


def _number(given: Any) -> float | None:
    """A finite number, or None."""
    try:
        number = float("nan") if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _fingerprint(given: Mapping[str, Any]) -> str | None:
    if given.get("fingerprint") in (None, ""):
        return None
    text = str(given["fingerprint"]).strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise InvalidInput(
            "'fingerprint' is 64 hex digits, as `published match` gives it", f"found '{shown(text, 80)}'"
        )
    return text
