"""The rows of a comparison: finished cells of one line put together, with what may be said of them.

A row is one line (method, options, wording) at one number of shots on one image set: its mean over seeds, the interval
over new draws and new patients, and the paired difference to the line it is held against. Sources of the procedures are
in `core.evaluation`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.evaluation.harmonic_mean import H1, harmonic_mean, harmonic_means_over_sets, harmonic_two_part
from core.evaluation.metrics import METRICS
from core.evaluation.over_sets import RankTest, rank_test
from core.evaluation.pairwise import Matrix, pairwise_matrix
from core.evaluation.pseudo_values import LOWER_IS_BETTER, Measured, measure
from core.evaluation.two_part import TwoPart, mean_over_sets, of_measured
from core.experiments.protocols import BASE, NOVEL, TEST
from core.experiments.spec import ExperimentSpec

Key = tuple[str, int | None, float | None]
"""What is compared with each other: image set, shots, share."""
MEAN_OF_TARGETS = "mean of targets"
BASELINE, BEST_SIMPLE = "baseline", "best simple"
"""Roles of the rows that are drawn as lines."""
COSTS = ("steps", "trainable_parameters", "seconds", "peak_mb")


@dataclass(frozen=True)
class Answers:
    """What a cell said of one part. labels, probabilities: (n,) and (n, classes). groups: patients, None if unknown."""

    images: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    groups: tuple[str | None, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """A finished cell. line: label of the line. record: as it was sealed. parts: answers by part, the ranked first."""

    image_set: str
    line: str
    method: str
    shots: int | None
    share: float | None
    seed: int
    descriptions: str | None
    record: Mapping[str, Any]
    parts: Mapping[str, Answers]

    @property
    def place(self) -> Key:
        """Which cells it is compared with."""
        return self.image_set, self.shots, self.share

    @property
    def row(self) -> tuple[Any, ...]:
        """Which cells it is put together with: what differs in options or precision never shares a row."""
        return (*self.place, self.line, self.descriptions, self.record.get("precision"), self.record.get("backbone"))


def answers_of(rows: Sequence[Mapping[str, Any]]) -> Answers:
    """The answers in prediction rows, see `core.tuning.measure.Measurement.rows`. Labels are numbers of `classes`."""
    files, labels, stated = ([row[name] for row in rows] for name in ("file", "label", "probabilities"))
    return answers_of_columns(files, labels, stated, [row.get("group") for row in rows])


def answers_of_columns(
    files: Sequence[str],
    labels: Sequence[str],
    probabilities: Sequence[Mapping[str, float]],
    groups: Sequence[str | None],
) -> Answers:
    """The same of columns, one value an image each."""
    classes = tuple(probabilities[0])
    place = {name: index for index, name in enumerate(classes)}
    return Answers(
        tuple(map(str, files)),
        np.array([place[label] for label in labels], dtype=np.int64),
        np.array([list(each.values()) for each in probabilities], dtype=np.float64),
        tuple(groups),
        classes,
    )


def experiment_rows(
    spec: ExperimentSpec, cells: Sequence[Finished], baseline: str, simple: Sequence[str]
) -> list[dict[str, Any]]:
    """All rows: of each image set, and of the mean over sets where there are several.

    baseline: the method that learns nothing. simple: methods that a better one has to beat as well.
    """
    by_place: dict[Key, dict[tuple[Any, ...], list[Finished]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_place[cell.place][cell.row].append(cell)
    rows: list[dict[str, Any]] = []
    measured: dict[Key, dict[str, _Line]] = {}
    for place, lines in by_place.items():
        named = _names(lines)
        found = {named[key]: _line(spec, own, baseline) for key, own in lines.items()}
        measured[place] = found
        rows += _ranked(spec, place, found, baseline, simple)
    return [*rows, *_over_sets(spec, measured, baseline)]


@dataclass(frozen=True)
class _Line:
    """One row before it is compared. main: what is ranked; None where no part could be measured."""

    cells: tuple[Finished, ...]
    main: Measured | None
    parts: Mapping[str, Measured]
    found: TwoPart | None
    trivial: tuple[str, ...]


def _names(lines: Mapping[tuple[Any, ...], Sequence[Finished]]) -> dict[tuple[Any, ...], str]:
    """A name for each row that shows in what it differs from the others of its place."""
    labels = Counter(own[0].line for own in lines.values())
    found = {}
    for key, own in lines.items():
        first, extra = own[0], []
        if labels[first.line] > 1:
            peers = [other[0] for other in lines.values() if other[0].line == first.line]
            if len({peer.descriptions for peer in peers}) > 1:
                extra.append(first.descriptions or "templates")
            extra += [
                str(first.record.get(name))
                for name in ("precision", "backbone")
                if len({peer.record.get(name) for peer in peers}) > 1
            ]
        found[key] = f"{first.line}{f' ({chr(44).join(extra)})' if extra else ''}"
    return found


def _line(spec: ExperimentSpec, cells: Sequence[Finished], baseline: str) -> _Line:
    ordered = tuple(sorted(cells, key=lambda cell: cell.seed))
    drawn = ordered[0].method != baseline
    # nothing is drawn by the baseline: its seeds are one measurement
    used = ordered if drawn else ordered[:1]
    parts = {part: _measured(spec.metric, used, part, drawn) for part in ordered[0].parts}
    trivial = tuple(part for part in (BASE, NOVEL) if part in parts and len(ordered[0].parts[part].classes) == 1)
    if spec.protocol != "base-to-novel":
        main = next(iter(parts.values()), None)
        return _Line(ordered, main, parts, of_measured(main) if main else None, ())
    if NOVEL not in parts or trivial:
        return _Line(ordered, None, parts, None, trivial)
    return _Line(ordered, parts[BASE], parts, harmonic_two_part(parts[BASE], parts[NOVEL]), ())


def _measured(metric: str, cells: Sequence[Finished], part: str, drawn: bool) -> Measured:
    first = cells[0].parts[part]
    return measure(
        metric,
        first.labels,
        probabilities=np.stack([cell.parts[part].probabilities for cell in cells]),
        groups=first.groups,
        images=first.images,
        seeds=[cell.seed for cell in cells],
        classes=first.classes,
        drawn=drawn,
    )


def _ranked(
    spec: ExperimentSpec, place: Key, lines: Mapping[str, _Line], baseline: str, simple: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of one place, compared with each other."""
    matrix = _matrix(spec, {name: line.main for name, line in lines.items() if line.main is not None})
    reference = _reference(spec, lines, baseline)
    best_simple = _best(lines, simple)
    floor = next((name for name, line in lines.items() if line.cells[0].method == baseline), None)
    rows = []
    for name, line in lines.items():
        first = line.cells[0]
        row: dict[str, Any] = {
            "image_set": place[0],
            "method": first.method,
            "line": name,
            "shots": first.shots,
            "share": first.share,
            "protocol": spec.protocol,
            "descriptions": first.descriptions,
            "metric": spec.metric,
            "n_seeds": len(line.cells),
            "seeds": [cell.seed for cell in line.cells],
            "runs": [cell.record.get("id") for cell in line.cells],
        }
        row |= _spread(line.found)
        row |= {
            "difference": _difference(matrix, name, reference),
            "beats": _beats(matrix, name, floor, best_simple, reference),
        }
        row |= {"values": _values(line), "role": _role(first, name, baseline, best_simple), "rank": _rank(matrix, name)}
        row |= {
            "metrics": _means(line.cells),
            "parts": _parts(line, len(spec.target_images)),
            **_costs(line.cells),
            **_floor(line.cells[0]),
        }
        row |= _honesty(line.cells)
        rows.append(row | {"notes": _notes(line, matrix, name, reference)})
    return rows


