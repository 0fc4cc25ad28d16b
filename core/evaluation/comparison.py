"""Comparing runs: only like with like, zero-shot always named, and nothing left out in silence."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from core.evaluation.claims import verdict
from core.evaluation.group_details import details
from core.evaluation.intervals import t_interval
from core.evaluation.metrics import METRICS
from core.evaluation.model_intervals import NONE, confusion_intervals, small_classes
from core.evaluation.pseudo_values import NEED_PROBABILITIES, PSEUDO_METRICS, RANGES
from core.evaluation.run_answers import Answers, MeasuredRuns
from core.evaluation.two_part import TwoPart, of_measured_rows
from core.tuning.config import image_passes

MAIN_METRIC = "balanced_accuracy"
NO_ZERO_SHOT = "no zero-shot run yet: run it to have the baseline"
ONE_SEED = "One seed: the spread over draws is unknown."

STEADY_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
"""Those that calibration does not change."""
TWO_PART_METRICS = tuple(name for name in METRICS if name in PSEUDO_METRICS)
COSTS = (
    *("seconds", "training_seconds", "feature_seconds", "steps", "trainable_parameters", "gflops_per_image", "peak_mb"),
    "unlabelled_images",
)
MOST_TOLD = 3
"""Options that a row's name shows to differ; of more it says how many."""
NOT_COUNTED = "Leakage was allowed; how much there was has not been counted for this run."

Run = Mapping[str, Any]
LookUp = Callable[[Sequence[str]], Answers | None]
"""From run ids to what these runs said of each test image; None where that is too much to look up."""


def compare_runs(
    runs: Sequence[Run], look_up: LookUp | None = None, simple: Collection[str] | None = None
) -> dict[str, Any]:
    """Groups of comparable runs, each with a row per method, and notes on what was left out.

    runs: run dicts with id, state, method, method_title, backbone, backbone_checksum, variant, image_set {id, name},
    fingerprint, shots, seed, options, epochs, descriptions, n_train, n_val, n_test, metrics, and where known confusion,
    intervals, leakage, known_classes. look_up: gives the answers that claims are tested on; without it none is made.
    Runs stand in one group when image-set fingerprint, backbone weights, protocol and shots agree, and in one row when
    method, variant, options, epochs, precision and descriptions agree too; a row's seeds are averaged, and `differs`
    says what sets it apart from the method's other rows. Equal seeds are one measurement: its interval, like that of
    one seed, is over test images, and `over` says so. Returns {groups: [{image_set, fingerprint, backbone, protocol,
    share, shots, n_test, rows, notes, warnings, leakage, known_classes, verdict}], notes}. Rows are sorted by mean
    balanced accuracy, best first; a group without zero-shot run holds a row that says so, with mean None. verdict: see
    `core.evaluation.claims`. simple: methods that learn without steps; where given, each group has `details` too, see
    `core.evaluation.group_details`. Fractions throughout.
    """
    usable, notes = _usable(sorted(runs, key=_sealed_at))
    zero_shot = [run for run in usable if _is_zero_shot(run)]
    trained = [run for run in usable if not _is_zero_shot(run)]
    groups = [_group(members, zero_shot, look_up, simple) for members in _collect(trained, _group_key)]
    covered = {_place(run) for run in trained}
    lonely = [run for run in zero_shot if _place(run) not in covered]
    groups += [_group([], members, look_up, simple) for members in _collect(lonely, _place)]
    groups.sort(key=lambda group: (group["image_set"]["name"], group["backbone"], group["shots"] or float("inf")))
    if len(groups) > 1:
        notes.append(
            f"{len(groups)} groups: runs on other images, another backbone, protocol or number of shots stand apart, "
            "because their numbers cannot be compared."
        )
    return {"groups": groups, "notes": notes}


