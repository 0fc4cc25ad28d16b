"""Maps over the picture that a model saw, side by side, zoomed and moved as one."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from app.components.base import OwnComponent
from core.explain.explain import Explanation
from core.explain.paint import colour_bar, colour_layer

LAYER_PX = 448


class MapViewer(OwnComponent):
    """The picture and its maps with one zoom, one place and one strength of colour, for any Gradio application.

    value: {"picture": data URL, "alt": text, "maps": [{kind, title, alt, unit, layer: data URL of colours with
    transparency, bar: [{value, colour}], shown: bool}]} as `viewer_value` makes it, or None. Events: `select`, when a
    place is clicked or chosen by Enter (its data holds `kind`, and `x` and `y` in [0, 1] of the picture), and `change`.
    Keys on a picture: + and - zoom, arrows move, 0 resets.
    """

    NAME = "map_viewer"

    def __init__(self, value: dict[str, Any] | None = None, *, label: str = "Where it looks", **kwargs: Any) -> None:
        super().__init__(value, label=label, **kwargs)

    def api_info(self) -> dict[str, Any]:
        """The JSON schema that API clients see."""
        return {
            "type": "object",
            "properties": {
                "picture": {"type": "string"},
                "alt": {"type": "string"},
                "maps": {"type": "array", "items": {"type": "object"}},
            },
            "description": "a picture and its maps, each a layer of colours, as data URLs",
        }

    def example_value(self) -> Any:
        """A value for documentation."""
        return {"picture": "data:image/png;base64,", "alt": "", "maps": []}


def viewer_value(explanation: Explanation, picture: Image.Image, shown: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a `MapViewer` shows of an explanation.

    picture: what the model sees, square. shown: kinds that are open at first; the first two of the
    explanation where none is named.
    Nothing in it names the image's file.
    """
    painted = [entry for entry in explanation.maps if entry.scale is not None and entry.colour_map is not None]
    first = shown or tuple(entry.kind for entry in painted if entry.shown)[:2]
    size = (LAYER_PX, LAYER_PX)
    return {
        "picture": _data_url(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)),
        "alt": "The image as the model sees it.",
        "maps": [
            {
                "kind": entry.kind,
                "title": entry.title,
                "alt": entry.alt,
                "unit": entry.unit,
                "layer": _data_url(colour_layer(explanation.arrays[entry.kind], size, entry.scale, entry.colour_map)),
                "bar": colour_bar(entry.scale, entry.colour_map)["stops"],
                "shown": entry.kind in first,
            }
            for entry in painted
            if entry.scale is not None and entry.colour_map is not None
        ],
    }


def _data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