def _matrix(spec: ExperimentSpec, measured: Mapping[str, Measured]) -> Matrix | None:
    """All pairs of a place; of base-to-novel none, since its number is made of two parts."""
    if len(measured) < 2 or spec.protocol == "base-to-novel":
        return None
    # what holds for the trained models alone enters no row, and takes most of the time
    return pairwise_matrix(measured, spec.compare_to if spec.compare_to in measured else None, test_models=False)


def comparison_matrix(spec: ExperimentSpec, cells: Sequence[Finished], baseline: str) -> Matrix | None:
    """The pairwise matrix of cells at one number of shots: of one image set, or of the mean over several.

    None where there is nothing to compare.
    """
    by_set: dict[str, dict[tuple[Any, ...], list[Finished]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_set[cell.image_set][cell.row].append(cell)
    sets = {}
    for name, lines in by_set.items():
        named = _names(lines)
        sets[name] = {named[key]: _line(spec, own, baseline) for key, own in lines.items()}
    if len(sets) > 1:
        return _mean_matrix(spec, sets, _complete(sets))
    lone = next(iter(sets.values()), {})
    return _matrix(spec, {name: line.main for name, line in lone.items() if line.main is not None})


def _values(line: _Line) -> list[float]:
    """The ranked number of each seed, in the order of `seeds`; one for a line in which nothing is drawn."""
    if line.main is None:
        return []
    if NOVEL not in line.parts:
        return [float(value) for value in line.main.per_seed]
    return [float(value) for value in harmonic_mean(line.parts[BASE].per_seed, line.parts[NOVEL].per_seed)]


def _role(first: Finished, name: str, baseline: str, best_simple: str | None) -> str | None:
    """Which of the two lines that others have to beat this is, if any."""
    if first.method == baseline:
        return BASELINE
    return BEST_SIMPLE if name == best_simple else None


def _rank(matrix: Matrix | None, name: str) -> list[int] | None:
    """The first and the last rank that it can have; None where nothing is compared."""
    return None if matrix is None or name not in matrix.methods else list(matrix.rank_interval(name))


def _reference(spec: ExperimentSpec, lines: Mapping[str, _Line], baseline: str) -> str | None:
    """The row that the others are held against: the one that was chosen before, else the baseline."""
    wanted = spec.compare_to or baseline
    return next((name for name, line in lines.items() if wanted in (name, line.cells[0].line)), None)


def _best(lines: Mapping[str, _Line], methods: Sequence[str]) -> str | None:
    known = {name: line.main.mean for name, line in lines.items() if line.main and line.cells[0].method in methods}
    return max(known, key=lambda name: known[name]) if known else None


def _difference(matrix: Matrix | None, name: str, reference: str | None) -> dict[str, Any] | None:
    """{against, mean, low, high, p, p_holm, interval, claim, visible, why} of a row; None where nothing is compared."""
    if matrix is None or reference is None or name == reference or not {name, reference} <= set(matrix.methods):
        return None
    pair = matrix.cell(name, reference)
    return {
        "against": reference,
        **{key: getattr(pair, key) for key in ("mean", "low", "high", "p", "p_holm", "interval", "claim", "visible")},
        "why": pair.why or None,
    }


def _beats(
    matrix: Matrix | None, name: str, floor: str | None, best_simple: str | None, reference: str | None
) -> bool | None:
    """Whether the paired intervals to the baseline, the best simple method and the reference all lie above zero.

    None for the baseline itself, and where it or every simple method is missing: then nothing is called better.
    """
    if matrix is None or floor is None or best_simple is None or name == floor or name not in matrix.methods:
        return None
    others = {floor, best_simple, reference} - {name, None}
    pairs = [matrix.cell(name, other) for other in others if other in matrix.methods]
    side = -1 if matrix.lower_is_better else 1
    ends = [pair.low if side > 0 else pair.high for pair in pairs]
    return all(end is not None and side * end > 0 for end in ends)


def _spread(found: TwoPart | None) -> dict[str, Any]:
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


def _means(cells: Sequence[Finished]) -> dict[str, float | None]:
    """Each metric of the ranked part, averaged over the seeds in which it is defined."""
    found = {}
    for name in METRICS:
        known = [value for cell in cells if (value := cell.record["metrics"].get(name)) is not None]
        found[name] = float(np.mean(known)) if known else None
    return found


def _parts(line: _Line, n_targets: int) -> dict[str, Any]:
    """Mean, interval, chance and number of images of each part, where there are several or one of two is missing.

    The mean of targets stands only where all of them were measured: means over different sets compare nothing.
    """
    if len(line.parts) < 2 and BASE not in line.parts:
        return {}
    first = line.cells[0]
    found = {
        part: _spread(of_measured(measured))
        | {
            "n_test": len(first.parts[part].images),
            "classes": list(first.parts[part].classes),
            "chance": 1 / len(first.parts[part].classes),
            "trivial": part in line.trivial,
        }
        for part, measured in line.parts.items()
    }
    targets = [of_measured(measured) for part, measured in line.parts.items() if part not in (TEST, BASE, NOVEL)]
    return found | ({MEAN_OF_TARGETS: _spread(mean_over_sets(targets))} if len(targets) == n_targets > 1 else {})


def _costs(cells: Sequence[Finished]) -> dict[str, Any]:
    """What a row took, averaged over its cells, and what it was allowed to look at."""
    found: dict[str, Any] = {}
    for name in COSTS:
        known = [cell.record[name] for cell in cells if cell.record.get(name) is not None]
        found[name] = float(np.mean(known)) if known else None
    first = cells[0].record
    batch = (first.get("options") or {}).get("batch_size")
    found["image_passes"] = found["steps"] * batch if batch and found["steps"] else None
    found["labelled_to_choose"] = float(np.mean([cell.record.get("n_val") or 0 for cell in cells]))
    return found | {"n_train": first.get("n_train"), "precision": first.get("precision")}


def _floor(cell: Finished) -> dict[str, float]:
    """Accuracy without looking: of guessing, and of always naming the commonest class of the test part."""
    answers = next(iter(cell.parts.values()))
    share = np.bincount(answers.labels, minlength=len(answers.classes)).max() / len(answers.labels)
    return {"chance": 1 / len(answers.classes), "majority": float(share)}


def _honesty(cells: Sequence[Finished]) -> dict[str, Any]:
    """What makes a row too good: the leakage of its worst cell, and classes that the backbone had learned before."""
    leaks = [dict(found) for cell in cells if (found := cell.record.get("leakage"))]
    worst = max(
        leaks,
        key=lambda leak: (bool(leak.get("found")), bool(leak.get("allowed")), leak.get("doubts") or 0),
        default=None,
    )
    known = sorted({name for cell in cells for name in cell.record.get("known_classes") or ()})
    return {"leakage": worst, "known_classes": known, "backbone": cells[0].record.get("backbone")}


def _notes(line: _Line, matrix: Matrix | None, name: str, reference: str | None) -> list[str]:
    """What a reader has to know of a row, each once."""
    notes: list[str] = []
    for cell in line.cells:
        notes += cell.record.get("notes") or []
    notes += [f"The {part} half holds one class: it enters no mean." for part in line.trivial]
    if len({cell.record.get("n_test") for cell in line.cells}) > 1:
        notes.append("The seeds were measured on different numbers of images.")
    if line.found is not None and line.found.why:
        notes.append(f"No interval: {line.found.why}.")
    difference = _difference(matrix, name, reference)
    if difference and difference["why"]:
        notes.append(f"Not compared with {reference}: {difference['why']}.")
    return list(dict.fromkeys(notes))


def _over_sets(
    spec: ExperimentSpec, measured: Mapping[Key, Mapping[str, _Line]], baseline: str
) -> list[dict[str, Any]]:
    """Rows of the mean over image sets, at each number of shots, of sets on which every line has all its seeds."""
    amounts = dict.fromkeys((shots, share) for _, shots, share in measured)
    rows = []
    for shots, share in amounts:
        sets = {place[0]: lines for place, lines in measured.items() if place[1:] == (shots, share)}
        if len(sets) < 2:
            continue
        rows += _mean_rows(spec, sets, shots, share, baseline)
    return rows


def _complete(sets: Mapping[str, Mapping[str, _Line]]) -> list[str]:
    """Image sets on which every line has as many seeds as it has anywhere."""
    # a line that can be measured nowhere, such as a head among novel classes, takes no set from the others
    names = list(dict.fromkeys(name for lines in sets.values() for name, line in lines.items() if line.main))
    if not names:
        return []
    seeds = {name: max(len(lines[name].cells) for lines in sets.values() if name in lines) for name in names}
    return [
        at
        for at, lines in sets.items()
        if all(name in lines and lines[name].main and len(lines[name].cells) == seeds[name] for name in names)
    ]


def _mean_matrix(spec: ExperimentSpec, sets: Mapping[str, Mapping[str, _Line]], whole: Sequence[str]) -> Matrix | None:
    """All pairs of lines over complete image sets; None where there is nothing to compare."""
    names = list(dict.fromkeys(name for at in whole for name in sets[at]))
    if spec.protocol == "base-to-novel" or len(names) < 2 or len(whole) < 2:
        return None
    by_line = {name: {at: sets[at][name].main for at in whole} for name in names}
    known = {name: {at: each for at, each in own.items() if each is not None} for name, own in by_line.items()}
    return pairwise_matrix(known, spec.compare_to if spec.compare_to in known else None, test_models=False)


def _mean_rows(
    spec: ExperimentSpec, sets: Mapping[str, Mapping[str, _Line]], shots: int | None, share: float | None, baseline: str
) -> list[dict[str, Any]]:
    whole = _complete(sets)
    if len(whole) < 2:
        return []
    # a line that can be measured nowhere, such as a head among novel classes, takes no set from the others
    names = list(dict.fromkeys(name for lines in sets.values() for name, line in lines.items() if line.main))
    if not names:
        return []
    matrix = _mean_matrix(spec, sets, whole)
    reference = _reference(spec, sets[whole[0]], baseline)
    left = [at for at in sets if at not in whole]
    scores = {name: [_score(sets[at][name]) for at in whole] for name in names}
    ranks = rank_test(scores, lower_is_better=spec.metric in LOWER_IS_BETTER) if len(names) > 1 else None
    rows = []
    for name in names:
        lines = [sets[at][name] for at in whole]
        parts: dict[str, Any] = {}
        if spec.protocol == "base-to-novel":
            halves = [(line.parts[BASE], line.parts[NOVEL]) for line in lines]
            means = harmonic_means_over_sets(halves)
            parts = {which: _spread(each) for which, each in means.items()}
            for at, half in enumerate((BASE, NOVEL)):
                parts[half] = _spread(mean_over_sets([of_measured(pair[at]) for pair in halves]))
            found = means[H1]
        else:
            found = mean_over_sets([line.found for line in lines if line.found is not None])
        first = lines[0].cells[0]
        rows.append(
            {
                "image_set": None,
                "image_sets": whole,
                "method": first.method,
                "line": name,
                "shots": shots,
                "share": share,
                "protocol": spec.protocol,
                "descriptions": first.descriptions,
                "metric": spec.metric,
                "n_seeds": len(lines[0].cells),
                "seeds": [cell.seed for cell in lines[0].cells],
                "runs": [],
                **_spread(found),
                "mean_rank": ranks.mean_ranks[name] if ranks else None,
                "difference": _difference(matrix, name, reference),
                "beats": None,
                "values": [],
                "role": BASELINE if first.method == baseline else None,
                "rank": _rank(matrix, name),
                "metrics": _means([cell for line in lines for cell in line.cells]),
                "parts": parts,
                **_costs([cell for line in lines for cell in line.cells]),
                **_honesty([cell for line in lines for cell in line.cells]),
                "notes": [
                    f"Unweighted mean over {len(whole)} image sets; says nothing about a further one.",
                    *([_rank_sentence(ranks)] if ranks else []),
                    *([f"Left out, since not every line is complete there: {', '.join(left)}."] if left else []),
                ],
            }
        )
    return rows


def _score(line: _Line) -> float:
    """What a line is ranked by on one set."""
    assert line.found is not None, "only sets on which every line was measured are averaged"
    return line.found.mean


def _rank_sentence(ranks: RankTest) -> str:
    """What the ranks over image sets say, or why nothing is tested."""
    if ranks.refusal:
        return ranks.refusal
    return (
        f"Ranks over {ranks.n_sets} image sets differ with p = {ranks.p:.2g} (Friedman, Iman and Davenport); mean "
        f"ranks that differ by more than {ranks.critical_difference:.2f} are different (Nemenyi)."
    )
