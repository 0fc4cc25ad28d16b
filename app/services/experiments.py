"""Experiments: checked and recorded with all their cells, worked on here or by a job, and put together as rows."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.descriptions import get_description_set
from app.services.image_sets import get_image_set, load_image_set
from app.services.incoming_images import kept_from_path
from app.services.jobs import cancel_job, get_job
from app.services.kept_rows import keep_rows, read_rows, rows_key
from app.services.recipes import recipe_method
from app.services.training import check_test_part, checked_config
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import read_descriptions
from core.errors import Conflict, InvalidOption, NotFound
from core.experiments.spec import ExperimentSpec, parse_spec, parse_toml, spec_from_record
from core.images.image_set import ImageSet
from core.images.labelled_image import digest
from core.records import audit, jobs
from core.records import descriptions as description_records
from core.records import experiments as records
from core.records import image_sets as image_set_records
from core.records import runs as run_records
from core.records.runs import RunRequest
from core.text import fit_name
from core.tuning.method_cards import baseline_method, simple_methods
from core.tuning.registry import check_method_name
from training_jobs import job_queue

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.estimate import Cost, Estimate
    from core.experiments.rows import Finished
    from core.tuning.progress import Progress
    from training_jobs.cells import Opened, Work

Given = Mapping[str, Any] | str | bytes
"""The values of an experiment, or the text of a TOML file."""
MOST_ANSWERS = 3_000_000
"""Predictions read to put rows together."""
ROWS_KEPT = 8
OWN_PARTS = ("test", "base", "novel")
UNDER_WAY = ("queued", "running")


@dataclass(frozen=True)
class Planned:
    """An experiment that can be recorded. sources, texts: see `core.records.tables.ExperimentRow`."""

    spec: ExperimentSpec
    hash: str
    sources: dict[str, dict[str, str]]
    texts: dict[str, dict[str, dict[str, Any]]]
    image_sets: dict[str, ImageSet]
    cells: list[dict[str, Any]]


def create(ctx: Context, given: Given, *, paths: bool = False) -> dict[str, Any]:
    """Record an experiment whose name is new. Raises before anything is recorded if it could not be run.

    paths: whether images and descriptions may be named by their place on this machine; images are then kept in the home
    folder as image sets, one that is there already is used. Raises InvalidInput, InvalidOption, NotFound, TooFewImages,
    ClassMismatch, Unavailable, and Conflict where the name is taken.
    """
    return _record(ctx, plan(ctx, given, paths=paths))


def create_or_resume(ctx: Context, given: Given, *, paths: bool = False) -> dict[str, Any]:
    """The experiment of this name, recorded where there is none.

    Raises as `create`, Conflict only where the one of this name compares something else.
    """
    planned = plan(ctx, given, paths=paths)
    with ctx.db.reading() as session:
        known = records.find_by_name(session, planned.spec.name)
    if known is None:
        return _record(ctx, planned)
    if known.hash != planned.hash:
        raise Conflict(
            f"The experiment '{known.name}' goes on with the images, lines and settings that it began with",
            "other ones were given",
            "Give the changed experiment another name, or delete the old one.",
        )
    return get(ctx, known.id)


def plan(ctx: Context, given: Given, *, paths: bool = False) -> Planned:
    """The experiment as it would be recorded, checked; images at paths are kept as image sets. Raises as `create`."""
    spec = parse_spec(given if isinstance(given, Mapping) else parse_toml(given))
    spec = replace(spec, name=fit_name(spec.name, "An experiment's name"))
    for line in spec.candidates:
        check_method_name(recipe_method(line.recipe) if line.recipe else line.method)
    _check_lines(ctx, spec, paths or ctx.settings.allow_folders)
    images = {row["name"]: row["id"] for row in (_stored_images(ctx, each, paths) for each in spec.images)}
    targets = {
        _target_name(row["name"]): row["id"]
        for row in (_stored_images(ctx, each, paths) for each in spec.target_images)
    }
    _check_once(spec, images, targets)
    loaded = {name: load_image_set(ctx, set_id) for name, set_id in images.items()}
    prints = {name: found.fingerprint for name, found in loaded.items()}
    targets_loaded = {name: load_image_set(ctx, set_id) for name, set_id in targets.items()}
    _check_images(spec, loaded, targets_loaded)
    texts = {
        _wording_name(text): _wording(ctx, text, images, loaded, paths)
        for text in spec.descriptions
        if text is not None
    }
    spec = replace(
        spec,
        images=tuple(images),
        target_images=tuple(targets),
        descriptions=tuple(None if text is None else _wording_name(text) for text in spec.descriptions),
    )
    named_by_content = replace(
        spec,
        images=tuple(prints.values()),
        target_images=tuple(found.fingerprint for found in targets_loaded.values()),
    )
    wordings = [[name, of, text["sentences"]] for name, by_set in texts.items() for of, text in by_set.items() if text]
    # sets may be renamed by whoever adds the same images again, so wordings of sets are told apart by content too
    wordings = [[name, prints.get(of, ""), sentences] for name, of, sentences in wordings]
    name = digest([named_by_content.hash, json.dumps(wordings, sort_keys=True)])
    return Planned(spec, name, {"images": images, "targets": targets}, texts, loaded, _cells(spec, images, prints))


def get(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """One experiment: state, counts of cells, job, spec, image sets, wordings. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.experiment_dict(session, str(id_or_name))


