"""Training: requests checked at once, then queued as jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.services.context import ACTOR, Context
from app.services.image_sets import load_image_set
from app.services.jobs import get_job
from app.services.recipes import recipe_method
from core.errors import Conflict, InvalidInput, InvalidOption, TooFewImages
from core.images.image_set import ImageSet
from core.images.shots import ShotDraw, draw_shots
from core.records import audit, descriptions, image_sets, runs
from core.records.runs import RunRequest
from training_jobs import job_queue

if TYPE_CHECKING:
    from core.descriptions.description_set import DescriptionSet
    from core.tuning.contract import Method, MethodConfig

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class CheckedTraining:
    """A request that can be trained: what is queued, and what was looked up to check it."""

    request: RunRequest
    image_set: ImageSet
    draw: ShotDraw
    config: MethodConfig
    notes: tuple[str, ...]


def submit(ctx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Queue one training and return its job. Raises before anything is queued if it could not be trained.

    request: image_set (id or name), method (may be left out beside a recipe), and optionally backbone, variant, recipe,
    shots (None: all), seed, epochs, views, options, description_set, description_version, modality, template,
    allow_leakage, name.
    """
    return submit_many(ctx, [request])[0]


def submit_many(ctx: Context, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Queue several trainings, all or none."""
    checked = [check_request(ctx, request) for request in requests]
    return [get_job(ctx, job_id) for job_id in ctx.db.write(lambda session: _queue(session, checked))]


def _queue(session: Session, checked: Sequence[CheckedTraining]) -> list[str]:
    made = []
    for training in checked:
        run_id = runs.add_run(session, training.request)
        made.append(job_queue.enqueue(session, run_id, training.request.label))
        audit.add_audit_entry(session, ACTOR, "submit", "job", made[-1])
    return made


def estimate(ctx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """How many images a training would use and about how long it would take, judged by earlier runs here.

    Returns {seconds, n_train, n_val, n_test, notes}; seconds is None where nothing comparable was run.
    """
    checked = check_request(ctx, request)
    seconds, note = _seconds_of_earlier_runs(ctx, checked)
    return {
        "seconds": seconds,
        "n_train": len(checked.draw.train),
        "n_val": len(checked.draw.validation),
        "n_test": len(checked.image_set.part("test")),
        "notes": [*checked.notes, note],
    }


def check_request(ctx: Context, request: Mapping[str, Any]) -> CheckedTraining:
    """Everything that can be known to be wrong before training, in the order in which a person fills in the form.

    Raises NotFound, InvalidOption, TooFewImages, ClassMismatch, Unavailable.
    """
    asked = run_request(ctx, request)
    found = load_image_set(ctx, asked.image_set)
    _, config, notes = checked_config(ctx.home, asked, folders=ctx.settings.allow_folders)
    check_test_part(found)
    draw = draw_shots(found, asked.shots, asked.seed)
    config = config.settled(len(draw.train), len(found.classes))
    texts = _check_descriptions(ctx, asked, found.classes)
    if asked.recipe:
        notes = [*notes, _followed(ctx.home, asked, config, found.classes, texts)]
    return CheckedTraining(asked, found, draw, config, tuple(notes))


def run_request(ctx: Context, request: Mapping[str, Any]) -> RunRequest:
    """The request as it is recorded, with ids for names. Raises NotFound, InvalidOption for an unknown field."""
    values = {name: value for name, value in request.items() if not name.startswith("description_")}
    unknown = sorted(set(values) - set(RunRequest.__dataclass_fields__))
    if unknown:
        raise InvalidOption("A field of a training request", f"'{unknown[0]}' is none", "Leave it out.")
    if values.get("recipe") and not values.get("method"):
        values["method"] = recipe_method(str(values["recipe"]))
    for needed in ("image_set", "method"):
        if not values.get(needed):
            raise InvalidInput(f"A training request with '{needed}'", "found none", "Choose one.")
    with ctx.db.reading() as session:
        values["image_set"] = image_sets.find_image_set(session, str(values["image_set"])).id
    values["description_version_id"] = _description_version(ctx, request) or values.get("description_version_id")
    values["options"] = dict(values.get("options") or {})
    asked = RunRequest(**values)
    check_numbers(asked.shots, asked.seed)
    return asked


def check_numbers(shots: int | None, seed: int) -> None:
    """Raises InvalidOption for a number of shots or a seed that cannot be."""
    if shots is not None and shots < 1:
        raise InvalidOption("'shots' is 1 or more, or all", f"found {shots}", "Choose 16, for example.")
    if not 0 <= seed <= LARGEST_SEED:
        raise InvalidOption(f"'seed' lies between 0 and {LARGEST_SEED}", f"found {seed}", "Choose 1, for example.")


def checked_config(
    home: Path, asked: RunRequest, *, folders: bool = True
) -> tuple[type[Method], MethodConfig, list[str]]:
    """The method and the option values it would run with.

    folders: whether folders of this machine may be named. Raises InvalidOption, NotFound, Unavailable, NotAllowed.
    """
    from core.backbones.catalogue import find_folder
    from core.descriptions.templates import class_template
    from core.tuning.presets import resolve_config
    from core.tuning.recipe import get_recipe
    from core.tuning.registry import get_method
    from core.tuning.second_encoder import check_encoder
    from core.tuning.unlabelled import check_unlabelled

    recipe = get_recipe(asked.recipe) if asked.recipe else None
    kind = get_method(asked.method)
    backbone, _ = find_folder(asked.backbone, home, folders=folders)
    config, notes = resolve_config(
        kind,
        backbone,
        variant=asked.variant,
        options=asked.options,
        epochs=asked.epochs,
        views=asked.views,
        # a recipe brings a sentence of its own
        template=class_template(None if recipe else asked.modality, asked.template),
        recipe=recipe,
    )
    _check_language_model(config, folders)
    check_encoder(kind, config, home, folders)
    check_unlabelled(str(config.as_dict().get("unlabelled", "")), folders=folders)
    return kind, config, notes


def _check_language_model(config: MethodConfig, folders: bool) -> None:
    from core.language_models.folder import find_language_model

    if name := str(getattr(config, "language_model", "")).strip():
        find_language_model(name, folders=folders)


def _followed(
    home: Path, asked: RunRequest, config: MethodConfig, classes: tuple[str, ...], texts: DescriptionSet | None
) -> str:
    """Which recipe the training would follow and where it would leave it, as a sentence."""
    from core.backbones.catalogue import find_folder
    from core.tuning.recipe import deviations, get_recipe, recipe_record, recipe_sentence

    recipe, (backbone, _) = get_recipe(str(asked.recipe)), find_folder(asked.backbone, home)
    found = deviations(
        recipe,
        config,
        shots=asked.shots,
        seed=asked.seed,
        classes=classes,
        backbone=backbone,
        descriptions=texts,
    )
    return recipe_sentence(recipe_record(recipe, found))


def check_test_part(found: ImageSet) -> None:
    """Raises TooFewImages where a class has no test image."""
    absent = [name for name, row in found.counts().items() if not row["test"]]
    if absent:
        raise TooFewImages(
            "Every class needs test images to be measured on",
            f"none for {', '.join(repr(name) for name in absent)}",
            "Add images to the test part.",
        )


def _description_version(ctx: Context, request: Mapping[str, Any]) -> str | None:
    from app.services.descriptions import find_description_set

    if not request.get("description_set"):
        return None
    found = find_description_set(ctx, str(request["description_set"]), request.get("description_version"))
    if found["version_id"] is None:
        raise Conflict(
            "A saved version of the descriptions to train with",
            f"'{found['name']}' has none yet",
            "Save a version of its sentences first.",
        )
    return found["version_id"]


def _check_descriptions(ctx: Context, asked: RunRequest, classes: tuple[str, ...]) -> DescriptionSet | None:
    if asked.description_version_id is None:
        return None
    with ctx.db.reading() as session:
        return descriptions.load_descriptions(session, asked.description_version_id).for_classes(classes)


def _seconds_of_earlier_runs(ctx: Context, checked: CheckedTraining) -> tuple[float | None, str]:
    """The newest comparable run's time, scaled by epochs; and a sentence that says so."""
    asked = checked.request
    with ctx.db.reading() as session:
        last = runs.last_comparable(session, asked.method, asked.backbone)
    if last is None or last.seconds is None:
        return None, "This method has not been run here with this backbone, so its time is not known."
    epochs, before = getattr(checked.config, "epochs", None), last.epochs
    scale = epochs / before if epochs and before else 1.0
    return round(last.seconds * scale, 1), "The time is judged by the last run of this method here."
