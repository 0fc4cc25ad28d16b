"""`explain benchmark`: which explainer finds the lesions of a set, and whose places the model depends on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.explain_batch import read_set
from app.commands.home import settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, command, output


@command
def benchmark(
    model: Annotated[str, typer.Option(help="A model folder, or the name or id of a stored model.")],
    images: Annotated[str, typer.Option(help="A path, or the name of a stored set; lesion masks are used if there.")],
    part: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="At most so many images, evenly over the part.", min=1)] = None,
    hiding: Annotated[bool, typer.Option(help="Deletion and insertion too: 16 passes a map and image.")] = True,
    seed: Annotated[int, typer.Option(help="Of random maps, ties and resamples.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Score each explainer on images answered rightly, beside a blob in the centre and a random map: one object each.

    Hit rate of the strongest patch, part of the map inside, IoU (with masks), deletion and insertion, with intervals.
    """
    from core import load_model
    from core.errors import InvalidOption, TooFewImages
    from core.explain.batch_images import evenly, images_of_part
    from core.explain.localisation import Scored, quick_explainers, score_images, summarise
    from core.images.labelled_image import PARTS

    if part not in PARTS:
        raise InvalidOption(f"A part among {', '.join(PARTS)}", f"found '{part}'")
    with output(json) as out, read_set(images) as found:
        classifier = load_model(find_folder(model), home=settings().home)
        asked = images_of_part(found, part)  # type: ignore[arg-type]
        asked = asked if limit is None else evenly(asked, limit)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            out.progress(f"image {done} of {len(asked)}")

        rows, left_out = [], 0
        for row in score_images(classifier, asked, quick_explainers(), step, seed, hiding):
            if isinstance(row, Scored):
                rows.append(row)
            else:
                left_out += 1
                out.note(f"left out {row}")
        out.end_progress()
        if not rows:
            raise TooFewImages("An image that the model answers rightly", "found none", "Choose another part or set.")
        summaries = summarise(rows, seed)
        for summary in summaries:
            out.row(summary)
        if not out.as_json:
            out.table([_cells(row) for row in summaries], tuple(_cells(summaries[0])), "Nothing was scored.")
            out.text(f"{summaries[0]['n']} images answered rightly, {left_out} left out.")
            out.text(DISCLAIMER)


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    named = {name: _range(row[name]) for name in ("hit", "energy", "iou", "deletion", "insertion")}
    return {"map": row["explainer"], "n": row["n"], "masked": row["n_masked"], **named}


def _range(found: dict[str, Any] | None) -> str | None:
    if found is None:
        return None
    if found["low"] is None:
        return f"{found['mean']:.2f}"
    return f"{found['mean']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
