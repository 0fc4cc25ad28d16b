"""`explain`: where a trained model looks in one image; `explain batch` and `explain sinks` over a whole set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.explain_batch import batch
from app.commands.explain_sinks import sinks
from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, command, output

app = typer.Typer(help="Where a trained model looks: in one image, or over a whole set.", invoke_without_command=True)


@app.callback()
@command
def explain(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="A model folder, or the name or id of a stored model.")] = None,
    image: Annotated[Path | None, typer.Option(help="An image file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the maps (PNG) and arrays (npz).")] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Explain this class; the predicted one by default.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write evidence, attention and difference maps of one image, and say how far to trust them.

    Needs --model, --image and --out. `explain batch` and `explain sinks` look at a whole image set instead.
    """
    if context.invoked_subcommand is not None:
        return
    if model is None or image is None or out is None:
        given = {"--model": model, "--image": image, "--out": out}
        missing = ", ".join(name for name, value in given.items() if value is None)
        raise typer.BadParameter(f"Missing option {missing}: one image needs --model, --image and --out.")
    from core import load_model
    from core.errors import NotFound
    from core.explain.explain import explain_image
    from core.images.decode import opened_picture

    with output(json) as stream:
        if not image.is_file():
            raise NotFound("An image file", f"there is none at '{image}'", "Check the path.")
        with opened_picture(image) as picture:
            rgb, told = picture.rgb(), picture.told()
        classifier = load_model(find_folder(model), home=settings().home)
        out.mkdir(parents=True, exist_ok=True)
        found = explain_image(classifier, rgb, class_name, out, image_name=str(image)).as_dict() | told
        found["maps"] = [entry | {"file": str(out / entry["file"])} for entry in found["maps"] if entry["file"]]
        for finding in told["findings"]:
            stream.note(f"{image}: {finding['sentence']}")
        stream.row(found, f"{found['text']}\n")
        for entry in found["maps"]:
            stream.text(f"  {entry['title']}: {entry['file']}")
        stream.text(DISCLAIMER)


app.command()(batch)
app.command()(sinks)
