"""Reports of studies: an experiment or a run gathered from the records, and written as a page with its tables."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.services import experiments
from app.services.context import Context
from app.services.experiment_results import file_text
from app.services.models import find_model
from app.services.runs import MOST_ANSWERS, compare, full_runs, get_run
from core.errors import NotFound, UnreadableImage
from core.evaluation.group_details import row_name
from core.images.thumbnail import thumbnail
from core.records import image_sets as image_set_records
from core.records import runs as run_records
from core.records.audit import count_audit_entries
from core.records.explanations import count_of_models
from core.reporting import result_tables as tables
from core.reporting.checklist import Checklist, filled_checklist, read_standard
from core.reporting.facts import facts_of
from core.reporting.failures import failures
from core.reporting.study import Study, StudySet, amount_words
from core.reporting.study_page import study_page
from core.tuning.method_cards import method_card
from core.tuning.registry import method_names

PICTURE_PX, QUALITY = 160, 80


def write_report(ctx: Context, name: str, standard: str, out: Path, *, with_images: bool = False) -> dict[str, Any]:
    """Write the report of an experiment, a run or a model's run, and its tables beside it.

    out: an HTML file in a folder that exists; what lies there under these names is replaced. with_images: small copies
    of images, and their file names, stand in it. Returns {report, tables, standard, filled, items, partly, blank,
    not_applicable}. Raises NotFound, InvalidOption.
    """
    study, checklist, page = report(ctx, name, standard, with_images=with_images)
    out.write_text(page, encoding="utf-8")
    written = []
    for ending, text in _tables(study, checklist).items():
        path = out.with_name(f"{out.stem}-{ending}")
        path.write_text(text, encoding="utf-8")
        written.append(str(path))
    counts = {state.replace(" ", "_"): checklist.count(state) for state in ("filled", "partly", "blank")}
    return {
        "report": str(out),
        "tables": written,
        "standard": standard,
        "items": len(checklist.items),
        **counts,
        "not_applicable": checklist.count("does not apply"),
        "sentence": checklist.sentence,
    }


def report(ctx: Context, name: str, standard: str, *, with_images: bool = False) -> tuple[Study, Checklist, str]:
    """The study, its filled checklist and the page. Raises NotFound, InvalidOption."""
    read_standard(standard)
    study = gather(ctx, name)
    checklist = filled_checklist(standard, facts_of(study))
    return study, checklist, study_page(study, checklist, (lambda image: _picture(ctx, image)) if with_images else None)


def gather(ctx: Context, name: str) -> Study:
    """All that is recorded of an experiment (name or id), a run (id) or a model's run (name or id). Raises NotFound."""
    experiment = find_experiment(ctx, name)
    if experiment is None:
        return _of_run(ctx, find_run_id(ctx, name))
    shown = experiments.show(ctx, experiment["id"])
    cells = shown["cells"]
    run_ids = list(dict.fromkeys(cell["run"] for cell in cells if cell["state"] == "done" and cell["run"]))
    named = {**experiment["sources"].get("images", {}), **experiment["sources"].get("targets", {})}
    targets = set(experiment["sources"].get("targets", {}))
    return _study(
        ctx,
        experiment["name"],
        "experiment",
        run_ids,
        {set_id: set_name in targets for set_name, set_id in named.items()},
        cells=cells,
        rows=shown["rows"],
        spec=experiment["spec"],
        settings=file_text(ctx, experiment["id"]),
    )


def _of_run(ctx: Context, run_id: str) -> Study:
    run = get_run(ctx, run_id)
    if run["metrics"] is None:
        raise NotFound("A finished run", f"'{run['name']}' is {run['state']}", "Wait until it has succeeded.")
    settings = json.dumps({name: value for name, value in run["request"].items() if value is not None}, indent=2)
    return _study(ctx, run["name"], "run", [run_id], {}, settings=settings)


def find_experiment(ctx: Context, name: str) -> dict[str, Any] | None:
    """An experiment by name or id; None where there is none."""
    try:
        return experiments.get(ctx, name)
    except NotFound:
        return None


def find_run_id(ctx: Context, name: str) -> str:
    """A run by its id or its model's name or id. Raises NotFound."""
    for find in (lambda: get_run(ctx, name)["id"], lambda: find_model(ctx, name)["run_id"]):
        try:
            return str(find())
        except NotFound:
            continue
    raise NotFound(
        "The name or id of an experiment or a model, or the id of a run",
        f"'{name}' is none of them",
        "List experiments with `promptoscope experiment list`.",
    )


