"""`predict`: images through a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.home import opened, settings
from app.commands.model import find_folder, trained_on
from app.commands.output import DISCLAIMER, FAILED, JsonFlag, command, output

if TYPE_CHECKING:
    from app.services.classification import NewImage
    from core.images.labelled_image import Problem
    from core.images.store import FileStore


JOINTLY = (
    "Joint answers use the other images of the folder: they may change with it, and their probabilities are not "
    "calibrated."
)


@command
def predict(
    model: Annotated[str, typer.Option(help="A model folder, or the name or id of a stored model.")],
    images: Annotated[
        Path, typer.Option(help="An image, folder, zip, manifest or .npz, or the name of a stored image set.")
    ],
    transductive: Annotated[
        bool,
        typer.Option(
            "--transductive",
            help="Answer the folder together as well: what an image's neighbours in it are counts too.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Classify images: one object a file. Unreadable files go to standard error and make the exit code 1.

    Masks, and tables or texts beside images, are left out and named; they do not change the exit code.
    """
    from app.services.classification import is_left_out, nothing_readable, predictions
    from core import load_model
    from core.images.findings import shown
    from core.images.store import FileStore
    from core.scratch import scratch_folder

    with output(json) as out, scratch_folder(settings().unpacked_dir) as folder:
        place = find_folder(model)
        found, problems = _read(images, FileStore(folder))
        if not found:
            raise nothing_readable(problems)
        classifier = load_model(place, home=settings().home)
        texts = trained_on(place, classifier.card["descriptions"]["source"])
        if transductive:
            from app.services.joint_prediction import joint_predictions

            answers, warnings = joint_predictions(classifier, found)
        else:
            answers, warnings = predictions(classifier, [image.path for image in found]), []
        for image, answer in zip(found, answers, strict=True):
            name = str(images / image.name) if images.is_dir() else image.name if len(found) > 1 else str(images)
            told = shown(image.windowing, image.findings)
            row = {"file": name, **answer, "model": str(place), "descriptions": texts, **told}
            doubts = "".join(f" {finding['sentence']}" for finding in told["findings"])
            out.row(row, f"{name}: {_shown(answer)}{doubts}")
            if json and doubts:
                out.note(f"{name}:{doubts}")
        for warning in warnings:
            out.note(warning)
        if transductive:
            out.text(JOINTLY)
        out.text(f"Descriptions: {texts}")
        out.text(DISCLAIMER)
        for problem in problems:
            out.note(f"{problem.file}: {problem.expected}; {problem.found}")
        if not all(is_left_out(problem) for problem in problems):
            raise typer.Exit(FAILED)


def _shown(answer: dict[str, Any]) -> str:
    """An answer in words, with the reason to be silent and the joint one beside it where there is one."""
    alone = f"{answer['label']} ({answer['probabilities'][answer['label']]:.3f})"
    alone += f", better no answer: {answer['abstain']}" if answer["abstain"] else ""
    return f"{alone}; together: {answer['transductive']['label']}" if "transductive" in answer else alone


def _read(images: Path, store: FileStore) -> tuple[list[NewImage], list[Problem]]:
    """The images at a path, or those of a stored set. Raises NotFound."""
    from app.services.classification import images_of_set, read_image_path
    from app.services.image_sets import load_image_set
    from core.errors import NotFound

    if images.exists():
        return read_image_path(images, store)
    try:
        with opened() as ctx:
            return images_of_set(load_image_set(ctx, str(images))), []
    except NotFound as error:
        raise NotFound(
            "An image, a zip or a folder of images, or the name of a stored set",
            f"there is none at '{images}'",
            "Check the path.",
        ) from error


COMMANDS = (predict,)
