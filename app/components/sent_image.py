"""An image as it was sent."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components.base import WithoutStub


class SentImage(gr.Image, metaclass=WithoutStub):
    """`gr.Image` that hands over the file as it was sent: depth, rotation and colour are read by our own rules."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """The path of the file, or None."""
        return None if payload is None else payload.path