def _study(ctx: Context, name: str, kind: str, run_ids: list[str], sets: Mapping[str, bool], **given: Any) -> Study:
    runs = full_runs(ctx, run_ids) if run_ids else []
    found = compare(ctx, run_ids=run_ids, detailed=True) if run_ids else {"groups": [], "notes": []}
    with ctx.db.reading() as session:
        drawn = {
            run["id"]: {
                role: [each["sha256"] for each in own]
                for role, own in run_records.list_drawn(session, run["id"]).items()
            }
            for run in runs
        }
        models = [run["model_id"] for run in runs if run["model_id"]]
        explained, audited = count_of_models(session, models), count_audit_entries(session, "run", run_ids)
    study = Study(
        name=name,
        kind=kind,
        runs=runs,
        found=found,
        sets=_sets(ctx, runs, sets),
        drawn=drawn,
        cards={run["method"]: method_card(run["method"]) for run in runs if run["method"] in method_names()},
        explained=explained,
        audited=audited,
        **given,
    )
    return replace(study, galleries=_galleries(ctx, study))


def _sets(ctx: Context, runs: list[dict[str, Any]], known: Mapping[str, bool]) -> list[StudySet]:
    """The image sets of the study: those of the experiment, else those of its runs, deleted ones too."""
    found: dict[str, StudySet] = {}
    ids = dict(known) or {run["image_set"]["id"]: False for run in runs if run["image_set"]["id"]}
    with ctx.db.reading() as session:
        for set_id, is_target in ids.items():
            try:
                row = image_set_records.find_image_set(session, set_id)
            except NotFound:
                continue
            images = image_set_records.load_image_set(session, row.id, ctx.settings.images_dir)
            found[images.fingerprint] = StudySet(row.name, images.fingerprint, images, row.source, is_target)
    for run in runs:
        print_ = run["image_set_fingerprint"]
        found.setdefault(print_, StudySet(run["image_set"]["name"], print_, None))
    return list(found.values())


def _galleries(ctx: Context, study: Study) -> list[dict[str, Any]]:
    """Of each image set, the failures of the row that is looked at closely."""
    found = []
    with ctx.db.reading() as session:
        for group, row in study.leading:
            others = [run for each in group["rows"] if each is not row for run in each["run_ids"]]
            if run_records.count_predictions(session, [*row["run_ids"], *others]) > MOST_ANSWERS:
                others = []
            if run_records.count_predictions(session, row["run_ids"]) > MOST_ANSWERS:
                continue
            answers = {run: _answers(session, run) for run in [*row["run_ids"], *others]}
            own = [answers[run] for run in row["run_ids"] if answers[run]]
            alike = [each for each in own if _files(each) == _files(own[0])]
            if alike:
                same = [answers[run] for run in others if answers[run] and _files(answers[run]) == _files(own[0])]
                place = {"image_set": group["image_set"]["name"], "row": row_name(row), "amount": amount_words(group)}
                found.append(place | failures(alike, same))
    return found


def _answers(session: Any, run_id: str) -> list[dict[str, Any]]:
    """What a run said of the part that it is ranked by."""
    for part in run_records.RANKED_PARTS:
        if found := run_records.list_predictions(session, run_id, part=part):
            return found
    return []


def _files(answers: list[dict[str, Any]]) -> list[str]:
    return [each["file"] for each in answers]


def _picture(ctx: Context, image: Mapping[str, Any]) -> str | None:
    """A data URI of a small JPEG copy; None for an image that is gone or cannot be read."""
    from PIL import Image

    if image["image_id"] is None:
        return None
    try:
        with ctx.db.reading() as session:
            stored = image_set_records.stored_file(session, image["image_id"])
        small = thumbnail(ctx.settings.images_dir / stored.file, PICTURE_PX)
    except (NotFound, UnreadableImage, FileNotFoundError):
        return None
    file = io.BytesIO()
    Image.open(io.BytesIO(small)).save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _tables(study: Study, checklist: Checklist) -> dict[str, str]:
    """Files beside the report by the end of their name."""
    results, flow = tables.result_rows(study), tables.flow_rows(study)
    items = tables.checklist_rows(checklist)
    return {
        "results.csv": tables.csv_text(tables.RESULT_COLUMNS, results),
        "results.tex": tables.latex_text(tables.RESULT_COLUMNS, results),
        "flow.csv": tables.csv_text(tables.FLOW_COLUMNS, flow),
        "flow.tex": tables.latex_text(tables.FLOW_COLUMNS, flow),
        "checklist.csv": tables.csv_text(tables.CHECKLIST_COLUMNS, items),
        "checklist.tex": tables.latex_text(tables.CHECKLIST_COLUMNS, items, "lp{4cm}lp{6cm}p{4cm}"),
        "failures.csv": tables.csv_text(tables.FAILURE_COLUMNS, tables.failure_rows(study)),
        "runs.csv": tables.csv_text(tables.CELL_COLUMNS, tables.cell_rows(study)),
    }
