"""Published numbers put beside rows of ours: of a comparison of runs, and of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from core.errors import InvalidInput
from core.evaluation.published_file import BASE, HARMONIC, NOVEL, WHOLE
from core.records import published as records
from core.records import runs as run_records
from core.tuning.method_cards import baseline_method

if TYPE_CHECKING:
    from core.evaluation.published_beside import Ours
    from core.evaluation.run_answers import RunAnswers

Run = Mapping[str, Any]
LookUp = Callable[[Sequence[str]], Mapping[str, "RunAnswers"] | None]
CONTROLLED = "Controlled comparison"
"""How the note of a run begins that was held equal to others: what nobody has published."""
NO_RECIPE = "Ours follows no published recipe."


def put_beside_comparison(
    ctx: Context, comparison: dict[str, Any], runs: Sequence[Run], look_up: LookUp
) -> dict[str, Any]:
    """The comparison with `published` in each row, and notes in its groups on numbers that are not compared.

    runs: those it was made of, in full. look_up: from run ids to what they answered.
    """
    known = {run["id"]: run for run in runs}
    rows = [(group, row) for group in comparison["groups"] for row in group["rows"]]
    found = _Beside(ctx, [row["method"] for _, row in rows], look_up)
    for group, row in rows:
        row["published"], left = found.of(
            {name: group[name] for name in ("protocol", "shots", "share", "backbone")} | {"method": row["method"]},
            group["image_set"],
            [known[run_id] for run_id in row["run_ids"]],
        )
        group["notes"] += [note for note in left if note not in group["notes"]]
    return comparison


def put_beside_experiment(
    ctx: Context, experiment: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], look_up: LookUp
) -> list[dict[str, Any]]:
    """Copies of an experiment's rows with `published`; in the mean over sets, and where all is equal, there is none."""
    ids = experiment["sources"].get("images", {})
    found = _Beside(ctx, [] if experiment["spec"].get("controlled") else [row["method"] for row in rows], look_up)
    made = []
    for row in rows:
        place = {name: row[name] for name in ("method", "protocol", "shots", "share", "backbone")}
        beside: list[dict[str, Any]] = []
        left: list[str] = []
        if row["image_set"] is not None and found.has(place):
            runs = _in_full(ctx, [run_id for run_id in row["runs"] if run_id])
            beside, left = found.of(place, {"id": ids.get(row["image_set"]), "name": row["image_set"]}, runs)
        made.append({**row, "published": beside, "notes": [*row["notes"], *left]})
    return made


class _Beside:
    """The published numbers of some methods, and the test parts that were looked up for them."""

    def __init__(self, ctx: Context, methods: Sequence[str], look_up: LookUp) -> None:
        self.ctx, self.look_up = ctx, look_up
        self.parts: dict[str | None, str | None] = {}
        with ctx.db.reading() as session:
            self.records = records.published_of_methods(session, methods) if methods else []

    def has(self, place: Mapping[str, Any]) -> bool:
        """Whether anything of the place's method is known."""
        return any(record["method"] == place["method"] for record in self.records)

    def of(
        self, place: Mapping[str, Any], image_set: Mapping[str, Any], runs: Sequence[Run]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """What stands beside a row of these runs, and sentences on what is not known to belong there."""
        if not runs or not self.has(place) or any(_is_controlled(run) for run in runs):
            return [], []
        from core.evaluation.published_beside import Place, beside, is_like

        where = Place(
            **place,
            image_set=image_set["name"],
            fingerprint=self._test_part(image_set["id"]),
            learns=place["method"] != baseline_method(),
        )
        like = [record for record in self.records if is_like(record, where)]
        return beside(like, where, lambda part: _ours(runs, part, self.look_up)) if like else ([], [])

    def _test_part(self, image_set_id: str | None) -> str | None:
        if image_set_id not in self.parts:
            self.parts[image_set_id] = None
            if image_set_id is not None:
                # nothing is left of a set that was deleted meanwhile
                with self.ctx.db.reading() as session, suppress(InvalidInput):
                    self.parts[image_set_id] = records.images_of_test_part(session, image_set_id)[0]
        return self.parts[image_set_id]


def _ours(runs: Sequence[Run], part: str, look_up: LookUp) -> Ours | None:
    """Our accuracy on one part, averaged over the runs."""
    from core.evaluation.published_beside import Ours

    recipe = _recipe(runs)
    if part == HARMONIC:
        halves = [_mean(runs, half) for half in (BASE, NOVEL)]
        if halves[0] is None or halves[1] is None:
            return None
        base, novel = halves[0][0], halves[1][0]
        return Ours(2 * base * novel / (base + novel) if base + novel else 0.0, None, None, recipe)
    mean = _mean(runs, part)
    return None if mean is None else Ours(*mean, _overlap(runs, look_up) if part in (WHOLE, BASE) else None, recipe)


def _mean(runs: Sequence[Run], part: str) -> tuple[float, int] | None:
    """Accuracy on a part and its number of test images; None where a run lacks it or the numbers differ."""
    measured = [(run.get("parts") or {}).get(part) for run in runs]
    if part == WHOLE:
        measured = [
            own or {"metrics": run["metrics"], "n_test": run["n_test"]} for own, run in zip(measured, runs, strict=True)
        ]
    known = [(own["metrics"].get("accuracy"), own.get("n_test")) for own in measured if own]
    accuracies = [accuracy for accuracy, _ in known if accuracy is not None]
    sizes = {n for _, n in known}
    n = sizes.pop() if len(sizes) == 1 else None
    return (sum(accuracies) / len(accuracies), n) if n and len(accuracies) == len(runs) else None


def _overlap(runs: Sequence[Run], look_up: LookUp) -> float | None:
    from core.evaluation.published_beside import mean_overlap

    told = look_up([run["id"] for run in runs]) or {}
    if len(told) < 2 or len({each.images for each in told.values()}) > 1:
        return None
    return mean_overlap([each.labels == each.predicted for each in told.values()])


def _recipe(runs: Sequence[Run]) -> str:
    """What our runs follow, in words."""
    from core.tuning.recipe import recipe_sentence

    followed = [run.get("recipe") for run in runs]
    told = dict.fromkeys(recipe_sentence(one) if one else NO_RECIPE for one in followed)
    return " ".join(told)


def _is_controlled(run: Run) -> bool:
    return any(note.startswith(CONTROLLED) for note in run.get("notes") or ())


def _in_full(ctx: Context, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    with ctx.db.reading() as session:
        return run_records.list_runs(session, run_ids=run_ids, details=("parts",), limit=max(1, len(run_ids)))
