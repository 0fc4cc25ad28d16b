"""What a row of a comparison says beside its place among the others: numbers, parts, costs, honesty and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from core.evaluation.metrics import METRICS
from core.evaluation.model_intervals import small_classes
from core.evaluation.pairwise import Matrix
from core.evaluation.two_part import TwoPart, mean_over_sets, of_measured
from core.experiments.finished import Finished, Line
from core.experiments.joined_notes import joined_notes
from core.experiments.protocols import BASE, NOVEL, TEST
from core.experiments.spec import ExperimentSpec
from core.tuning.config import image_passes

MEAN_OF_TARGETS = "mean of targets"
BASELINE, BEST_SIMPLE = "baseline", "best simple"
"""Roles of the rows that are drawn as lines."""
COSTS = (
    *("steps", "trainable_parameters", "gflops_per_image", "seconds", "training_seconds", "feature_seconds", "peak_mb"),
    "unlabelled_images",
)


def head_of(spec: ExperimentSpec, line: Line, name: str) -> dict[str, Any]:
    """What the row is of."""
    first = line.cells[0]
    return {
        "method": first.method,
        "line": name,
        "shots": first.shots,
        "share": first.share,
        "protocol": spec.protocol,
        "descriptions": first.descriptions,
        "metric": spec.metric,
        "n_seeds": len(line.cells),
        "seeds": [cell.seed for cell in line.cells],
    }


def rank_of(matrix: Matrix | None, name: str) -> list[int] | None:
    """The first and the last rank that it can have; None where nothing is compared."""
    return None if matrix is None or name not in matrix.methods else list(matrix.rank_interval(name))


def reference_of(spec: ExperimentSpec, lines: Mapping[str, Line], baseline: str) -> str | None:
    """The row that the others are held against: the one that was chosen before, else the baseline."""
    wanted = spec.compare_to or baseline
    return next((name for name, line in lines.items() if wanted in (name, line.cells[0].line)), None)


def difference_of(matrix: Matrix | None, name: str, reference: str | None) -> dict[str, Any] | None:
    """{against, mean, low, high, p, p_holm, interval, claim, visible, why} of a row; None where nothing is compared."""
    if matrix is None or reference is None or name == reference or not {name, reference} <= set(matrix.methods):
        return None
    pair = matrix.cell(name, reference)
    return {
        "against": reference,
        **{key: getattr(pair, key) for key in ("mean", "low", "high", "p", "p_holm", "interval", "claim", "visible")},
        "why": pair.why or None,
    }


def spread_of(found: TwoPart | None) -> dict[str, Any]:
    """{mean, low, high, interval, claim, over, from_draws, from_patients, n_units, units}."""
    if found is None:
        nothing = dict.fromkeys(
            ("mean", "low", "high", "claim", "over", "from_draws", "from_patients", "n_units", "units")
        )
        return nothing | {"interval": "none: not measured"}
    shown = found.interval()
    return {
        "mean": shown.mean,
        "low": shown.low,
        "high": shown.high,
        "interval": f"{shown.interval}: {shown.claim}" if shown.claim else shown.interval,
        "claim": shown.claim,
        "over": shown.over,
        "from_draws": found.from_draws,
        "from_patients": found.from_patients,
        "n_units": found.n_units,
        "units": found.kind,
    }


def means_of(cells: Sequence[Finished]) -> dict[str, float | None]:
    """Each metric of the ranked part, averaged over the seeds in which it is defined."""
    found = {}
    for name in METRICS:
        known = [value for cell in cells if (value := cell.record["metrics"].get(name)) is not None]
        found[name] = float(np.mean(known)) if known else None
    return found


def deviations_of(cells: Sequence[Finished]) -> dict[str, float | None]:
    """Standard deviation of each metric over the seeds, each seed's image sets averaged; None for one seed.

    The spread that published tables print behind a mean: of what was run, and no interval for anything new.
    """
    by_seed: dict[int, list[Finished]] = {}
    for cell in cells:
        by_seed.setdefault(cell.seed, []).append(cell)
    means = [means_of(own) for own in by_seed.values()]
    found: dict[str, float | None] = {}
    for name in METRICS:
        known = [value for each in means if (value := each[name]) is not None]
        found[name] = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return found


def parts_of(line: Line, n_targets: int) -> dict[str, Any]:
    """Mean, interval, chance and number of images of each part, where there are several or one of two is missing.

    The mean of targets stands only where all of them were measured: means over different sets compare nothing.
    """
    if len(line.parts) < 2 and BASE not in line.parts:
        return {}
    first = line.cells[0]
    found = {
        part: spread_of(of_measured(measured))
        | {
            "n_test": len(first.parts[part].images),
            "classes": list(first.parts[part].classes),
            "chance": 1 / len(first.parts[part].classes),
            "trivial": part in line.trivial,
        }
        for part, measured in line.parts.items()
    }
    targets = [of_measured(measured) for part, measured in line.parts.items() if part not in (TEST, BASE, NOVEL)]
    return found | ({MEAN_OF_TARGETS: spread_of(mean_over_sets(targets))} if len(targets) == n_targets > 1 else {})


def costs_of(cells: Sequence[Finished]) -> dict[str, Any]:
    """What a row took, averaged over its cells, and what it was allowed to look at."""
    found: dict[str, Any] = {}
    for name in COSTS:
        known = [cell.record[name] for cell in cells if cell.record.get(name) is not None]
        found[name] = float(np.mean(known)) if known else None
    first = cells[0].record
    passes = [each for cell in cells if (each := image_passes(cell.record)) is not None]
    found["image_passes"] = float(np.mean(passes)) if passes else None
    found["labelled_to_choose"] = float(np.mean([cell.record.get("n_val") or 0 for cell in cells]))
    return found | {"n_train": first.get("n_train"), "precision": first.get("precision")}


def floor_of(cell: Finished) -> dict[str, float]:
    """Accuracy without looking: of guessing, and of always naming the commonest class of the test part."""
    answers = next(iter(cell.parts.values()))
    share = np.bincount(answers.labels, minlength=len(answers.classes)).max() / len(answers.labels)
    return {"chance": 1 / len(answers.classes), "majority": float(share)}


def honesty_of(cells: Sequence[Finished]) -> dict[str, Any]:
    """What makes a row too good: the leakage of its worst cell, and classes that the backbone had learned before.

    Of cells on several image sets the sentence names the set.
    """
    several = len({cell.image_set for cell in cells}) > 1
    leaks = [
        {**found, "sentence": f"{cell.image_set}: {found['sentence']}" if several else found["sentence"]}
        for cell in cells
        if (found := cell.record.get("leakage"))
    ]
    known = sorted({name for cell in cells for name in cell.record.get("known_classes") or ()})
    return {"leakage": worst_leakage(leaks), "known_classes": known, "backbone": cells[0].record.get("backbone")}


def worst_leakage(leaks: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """What makes numbers too good the most: what was found, what was allowed, then the most doubts and used images."""

    def severity(leak: dict[str, Any]) -> tuple[bool, bool, int, int]:
        used = sum(count["by_drawn"] for count in leak.values() if isinstance(count, Mapping))
        return bool(leak.get("found")), bool(leak.get("allowed")), leak.get("doubts") or 0, used

    return max(leaks, key=severity, default=None)


def notes_of(line: Line, matrix: Matrix | None, name: str, reference: str | None) -> list[str]:
    """What a reader has to know of a row, each once."""
    notes = joined_notes(cell.record.get("notes") or () for cell in line.cells)
    notes += [f"The {part} half holds one class: it enters no mean." for part in line.trivial]
    for answers in line.cells[0].parts.values():
        notes += small_classes(answers.labels, answers.classes)
    if len({cell.record.get("n_test") for cell in line.cells}) > 1:
        notes.append("The seeds were measured on different numbers of images.")
    if line.found is not None and line.found.why:
        notes.append(f"No interval: {line.found.why}.")
    difference = difference_of(matrix, name, reference)
    if difference and difference["why"]:
        notes.append(f"Not compared with {reference}: {difference['why']}.")
    return list(dict.fromkeys(notes))
