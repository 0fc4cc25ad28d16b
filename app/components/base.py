"""What our Gradio components share: script and style from files beside them, and a class that writes no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from gradio import component_meta

FOLDER = Path(__file__).parent


class WithoutStub(component_meta.ComponentMeta):
    """Gradio's class of components, minus the stub file that it writes beside the source of each: an import of ours
    leaves the disk as it was."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        write = component_meta.create_or_modify_pyi
        component_meta.create_or_modify_pyi = lambda *_: None
        try:
            return super().__new__(cls, name, bases, attributes)
        finally:
            component_meta.create_or_modify_pyi = write


class OwnComponent(gr.HTML, metaclass=WithoutStub):
    """A Gradio component whose script and style lie beside it as `<NAME>.js` and `<NAME>.css`.

    The script draws `props.value` into `element.querySelector(".<NAME>")`. Values are JSON: what came is handed on.
    """

    NAME: ClassVar[str]

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template=f"<div class='{self.NAME}'></div>",
            css_template=_beside(f"{self.NAME}.css"),
            js_on_load=_beside(f"{self.NAME}.js"),
            apply_default_css=False,
            **kwargs,
        )

    def preprocess(self, payload: Any) -> Any:
        """The value as it was given, or None."""
        return payload or None

    def postprocess(self, value: Any) -> Any:
        """The value as it is sent."""
        return value

    def example_payload(self) -> Any:
        """A value for documentation."""
        return self.example_value()


def _beside(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
