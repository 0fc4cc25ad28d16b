"""`predict`: images through a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, FAILED, JsonFlag, command, output


@command
def predict(
    model: Annotated[str, typer.Option(help="A model folder, or the name or id of a stored model.")],
    images: Annotated[Path, typer.Option(help="An image, a folder or a zip of images.")],
    json: JsonFlag = False,
) -> None:
    """Classify images: one object a file. Unreadable files go to standard error and make the exit code 1."""
    from app.services.classification import nothing_readable, predictions, read_image_path
    from core import load_model
    from core.errors import NotFound
    from core.images.picture import shown
    from core.images.store import FileStore
    from core.scratch import scratch_folder

    with output(json) as out, scratch_folder(settings().unpacked_dir) as folder:
        if not images.exists():
            raise NotFound("An image, a zip or a folder of images", f"there is none at '{images}'", "Check the path.")
        place = find_folder(model)
        found, problems = read_image_path(images, FileStore(folder))
        if not found:
            raise nothing_readable(problems)
        classifier = load_model(place, home=settings().home)
        for image, answer in zip(found, predictions(classifier, [image.path for image in found]), strict=True):
            name = str(images / image.name) if images.is_dir() else image.name if len(found) > 1 else str(images)
            told = shown(image.windowing, image.findings)
            row = {"file": name, **answer, "model": str(place), **told}
            doubts = "".join(f" {finding['sentence']}" for finding in told["findings"])
            out.row(row, f"{name}: {answer['label']} ({answer['probabilities'][answer['label']]:.3f}){doubts}")
            if json and doubts:
                out.note(f"{name}:{doubts}")
        out.text(DISCLAIMER)
        for problem in problems:
            out.note(f"{problem.file}: {problem.expected}; {problem.found}")
        if problems:
            raise typer.Exit(FAILED)


COMMANDS = (predict,)
