"""Whether one method is better than every other: paired differences on the same test images, never two intervals.

Two intervals that do not touch say too little, and two that do touch say nothing: images that are hard for both
methods widen both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.intervals import LEAST_GROUPS, NO_SPREAD, Interval
from core.evaluation.paired import difference
from core.evaluation.run_answers import Answers, MeasuredRuns

Run = Mapping[str, Any]
Row = Mapping[str, Any]


def verdict(rows: Sequence[Row], answers: Answers | MeasuredRuns | None) -> dict[str, Any]:
    """Which row has the highest balanced accuracy and whether it is better than each other one.

    rows: of `compare_runs`, with run_ids and seeds. answers: of all their runs, by run id; None where they were not
    looked up.
    Returns {sentence, best, told_apart, against: [{method_title, difference, low, high, over}]}. A difference counts
    only if the 95 % interval of paired differences lies above 0; told_apart is True only if each does, and zero-shot is
    among them.
    """
    known = sorted((row for row in rows if row["mean"] is not None), key=lambda row: -row["mean"])
    if len(known) < 2:
        return {"sentence": "", "best": None, "told_apart": False, "against": []}
    best, others = known[0], known[1:]
    start = f"{best['method_title']} has the highest balanced accuracy ({100 * best['mean']:.1f} %)"
    measured = answers if answers is None or isinstance(answers, MeasuredRuns) else MeasuredRuns(answers)
    found = [] if measured is None else [_against(best, other, measured) for other in others]
    given = {"best": best["method_title"], "against": found}
    unclear = [each["method_title"] for each in found if each["low"] is None or each["low"] <= 0]
    if measured is None:
        why = f"{start}; whether it is better was not tested here."
    elif unclear:
        why = f"{start}, but it is not told apart from {_listed(unclear)}: {_reason(found)}."
    elif any(row["missing"] for row in rows):
        why = f"{start}; zero-shot was not run, so nothing is said of it being better."
    else:
        return given | {"sentence": f"{start}. {_claim(found)}", "told_apart": True}
    return given | {"sentence": why, "told_apart": False}


def _claim(found: Sequence[Mapping[str, Any]]) -> str:
    least = min(found, key=lambda each: each["low"])
    points = [f"{100 * least[name]:.1f}" for name in ("difference", "low", "high")]
    over = "new draws and new test images" if all(e["over"] == "seeds and images" for e in found) else "new test images"
    models = "" if "draws" in over else " These are single trained models: other draws may differ."
    return (
        f"It is better than every other method here: each paired 95 % interval of the difference lies above zero, over "
        f"{over} (the closest is {least['method_title']}: {points[0]} points, {points[1]} to {points[2]}).{models}"
    )


def _reason(found: Sequence[Mapping[str, Any]]) -> str:
    unclear = [each for each in found if each["low"] is None or each["low"] <= 0]
    if all(each["low"] is not None for each in unclear):
        return "the paired 95 % interval of the difference includes zero"
    return next(each["why"] for each in unclear if each["low"] is None)


def _against(best: Row, other: Row, measured: MeasuredRuns) -> dict[str, Any]:
    """The difference of two rows with its interval, or without one and with the reason in `why`."""
    found, why = _difference(best, other, measured)
    shown = {"method_title": other["method_title"], "why": why}
    if found is None:
        return shown | {"difference": best["mean"] - other["mean"], "low": None, "high": None, "over": None}
    return shown | {"difference": found.mean, "low": found.low, "high": found.high, "over": found.over}


def _difference(best: Row, other: Row, measured: MeasuredRuns) -> tuple[Interval | None, str]:
    pairs = _pairs(best, other)
    if not pairs:
        return None, "they were not run with two seeds in common"
    runs = [measured.answers.get(run_id) for pair in pairs for run_id in pair]
    if runs[0] is None or any(each is None for each in runs):
        return None, "answers for single images are missing"
    if any(each is not None and each.images != runs[0].images for each in runs):
        return None, "they were measured on other test images"
    first, second = (measured.of([pair[side] for pair in pairs]) for side in (0, 1))
    if len(first.units.names) < LEAST_GROUPS:
        return None, f"fewer than {LEAST_GROUPS} test images or groups are too few to tell"
    if first.values is None:
        return None, "one group (patient) holds all test images of a class"
    found = difference(first, second)
    if found.unknown == NO_SPREAD and found.mean == 0:
        return None, "no test image or group tells them apart"
    return (None, found.unknown) if found.unknown else (found.interval(), "")


def _pairs(best: Row, other: Row) -> list[tuple[str, str]]:
    """Runs that are held against each other: of equal seeds; a row without spread stands for each seed."""
    first, second = (dict(zip(row["seeds"], row["run_ids"], strict=True)) for row in (best, other))
    steady = [row["measurements"] == 1 for row in (best, other)]
    if all(steady):
        return [(best["run_ids"][-1], other["run_ids"][-1])]
    # one model on one side and several draws on the other say nothing of the methods
    if steady[1] and (other["is_baseline"] or other["n_seeds"] > 1):
        return [(run_id, other["run_ids"][-1]) for run_id in first.values()]
    if steady[0] and (best["is_baseline"] or best["n_seeds"] > 1):
        return [(best["run_ids"][-1], run_id) for run_id in second.values()]
    common = [(first[seed], second[seed]) for seed in first if seed in second]
    return common if len(common) > 1 else []


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