def options_hash(run: Run) -> str:
    """Twelve hex digits that are equal for equal variant, options, epochs and descriptions; the seed stays out."""
    options = {name: value for name, value in (run.get("options") or {}).items() if name != "seed"}
    texts = run.get("descriptions"), run.get("descriptions_fingerprint")
    parts = [run.get("variant") or "default", options, run.get("epochs"), texts]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _usable(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Finished runs with metrics, and one note per reason for the others."""
    usable: list[Run] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        state = run.get("state") or "succeeded"
        if state != "succeeded":
            left_out[f"{state}, and only finished runs are compared"].append(_label(run))
        elif not run.get("metrics") or run["metrics"].get(MAIN_METRIC) is None:
            left_out["finished without metrics"].append(_label(run))
        elif not _image_set_key(run):
            left_out["of an unknown image set, so comparable with nothing"].append(_label(run))
        else:
            usable.append(run)
    return usable, [f"Left out, {reason}: {'; '.join(names)}." for reason, names in left_out.items()]


def _group(
    trained: Sequence[Run], zero_shot: Sequence[Run], look_up: LookUp | None, simple: Collection[str] | None
) -> dict[str, Any]:
    first = (trained or zero_shot)[0]
    place, shots = _place(first), first.get("shots") if trained else None
    baseline = [run for run in zero_shot if _place(run) == place]
    baseline = [run for run in baseline if run.get("shots") == shots] or baseline
    notes: list[str] = []
    if trained and baseline and baseline[0].get("shots") != shots:
        notes.append("Zero-shot was run with another number of shots; it uses none of them, except to calibrate.")
    rows = [_row(members, notes) for members in _collect([*trained, *baseline], _row_key)]
    rows.sort(key=lambda row: -row["mean"])
    if not baseline:
        rows.append(_missing_zero_shot())
        notes.append(NO_ZERO_SHOT)
    sizes = sorted({run["n_test"] for run in [*trained, *baseline] if run.get("n_test") is not None})
    if len(sizes) > 1:
        notes.append(f"Test parts differ in size ({', '.join(map(str, sizes))} images): compare with care.")
    notes += _small_classes([*trained, *baseline])
    seeds = {tuple(row["seeds"]) for row in rows if row["seeds"] and not row["is_baseline"]}
    if len(seeds) > 1:
        notes.append("Methods were not all run with the same seeds; means over different draws compare less sharply.")
    for method in dict.fromkeys(row["method"] for row in rows):
        _tell_apart([row for row in rows if row["method"] == method])
    answers = _answers(rows, look_up)
    measured = None if answers is None else MeasuredRuns(answers)
    if measured is not None:
        _put_two_parts(rows, measured)
    return {
        "image_set": dict(first.get("image_set") or {"id": None, "name": ""}),
        "fingerprint": first.get("fingerprint"),
        "backbone": first.get("backbone"),
        "backbone_checksum": first.get("backbone_checksum"),
        "protocol": first.get("protocol") or "few-shot",
        "share": first.get("share"),
        "shots": shots,
        "n_test": sizes[0] if len(sizes) == 1 else None,
        "rows": rows,
        "notes": notes,
        **_honesty(first, rows),
        "verdict": verdict(rows, measured),
        **({} if simple is None else {"details": details(rows, measured, simple)}),
    }


def _small_classes(runs: Sequence[Run]) -> list[str]:
    """A sentence for each class of the test part whose recall is hardly known."""
    known = next((run for run in runs if run.get("confusion") and _measured_classes(run)), None)
    if known is None:
        return []
    table = np.asarray(known["confusion"], dtype=np.int64)
    return small_classes(np.repeat(np.arange(len(table)), table.sum(axis=1)), _measured_classes(known))


def _measured_classes(run: Run) -> Sequence[str]:
    """The names that the run's confusion matrix is of: those it learned, or more where draws may miss classes."""
    ranked: Mapping[str, Any] = next(iter((run.get("parts") or {}).values()), {})
    return ranked.get("classes") or run.get("classes") or ()


def _answers(rows: Sequence[Mapping[str, Any]], look_up: LookUp | None) -> Answers | None:
    ids = [run_id for row in rows for run_id in row["run_ids"]]
    compared = sum(not row["missing"] for row in rows) > 1 or any(row["measurements"] > 1 for row in rows)
    return look_up(ids) if look_up and compared else None


def _tell_apart(rows: Sequence[dict[str, Any]]) -> None:
    """Write into each of a method's rows in what it differs from the others, so that their names do not look alike."""
    facts = [
        {name: row.get(name) for name in ("variant", "epochs", "descriptions", "precision")} | row["options"]
        for row in rows
    ]
    names = [name for name in dict.fromkeys(name for each in facts for name in each) if name != "seed"]
    apart = [name for name in names if len({repr(each.get(name)) for each in facts}) > 1]
    for row, each in zip(rows, facts, strict=True):
        told = [f"{name} {_plain(each.get(name))}" for name in apart[:MOST_TOLD]]
        further = [f"{len(apart) - MOST_TOLD} more"] if len(apart) > MOST_TOLD else []
        row["differs"] = ", ".join([*told, *further]) if len(rows) > 1 else ""


def _plain(value: Any) -> str:
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _put_two_parts(rows: Sequence[dict[str, Any]], measured: MeasuredRuns) -> None:
    """Give rows of several seeds their intervals over new draws and patients or images, where their answers are known.

    Student's t over seeds, which a row has without them, says nothing of other patients.
    """
    known = [row for row in rows if row["measurements"] > 1 and _are_alike(row, measured.answers)]
    for name in TWO_PART_METRICS:
        given = [row for row in known if row["metrics"][name]["mean"] is not None]
        if name in NEED_PROBABILITIES:
            given = [row for row in given if all(measured.answers[at].stated is not None for at in row["run_ids"])]
        found = of_measured_rows(measured.of_rows([row["run_ids"] for row in given], name))
        for row, parts in zip(given, found, strict=True):
            row["metrics"][name] = _with_two_parts(row["metrics"][name], parts)
    for row in known:
        main = row["metrics"][MAIN_METRIC]
        row |= {name: main[name] for name in ("low", "high", "interval", "over")}


def _are_alike(row: Mapping[str, Any], answers: Answers) -> bool:
    """Whether what all runs of a row said is known, and of the same images."""
    given = [told for run_id in row["run_ids"] if (told := answers.get(run_id))]
    return len(given) == len(row["run_ids"]) and all(each.images == given[0].images for each in given)


def _with_two_parts(own: Mapping[str, Any], parts: TwoPart) -> dict[str, Any]:
    found = parts.interval()
    return {**own, **found.as_dict(), "mean": own["mean"], "n": own["n"], "n_units": found.n}


def _honesty(first: Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What makes all numbers of a group too good: leakage between its parts, and classes the backbone knew before."""
    known = sorted({name for row in rows for name in row["known_classes"] or ()})
    leaks = [row["leakage"] for row in rows if row["leakage"]]
    worst = max(leaks, key=_severity, default=None)
    warnings = [worst["sentence"]] if worst and (worst["found"] or _doubts(worst) or worst["allowed"]) else []
    if known:
        warnings.append(
            f"The text side of the backbone '{first.get('backbone')}' has learned {', '.join(known)} from labelled "
            "images: zero-shot and few-shot numbers on them are not honest ones."
        )
    return {"leakage": worst, "known_classes": known, "warnings": warnings}


def _leakage(run: Run) -> dict[str, Any] | None:
    """What a run says of its leakage; of older runs only whether it was allowed."""
    if run.get("leakage"):
        return dict(run["leakage"])
    allowed = bool((run.get("request") or {}).get("allow_leakage"))
    return {"allowed": True, "found": None, "sentence": NOT_COUNTED} if allowed else None


def _severity(leakage: Mapping[str, Any]) -> tuple[bool, bool, int]:
    used = sum((leakage.get(kind) or {}).get("by_drawn", 0) for kind in ("exact_copies", "shared_groups"))
    return bool(leakage["found"]), bool(leakage["allowed"]), used


def _doubts(leakage: Mapping[str, Any]) -> int:
    return leakage.get("doubts") or (leakage.get("near_duplicates") or {}).get("test_images", 0)


def _row(runs: Sequence[Run], notes: list[str]) -> dict[str, Any]:
    """One method's line: intervals over its seeds, for balanced accuracy and each metric."""
    by_seed = {run.get("seed"): run for run in runs}  # runs come oldest first, so the latest of a seed stays
    kept = [by_seed[seed] for seed in sorted(by_seed, key=lambda seed: (seed is None, seed))]
    first = kept[0]
    if len(kept) < len(runs):
        again = len(runs) - len(kept)
        notes.append(f"{_title(first)}: {again} earlier run(s) with the same seed and options count once, the latest.")
    measurements = 1 if _are_one_measurement(kept) else len(kept)
    own = cache(lambda: _own_intervals(kept[-1]))  # made of resamples where a run keeps none: at most once a row
    each = {name: _interval(kept, name, measurements, own) for name in METRICS}
    main = each[MAIN_METRIC]
    leaks = [found for run in kept if (found := _leakage(run))]
    return {
        "method": first["method"],
        "method_title": _title(first),
        "is_baseline": _is_zero_shot(first),
        "recipe": _recipe(kept),
        "variant": first.get("variant") or "default",
        "options": dict(first.get("options") or {}),
        "options_hash": options_hash(first),
        "epochs": first.get("epochs"),
        "precision": first.get("precision"),
        "differs": "",
        "descriptions": first.get("descriptions"),
        "mean": main["mean"],
        "low": main["low"],
        "high": main["high"],
        "interval": main["interval"],
        "over": main["over"],
        "n_seeds": len(kept),
        "measurements": measurements,
        "seeds": [run.get("seed") for run in kept],
        "n_train": first.get("n_train"),
        "n_val": first.get("n_val"),
        "n_test": first.get("n_test"),
        **{name: _mean([run.get(name) for run in kept]) for name in COSTS},
        "image_passes": _mean([image_passes(run) for run in kept]),
        "metrics": each,
        "run_ids": [run.get("id") for run in kept],
        "leakage": max(leaks, key=_severity, default=None),
        "known_classes": first.get("known_classes"),
        "calibration": first.get("calibration"),
        "missing": False,
        "note": _seed_note(first, len(kept), measurements),
    }


def _seed_note(first: Run, seeds: int, measurements: int) -> str:
    if seeds > 1:
        return f"{seeds} equal seeds: one measurement, not {seeds}." if measurements == 1 else ""
    return "" if _is_zero_shot(first) else ONE_SEED


def _are_one_measurement(runs: Sequence[Run]) -> bool:
    """Whether all gave the same answers, as seeds of a method do in which nothing is drawn."""
    told = [(run.get("confusion"), *(run["metrics"].get(name) for name in STEADY_METRICS)) for run in runs]
    return all(each == told[0] for each in told)


def _missing_zero_shot() -> dict[str, Any]:
    nothing = {"mean": None, "low": None, "high": None, "n": 0, "interval": "none"} | NO_UNITS
    empty = dict.fromkeys(
        ("epochs", "precision", "descriptions", "mean", "low", "high", "n_train", "n_val", "n_test", *COSTS[:3])
    )
    return {
        "method": _zero_shot(),
        "method_title": "Zero-shot",
        "is_baseline": True,
        "recipe": None,
        "variant": "default",
        "options": {},
        "options_hash": "",
        "differs": "",
        **empty,
        "interval": "none",
        "over": None,
        "n_seeds": 0,
        "measurements": 0,
        "leakage": None,
        "known_classes": None,
        "seeds": [],
        "metrics": {name: dict(nothing) for name in METRICS},
        "run_ids": [],
        "missing": True,
        "note": NO_ZERO_SHOT,
    }


def _interval(
    runs: Sequence[Run], name: str, measurements: int, own_intervals: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """{mean, low, high, n, interval, over, n_units, claim} of one metric; n: seeds where it is defined.

    Student's t over seeds, or where these are one measurement, or do not differ, the newest model's own over images.
    Of a metric without pseudo-values, the calibration error, there is none.
    """
    known = [value for run in runs if (value := run["metrics"].get(name)) is not None]
    if not known:
        return {"mean": None, "low": None, "high": None, "n": 0, "interval": "none: undefined"} | NO_UNITS
    if measurements > 1 and name not in PSEUDO_METRICS:
        return {"mean": _mean(known), "low": None, "high": None, "n": len(known), "interval": NONE} | NO_UNITS
    if measurements > 1 and len(set(known)) > 1:
        return t_interval(known).within(RANGES[name]).as_dict() | {"over": "seeds", "n_units": None}
    own = own_intervals().get(name) or {}
    given = {name: own.get(name) for name in ("low", "high", "over", "claim")} | {"n_units": own.get("n")}
    return {"mean": known[-1], "n": len(known), "interval": own.get("interval") or "none: one measurement"} | given


NO_UNITS = {"over": None, "n_units": None, "claim": None}


def _own_intervals(run: Run) -> Mapping[str, Any]:
    """A model's intervals over its test images, as its run keeps them or as they follow from its confusion matrix."""
    if run.get("intervals"):
        return run["intervals"]
    table = np.asarray(run.get("confusion") or [], dtype=np.int64)
    if not table.size or not table.sum():
        return {}
    return {name: interval.as_dict() for name, interval in confusion_intervals(table).items()}


def _collect(runs: Iterable[Run], key: Callable[[Run], Hashable]) -> list[list[Run]]:
    found: dict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        found[key(run)].append(run)
    return list(found.values())


@cache
def _zero_shot() -> str:
    """The method that learns nothing. Looked up when first needed: the registry loads the engine."""
    from core.tuning.method_cards import baseline_method

    return baseline_method()


def _is_zero_shot(run: Run) -> bool:
    return run["method"] == _zero_shot()


def _recipe(runs: Sequence[Run]) -> str | None:
    """The recipe that all of them follow, by name."""
    names = {(run.get("recipe") or {}).get("name") for run in runs}
    return names.pop() if len(names) == 1 else None


def _image_set_key(run: Run) -> Hashable:
    return run.get("fingerprint") or (run.get("image_set") or {}).get("id")


def _place(run: Run) -> Hashable:
    return _image_set_key(run), run.get("backbone_checksum") or run.get("backbone"), _protocol(run)


def _protocol(run: Run) -> Hashable:
    """What was drawn and asked: numbers on half of the classes, say, stand in a group of their own."""
    protocol = run.get("protocol") or "few-shot"
    asked = tuple(run.get("classes") or ()) if protocol == "base-to-novel" else None
    return protocol, run.get("share"), asked


def _group_key(run: Run) -> Hashable:
    return _place(run), run.get("shots")


def _row_key(run: Run) -> Hashable:
    return run["method"], options_hash(run), run.get("precision")


def _sealed_at(run: Run) -> str:
    """When it was finished, as ISO text; runs without a time keep the order they came in, which is oldest first."""
    return str(run.get("sealed_at") or run.get("finished_at") or run.get("created_at") or "")


def _title(run: Run) -> str:
    return run.get("method_title") or run["method"]


def _label(run: Run) -> str:
    return str(run.get("name") or run.get("id") or run.get("method"))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