def list_experiments(ctx: Context, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Experiments, newest first, without their specs."""
    with ctx.db.reading() as session:
        return records.list_experiments(session, limit, offset)


def count_experiments(ctx: Context) -> int:
    """How many experiments there are."""
    with ctx.db.reading() as session:
        return records.count_experiments(session)


def list_cells(
    ctx: Context, id_or_name: str, limit: int | None = None, offset: int = 0, state: str | None = None
) -> list[dict[str, Any]]:
    """Cells of an experiment in order, all or those in one state. Raises NotFound."""
    with ctx.db.reading() as session:
        found = records.find_experiment(session, str(id_or_name)).id
        return records.list_cells(session, found, state=state, limit=limit, offset=offset)


def show(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """{experiment, cells, rows, notes}: all there is so far; notes say what is missing. Raises NotFound."""
    with ctx.db.reading() as session:
        found = records.experiment_dict(session, str(id_or_name))
        cells = records.list_cells(session, found["id"])
        rows, notes = _rows(ctx, session, found, cells)
    return {"experiment": found, "cells": cells, "rows": rows, "notes": notes}


def list_rows(ctx: Context, id_or_name: str) -> list[dict[str, Any]]:
    """The rows of what is finished, see `core.experiments.rows`. Raises NotFound."""
    return list(show(ctx, id_or_name)["rows"])


def estimate(ctx: Context, given: Given) -> dict[str, Any]:
    """How long an experiment would take by earlier runs here: {n_cells, seconds, peak_mb, unknown, sentence, ...}.

    Nothing is recorded or timed: of methods that have not been run here only the names are told. Raises as `create`.
    """
    from core.backbones.catalogue import find_folder
    from core.experiments.cells import plan_cells
    from core.experiments.estimate import estimate as judge

    planned = plan(ctx, given)
    backbone, _ = find_folder(planned.spec.backbone, ctx.home, folders=ctx.settings.allow_folders)
    cells = plan_cells(planned.spec, baseline_method())
    return judge(planned.spec, cells, planned.image_sets, backbone, _earlier(ctx, cells, backbone)).as_dict()


def submit(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Queue the waiting cells of an experiment and return the job. Raises NotFound, Conflict while it is queued."""

    def work(session: Session) -> str:
        found = records.find_experiment(session, str(id_or_name))
        job_id = job_queue.enqueue_experiment(session, found.id, found.name)
        audit.add_audit_entry(session, ACTOR, "submit", "job", job_id)
        return job_id

    return get_job(ctx, ctx.db.write(work))


def cancel(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Stop the job of an experiment; cells that are not finished wait. Raises NotFound, Conflict without such a job."""
    found = get(ctx, id_or_name)
    job = found["job"]
    if job is None or job["state"] not in UNDER_WAY:
        raise Conflict(
            "An experiment is cancelled while its job is queued or running",
            f"'{found['name']}' has none" if job is None else f"that of '{found['name']}' has {job['state']}",
            "One that runs in a terminal is stopped there by Ctrl-C.",
        )
    cancel_job(ctx, job["id"])
    return get(ctx, found["id"])


def retry(ctx: Context, id_or_name: str) -> dict[str, Any]:
    """Let the failed cells of an experiment wait again, no others, and queue it.

    Raises NotFound, Conflict where no cell has failed.
    """

    def work(session: Session) -> str:
        found = records.find_experiment(session, str(id_or_name))
        if not records.wait_again(session, found.id):
            raise Conflict(
                "Failed cells can be tried again", f"'{found.name}' has none", "Run the experiment to go on with it."
            )
        newest = jobs.newest_job_of_experiment(session, found.id)
        if newest is None or newest.state not in UNDER_WAY:
            job_queue.enqueue_experiment(session, found.id, found.name)
        audit.add_audit_entry(session, ACTOR, "retry", "experiment", found.id)
        return found.id

    return get(ctx, ctx.db.write(work))


def delete(ctx: Context, id_or_name: str, *, with_runs: bool = False) -> dict[str, Any]:
    """Delete an experiment; its runs and models stay unless with_runs asks for those that no other experiment has.

    Raises NotFound, Conflict while its job is queued or running.
    """
    deleted: list[str] = []
    models: list[str] = []

    def work(session: Session) -> list[str]:
        found = records.find_experiment(session, str(id_or_name))
        deleted[:] = [found.id]
        lone = records.runs_of_experiment_alone(session, found.id) if with_runs else []
        paths = records.delete_experiment(session, found.id)
        models[:] = [row["model_id"] for row in run_records.list_runs(session, run_ids=lone, limit=len(lone) or 1)]
        for run_id in lone:
            paths += run_records.delete_run(session, run_id)
        audit.add_audit_entry(session, ACTOR, "delete", "experiment", found.id, {"n_runs": len(lone)})
        return paths

    contents.remove(ctx, work)
    for model in filter(None, models):
        ctx.classifiers.forget(model)
    return {"deleted": deleted[0]}


def run_here(
    ctx: Context,
    id_or_name: str,
    *,
    on_cells: Callable[[list[dict[str, Any]]], None],
    on_progress: Callable[[Cell, Progress], None] | None = None,
    on_estimate: Callable[[Estimate], None] | None = None,
) -> dict[str, Any]:
    """Work on an experiment in this process until no cell waits, and give it as `get` does.

    on_cells: gets cells that are recorded as done or failed. on_progress: of trainings. on_estimate: what is left to
    compute, before the first of them; methods that have never been run here are timed for it. Whatever interrupts it,
    the next call goes on from there. Raises NotFound, Unavailable, InvalidInput.
    """
    from training_jobs import cells

    found = get(ctx, id_or_name)

    class Foreground(cells.Listener):
        def progress(self, cell: Cell, progress: Progress) -> None:
            if on_progress:
                on_progress(cell, progress)

        def ended(self, positions: Sequence[int]) -> None:
            with ctx.db.reading() as session:
                on_cells(records.list_cells(session, found["id"], positions=positions))

    if not cells.recover(ctx.db, ctx.settings, found["id"]):
        return get(ctx, found["id"])
    with cells.opened(ctx.db, ctx.settings, found["id"]) as opened:
        work = cells.Work(ctx.db, ctx.settings, opened, Foreground())
        if on_estimate:
            on_estimate(_measured_estimate(ctx, opened, work))
        work.run()
    return get(ctx, found["id"])


def _measured_estimate(ctx: Context, opened: Opened, work: Work) -> Estimate:
    from core.experiments.estimate import estimate as judge
    from core.experiments.estimate import time_method

    left = work.waiting()
    backbone = opened.grid.backbone.name
    costs = _earlier(ctx, left, backbone)
    for cell in left:
        method = cell.candidate.method
        if method not in costs and (timed := time_method(opened.grid, cell)) is not None:
            costs[method] = timed
    return judge(opened.spec, left, opened.grid.image_sets, backbone, costs)


def _earlier(ctx: Context, cells: Sequence[Cell], backbone: str) -> dict[str, Cost]:
    """What the methods of these cells took here before."""
    from core.experiments.estimate import cost_of_earlier

    methods = dict.fromkeys(cell.candidate.method for cell in cells)
    with ctx.db.reading() as session:
        found = {name: cost_of_earlier(records.earlier_costs(session, name, backbone)) for name in methods}
    return {name: cost for name, cost in found.items() if cost is not None}


def _record(ctx: Context, planned: Planned) -> dict[str, Any]:
    spec = planned.spec

    def work(session: Session) -> str:
        for set_id in [set_id for known in planned.sources.values() for set_id in known.values()]:
            image_set_records.hold_image_set(session, set_id)
        made = records.add_experiment(
            session,
            name=spec.name,
            protocol=spec.protocol,
            backbone=spec.backbone,
            hash=planned.hash,
            spec=spec.as_dict(),
            sources=planned.sources,
            texts=planned.texts,
            cells=planned.cells,
        )
        audit.add_audit_entry(session, ACTOR, "add", "experiment", made, {"n_cells": len(planned.cells)})
        return made

    return get(ctx, ctx.db.write(work))


def _cells(spec: ExperimentSpec, images: Mapping[str, str], prints: Mapping[str, str]) -> list[dict[str, Any]]:
    from core.experiments.cells import plan_cells

    return [
        {
            "image_set_id": images[cell.image_set],
            "image_set_name": cell.image_set,
            "image_set_fingerprint": prints[cell.image_set],
            "line": cell.candidate.label,
            "method": cell.candidate.method,
            "shots": cell.shots,
            "share": cell.share,
            "seed": cell.seed,
            "descriptions": cell.descriptions,
        }
        for cell in plan_cells(spec, baseline_method())
    ]


def _check_lines(ctx: Context, spec: ExperimentSpec, folders: bool) -> None:
    """Raises InvalidOption, NotFound, Unavailable or NotAllowed for a line that could not be trained."""
    for line in spec.candidates:
        asked = RunRequest(
            "",
            line.method,
            backbone=spec.backbone,
            variant=line.variant,
            recipe=line.recipe,
            epochs=spec.epochs,
            views=spec.views,
            options=line.options,
            modality=spec.modality,
            template=spec.template,
        )
        checked_config(ctx.home, asked, folders=folders)


def _stored_images(ctx: Context, named: str, paths: bool) -> dict[str, Any]:
    return kept_from_path(ctx, named) if paths and os.path.exists(named) else get_image_set(ctx, named)


def _target_name(name: str) -> str:
    """What a target's part is called: never as a part that every run may have."""
    return f"{name} (target)" if name in OWN_PARTS else name


def _check_once(spec: ExperimentSpec, images: Mapping[str, str], targets: Mapping[str, str]) -> None:
    for key, asked, found in (("images", spec.images, images), ("target_images", spec.target_images, targets)):
        if len(found) < len(asked):
            raise InvalidOption(f"Each of '{key}' is another image set", f"{len(asked)} names are {len(found)} sets")


def _check_images(spec: ExperimentSpec, images: Mapping[str, ImageSet], targets: Mapping[str, ImageSet]) -> None:
    """Raises TooFewImages, ClassMismatch, InvalidOption or InvalidInput for sets on which no cell could be run."""
    from core.images.protocol_draws import halves

    for found in (*images.values(), *targets.values()):
        check_test_part(found)
    sources = {found.fingerprint: name for name, found in images.items()}
    same = [(name, sources[found.fingerprint]) for name, found in targets.items() if found.fingerprint in sources]
    if same:
        raise InvalidOption(
            "A target is another set than the one that is learned on",
            f"'{same[0][0]}' holds the images of '{same[0][1]}'",
            "Leave it out: the source's own test part is measured anyway.",
        )
    if spec.protocol == "base-to-novel":
        for found in images.values():
            halves(found.classes, spec.base_classes)


def _wording_name(text: str) -> str:
    """What a wording is called: the name of a stored set, or of a file without its folders."""
    return Path(text).name if os.sep in text else text


def _wording(
    ctx: Context, text: str, ids: Mapping[str, str], loaded: Mapping[str, ImageSet], paths: bool
) -> dict[str, dict[str, Any]]:
    """The sentences of one wording, by image set or for all ("").

    Raises NotFound, ClassMismatch where a class has no sentence, UnreadableSource.
    """
    if paths and os.path.isfile(text):
        found = read_descriptions(Path(text))
        return {"": _checked_text(found, None, loaded.values())}
    with ctx.db.reading() as session:
        named = description_records.ids_of_sets_called(session, text)
    rows = [get_description_set(ctx, set_id) for set_id in named]
    if len(rows) == 1:
        return {"": _text_of(rows[0], loaded.values())}
    by_set = {}
    for name, set_id in ids.items():
        own = [row for row in rows if row["image_set_id"] == set_id]
        if len(own) != 1:
            raise NotFound(
                f"A description set '{text}' for the images '{name}'",
                "there is none" if not own else "there are several",
                "List the description sets to see their names.",
            )
        by_set[name] = _text_of(own[0], [loaded[name]])
    return by_set


def _text_of(row: Mapping[str, Any], found: Any) -> dict[str, Any]:
    sentences = {name: tuple(texts) for name, texts in row["sentences"].items()}
    texts = DescriptionSet(sentences, f"{row['name']}, version {row['version']}")
    return _checked_text(texts, row["version_id"], found)


def _checked_text(texts: DescriptionSet, version_id: str | None, found: Any) -> dict[str, Any]:
    for image_set in found:
        texts.for_classes(image_set.classes)
    sentences = {name: list(own) for name, own in texts.sentences.items()}
    return {"source": texts.source, "version_id": version_id, "sentences": sentences}


_kept: OrderedDict[tuple[Any, ...], list[dict[str, Any]]] = OrderedDict()
"""Rows that were put together last, by the runs in them: finished runs do not change."""


def _rows(
    ctx: Context, session: Session, found: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    done = [cell for cell in cells if cell["state"] == "done" and cell["run"]]
    if not done:
        return [], ["No cell is finished yet."]
    key = (str(ctx.settings.database), found["id"], tuple((cell["position"], cell["run"]) for cell in done))
    if key not in _kept:
        run_ids = [cell["run"] for cell in done]
        if run_records.count_predictions(session, run_ids) > MOST_ANSWERS:
            return [], [f"Rows are put together of at most {MOST_ANSWERS} answers; this experiment has more."]
        _kept[key] = _stored_rows(ctx, session, found, done)
        while len(_kept) > ROWS_KEPT:
            _kept.popitem(last=False)
    left = len(cells) - len(done)
    return _kept[key], [f"{left} of {len(cells)} cells are not finished: the rows are of the others."] if left else []


def _stored_rows(
    ctx: Context, session: Session, found: Mapping[str, Any], done: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows as an earlier process kept them, else put together now."""
    folder = ctx.settings.experiments_dir / found["id"]
    spec = spec_from_record(found["spec"])
    key = rows_key(spec.hash, [(cell["position"], cell["run"]) for cell in done])
    rows = read_rows(folder, key)
    if rows is None:
        rows = _put_together(session, spec, done)
        keep_rows(folder, key, rows)
    return rows


def _put_together(session: Session, spec: ExperimentSpec, done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    from core.experiments.rows import experiment_rows

    return experiment_rows(spec, finished_cells(session, done), baseline_method(), simple_methods())


def finished_cells(session: Session, done: Sequence[Mapping[str, Any]]) -> list[Finished]:
    """Cells that are done, as `list_cells` gives them, with what their runs answered; without answers they fall out."""
    from core.experiments.rows import Answers, Finished, answers_of_columns

    run_ids = list(dict.fromkeys(cell["run"] for cell in done))
    sealed = run_records.list_runs(session, run_ids=run_ids, in_full=True, limit=len(run_ids))
    known = {row["id"]: row for row in sealed}
    answers: dict[str, dict[str, Answers]] = {}
    for run_id, parts in records.read_answers(session, run_ids):
        order = [part for part in known[run_id]["parts"] or parts if part in parts]
        answers[run_id] = {
            part: answers_of_columns(own.files, own.labels, own.probabilities, own.groups)
            for part in order
            for own in (parts[part],)
        }
    return [
        Finished(
            cell["image_set"],
            cell["line"],
            cell["method"],
            cell["shots"],
            cell["share"],
            cell["seed"],
            cell["descriptions"],
            known[cell["run"]],
            answers[cell["run"]],
        )
        for cell in done
        if answers.get(cell["run"])
    ]
