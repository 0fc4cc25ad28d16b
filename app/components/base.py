"""What our Gradio components share: script and style from files beside them, and a class that writes no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio import component_meta

FOLDER = Path(__file__).parent


class WithoutStub(type(gr.HTML)):  # type: ignore[misc]
    """Gradio's class of components, minus the stub file that it writes beside the source of each: an import of ours
    leaves the disk as it was."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        write = component_meta.create_or_modify_pyi
        component_meta.create_or_modify_pyi = lambda *_: None
        try:
            return super().__new__(cls, name, bases, attributes)
        finally:
            component_meta.create_or_modify_pyi = write


def script(name: str) -> str:
    """The text of `<name>.js`, the body of a function that Gradio calls with `element`, `props`, `trigger`, `watch`."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def style(name: str) -> str:
    """The text of `<name>.css`; Gradio scopes its rules to the component."""
    return (FOLDER / f"{name}.css").read_text(encoding="utf-8")
