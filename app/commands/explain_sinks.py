"""`explain sinks`: on which tokens heads gather their attention, and what they write from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.explain_batch import read_set
from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, command, output

if TYPE_CHECKING:
    from torch import Tensor

    from core.images.image_set import ImageSet

COLUMNS = ("layer", "head", "sink", "in images", "mass", "routed", "rho_out", "stable rank", "events", "label")


@command
def sinks(
    model: Annotated[str, typer.Option(help="A model folder, or the name or id of a stored model.")],
    images: Annotated[str, typer.Option(help="A path, or the name of a stored set.")],
    n: Annotated[int, typer.Option(help="How many images, evenly over the part.", min=1)] = 16,
    part: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    json: JsonFlag = False,
) -> None:
    """Say for each layer and head on which token attention gathers and whether the head is NOP-like, broadcast-like or
    mixed: one object a head, then a summary with the caption."""
    from core import load_model
    from core.errors import InvalidOption
    from core.explain.sink_tables import survey_sinks
    from core.images.labelled_image import PARTS

    if part not in PARTS:
        raise InvalidOption(f"A part among {', '.join(PARTS)}", f"found '{part}'")
    with output(json) as out, read_set(images) as found:
        classifier = load_model(find_folder(model), home=settings().home)
        survey = survey_sinks(classifier, _batches(classifier, found, part, n), lambda: out.progress("one more pass"))
        out.end_progress()
        rows = survey.head_rows()
        for row in rows:
            out.row({"model": model, "part": part, **row})
        summary = survey.summary(rows)
        out.row({"model": model, "part": part, **summary, "layers": survey.layer_rows()})
        if not out.as_json:
            out.table([_cells(row) for row in rows], COLUMNS, "No heads.")
        for kind, meaning in summary["meanings"].items():
            out.text(f"{kind}: {meaning}.")
        out.text(summary["caption"])
        out.text(DISCLAIMER)


def _batches(classifier: Any, found: ImageSet, part: Any, n: int) -> Iterator[Tensor]:
    """Model input of up to n images, evenly over the part. Raises TooFewImages where none can be read."""
    from core.errors import TooFewImages
    from core.explain.batch import images_at_once
    from core.explain.batch_images import evenly, images_of_part, pixel_batches

    batches = pixel_batches(classifier.backbone, evenly(images_of_part(found, part), n), images_at_once(classifier))
    empty = True
    for pixels in batches:
        empty = False
        yield pixels
    if empty:
        raise TooFewImages(f"Readable images in the part '{part}'", "found none", "Choose another part.")


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "layer": row["layer"],
        "head": row["head"],
        "sink": row["sink"],
        "in images": f"{row['sink_images']:.0%}",
        "mass": f"{row['mass']:.3f}",
        "routed": f"{row['routed']:.2f}",
        "rho_out": f"{row['rho_out']:.3f}",
        "stable rank": f"{row['stable_rank']:.3f}",
        "events": f"{row['events']:.0%}",
        "label": row["label"],
    }
