"""What pages and programs see of an experiment: its rows under titles, its pairs, the states of its cells, its file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from app.services import experiments
from app.services.context import Context
from app.services.experiment_plan import Given, line_titles, parsed
from app.services.experiment_rows import MOST_ANSWERS, finished_cells
from app.services.jobs import waiting_sentence
from app.services.published_beside import put_beside_experiment
from app.services.runs import answers_of_runs
from core.errors import NotFound
from core.experiments.spec import spec_from_record
from core.records import experiments as records
from core.records import runs as run_records
from core.records.description_use import versions_of_runs
from core.text import shown
from core.tuning.method_cards import baseline_method

STATE_LETTERS = {"waiting": "w", "running": "r", "done": "d", "failed": "f"}


def show(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """The experiment with rows, ranks over its sets, notes on what is missing, and titles of its lines for people.

    Raises NotFound.

    The rows of finished cells are kept from one asking to the next; only new results are put together again.
    """
    from core.experiments.rank_tests import rank_tests

    found = experiments.show(ctx, id_or_name)
    return found["experiment"] | {
        "rows": beside(ctx, found["experiment"], found["rows"]),
        "rank_tests": rank_tests(found["rows"]),
        "notes": found["notes"],
        "titles": line_titles(spec_from_record(found["experiment"]["spec"])),
    }


def beside(ctx: Context, experiment: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with what changes when no run does: the `published` numbers that stand beside each, see
    `core.evaluation.published_beside`, and `description_versions`, those its runs were trained on and the newest ones.
    """
    made = put_beside_experiment(ctx, experiment, rows, lambda run_ids: answers_of_runs(ctx, run_ids))
    run_ids = [run for row in made for run in row["runs"] if run]
    with ctx.db.reading() as session:
        used = versions_of_runs(session, run_ids)
    runs_of: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for row in made:
        runs_of[_over_sets(row)] += row["runs"]
    for row in made:
        runs = row["runs"] if row["image_set"] is not None else runs_of[_over_sets(row)]
        row["description_versions"] = _different(used[run] for run in runs if run in used)
    return made


def _over_sets(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["line"], row["shots"], row["share"]


def _different(uses: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(use["set_id"], use["version"]): use for use in uses}.values())


def progress(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """The experiment with `states`, a letter for each cell in order: w(aiting), r(unning), d(one), f(ailed).

    Also `leakage`, the worst of its finished cells, by image set, and while it is queued `job.waits`, a sentence.
    Raises NotFound.
    """
    from core.experiments.row_values import worst_leakage

    found = experiments.get(ctx, id_or_name)
    leaks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with ctx.db.reading() as session:
        states = records.cell_states(session, found["id"])
        for image_set, leakage in records.leakages_of(session, found["id"]):
            leaks[image_set].append(leakage)
    if found["state"] == "queued":
        found["job"]["waits"] = waiting_sentence(ctx, found["job"]["id"])
    return found | {
        "states": "".join(STATE_LETTERS[state] for state in states),
        "leakage": {image_set: worst_leakage(own) for image_set, own in leaks.items()},
        "titles": line_titles(spec_from_record(found["spec"])),
    }


def matrix(
    ctx: Context, id_or_name: str, image_set: str | None, shots: int | None, share: float | None
) -> dict[str, Any]:
    """{matrix}: each line against each other on one image set, or over all sets without one; None where nothing is.

    shots, share: of the cells that are compared; both None for all images. Raises NotFound for a place without cells.
    """
    from core.experiments.rows import comparison_matrix

    found = experiments.get(ctx, id_or_name)
    with ctx.db.reading() as session:
        cells = records.list_cells(session, found["id"], state="done")
        here = [
            cell
            for cell in cells
            if (cell["shots"], cell["share"]) == (shots, share) and image_set in (None, cell["image_set"])
        ]
        if not here:
            where = "these training images" if image_set is None else f"'{shown(image_set)}' with these training images"
            raise NotFound("Finished cells of the experiment", f"found none on {where}", "Ask for a place it has.")
        if run_records.count_predictions(session, [cell["run"] for cell in here if cell["run"]]) > MOST_ANSWERS:
            return {"matrix": None}
        finished = finished_cells(ctx, session, [cell for cell in here if cell["run"]])
    compared = comparison_matrix(spec_from_record(found["spec"]), finished, baseline_method())
    return {"matrix": None if compared is None else compared.as_dict()}


def file_text(ctx: Context, id_or_name: str) -> str:
    """The experiment as the TOML file that gives it again. Raises NotFound."""
    from core.experiments.toml_text import toml_text

    return toml_text(spec_from_record(experiments.get(ctx, id_or_name)["spec"]))


def file_of(given: Given) -> dict[str, str]:
    """{name, toml} of values that make an experiment. Raises InvalidOption, InvalidInput."""
    from core.experiments.toml_text import toml_text

    spec = parsed(given)
    return {"name": spec.name, "toml": toml_text(spec)}
