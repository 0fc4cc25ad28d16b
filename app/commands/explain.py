"""`explain`: where a trained model looks in one image; `explain batch` and `explain sinks` over a whole set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.explain_batch import batch
from app.commands.explain_benchmark import benchmark
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
    out: Annotated[
        Path | None, typer.Option(help="Folder for the maps (PNG, SVG), arrays (npz) and the page of the case.")
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Explain this class; the predicted one by default.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="A mask of the image's size, white on a region to measure maps against."),
    ] = None,
    polygon: Annotated[
        list[str] | None,
        typer.Option(help='A region by corners in pixels of the upright image: "10,20 30,20 30,40". May be repeated.'),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help='Draw this explainer too, such as "rise:masks=500" or "score_cam". May be repeated.'
        ),
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
    from core.explain.case_files import write_case
    from core.explain.explain import PICTURE_PX, explain_image
    from core.explain.view import field_of_view
    from core.images.decode import opened_picture

    with output(json) as stream:
        if not image.is_file():
            raise NotFound("An image file", f"there is none at '{image}'", "Check the path.")
        with opened_picture(image) as picture:
            rgb, told = picture.rgb(), picture.told()
        region = _region(mask, polygon or [], rgb.size)
        classifier = load_model(find_folder(model), home=settings().home)
        out.mkdir(parents=True, exist_ok=True)
        explained = explain_image(classifier, rgb, class_name, out, region, str(image), also=also or ())
        found = explained.as_dict() | told
        if found["maps"]:
            view = field_of_view(rgb, classifier.backbone.preprocessing, PICTURE_PX)
            page = write_case(out, found | {"image": image.name}, explained.arrays, view, classifier.card)
            found["page"] = str(page)
        found["maps"] = [_with_files(entry, out) for entry in found["maps"] if entry["file"]]
        for finding in told["findings"]:
            stream.note(f"{image}: {finding['sentence']}")
        stream.row(found, f"{found['text']}\n")
        for entry in found["maps"]:
            stream.text(f"  {entry['title']}: {entry['file']}")
        if "page" in found:
            stream.text(f"  All of it on one page: {found['page']}")
        for sign in found["signatures"]:
            if sign["fires"]:
                stream.note(f"{sign['title']}. {sign['sentence']}")
        for line in _region_lines(found):
            stream.text(line)
        stream.text(DISCLAIMER)


def _with_files(entry: dict[str, Any], out: Path) -> dict[str, Any]:
    """A map with the paths of its picture and, where it has values, its drawing."""
    drawing = {"drawing": str(out / f"{entry['kind']}.svg")} if entry["scale"] else {}
    return entry | {"file": str(out / entry["file"])} | drawing


def _region(mask: Path | None, polygons: list[str], size: tuple[int, int]) -> Any:
    """The marked pixels (height, width) of a file or of typed corners, or None."""
    from core.errors import InvalidInput, NotFound
    from core.explain.drawing import draw, polygon_of
    from core.explain.frame import marked_pixels
    from core.images.decode import opened_picture

    if mask is not None and polygons:
        raise InvalidInput("A region from --mask or from --polygon", "found both", "Leave one of them out.")
    if polygons:
        return draw([polygon_of(text) for text in polygons], size)
    if mask is None:
        return None
    if not mask.is_file():
        raise NotFound("A file with a mask", f"there is none at '{mask}'", "Check the path.")
    with opened_picture(mask) as picture:
        return marked_pixels(picture.marked())


def _region_lines(found: dict[str, Any]) -> Iterator[str]:
    """The region's note, and how much of each map lies in it."""
    region = found["region"]
    if region is None:
        return
    if region["note"]:
        yield region["note"]
    titles = {entry["kind"]: entry["title"] for entry in found["maps"]}
    for kind, shares in region["maps"].items():
        if shares["map_share"] is not None:
            hit = "on" if shares["pointing_hit"] else "off"
            yield (
                f"  {titles.get(kind, kind)}: {shares['map_share']:.1%} of it in the region, which covers "
                f"{shares['area_share']:.1%} of what is seen; strongest patch {hit} it"
            )


app.command()(batch)
app.command()(benchmark)
app.command()(sinks)
