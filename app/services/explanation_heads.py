"""Head by head: the sinks of one explained image, and its maps for every number of zero vectors; each made once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from app.services.context import Context
from app.services.image_sets import image_file
from app.services.line import go_on
from app.services.models import get_model, model_folder
from core.disk import told_when_full
from core.errors import InvalidOption
from core.images.decode import opened_picture
from core.records import explanations as records
from core.scratch import scratch_folder

SINKS_FILE = "sinks.json"
MODES = ("insert", "replace")


def sinks(ctx: Context, explanation_id: str) -> dict[str, Any]:
    """{heads, layers, summary, meanings} of `core.explain.sink_tables`, kept beside the maps. Raises NotFound."""
    from core.explain.captured import capture
    from core.explain.classifier import pixels_of
    from core.explain.sink_tables import sink_table

    def make(file: BinaryIO) -> None:
        with _opened(ctx, explanation_id) as (classifier, rgb):
            found = sink_table(capture(classifier, pixels_of(classifier, rgb)))
        file.write(json.dumps(found).encode())

    made: dict[str, Any] = json.loads(_kept(ctx, explanation_id, SINKS_FILE, make).read_bytes())
    return made


def head_maps_file(ctx: Context, explanation_id: str, mode: str) -> Path:
    """The arrays of `core.explain.head_maps` as .npz, kept beside the maps. Raises NotFound, InvalidOption."""
    if mode not in MODES:
        raise InvalidOption(f"One of {', '.join(MODES)}", f"found '{mode}'")

    def make(file: BinaryIO) -> None:
        import numpy as np

        from core.explain.classifier import pixels_of
        from core.explain.head_maps import head_maps

        with _opened(ctx, explanation_id) as (classifier, rgb):
            found = head_maps(classifier, pixels_of(classifier, rgb), mode, step=go_on)  # type: ignore[arg-type]
        np.savez(file, **found.arrays())  # type: ignore[arg-type]

    return _kept(ctx, explanation_id, f"heads-{mode}.npz", make)


def _kept(ctx: Context, explanation_id: str, name: str, make: Callable[[BinaryIO], None]) -> Path:
    """The file of an explanation, written in one move where it is not there."""
    with ctx.db.reading() as session:
        path = ctx.home / records.find_explanation(session, str(explanation_id)).folder / name
    if path.is_file():
        return path
    go_on()
    with told_when_full(), scratch_folder(ctx.drafts_dir) as draft:
        with (draft / name).open("wb") as file:
            make(file)
        os.replace(draft / name, path)
    return path


@contextmanager
def _opened(ctx: Context, explanation_id: str) -> Iterator[tuple[Any, Any]]:
    """The classifier of an explanation and its picture."""
    with ctx.db.reading() as session:
        row = records.find_explanation(session, str(explanation_id))
        model_id, image_id = row.model_id, row.image_id
    model = get_model(ctx, model_id)
    with opened_picture(image_file(ctx, image_id)[0]) as picture:
        rgb = picture.rgb()
    with ctx.classifiers.using(model["id"], model["weights_sha256"], model_folder(ctx, model)) as classifier:
        yield classifier, rgb
