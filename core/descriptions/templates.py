"""Sentences made from the class names alone: what a method compares images with until a person writes better ones."""

from __future__ import annotations

from collections.abc import Sequence

from core.descriptions.description_set import DescriptionSet
from core.errors import InvalidInput

SOURCE = "templates"
PLAIN = "a photo of a {}."
FRAMES = (
    "a {kind} of {name}.",
    "a {kind} showing {name}.",
    "{name} as it appears on a {kind}.",
    "this {kind} was labelled {name}.",
    "a typical {kind} with the finding {name}.",
    "a {kind} from the class {name}.",
)
"""Frames around kind of picture and class name. They add no medical knowledge, on purpose."""

FURTHER_FRAMES = (
    "a {kind} in which {name} can be seen.",
    "one {kind}, diagnosis: {name}.",
    "an example of {name} on a {kind}.",
    "a clear {kind} of {name}.",
    "a {kind} of low quality of {name}.",
    "a close view of {name} on a {kind}.",
    "a cropped {kind} of {name}.",
    "a patient's {kind}: {name}.",
    "{name}, {kind}.",
    "another {kind} with {name}.",
)
"""More of them, for methods that stand on the mean of many sentences."""


def template_ensemble(modality: str | None = None) -> tuple[str, ...]:
    """Sixteen sentences with {} for the class name, for pictures of any kind. modality: as below."""
    kind = modality or "medical image"
    return tuple(frame.format(kind=kind, name="{}") for frame in (*FRAMES, *FURTHER_FRAMES))


def template_descriptions(
    classes: Sequence[str], modality: str | None = None, template: str | None = None
) -> DescriptionSet:
    """Built-in sentences for each class, named as such.

    modality: such as "dermatoscopy image"; None says "medical image". template: one sentence with {} replaces all.
    """
    frames = (checked_template(template).replace("{}", "{name}"),) if template else FRAMES
    kind = modality or "medical image"
    return DescriptionSet(
        {name: tuple(frame.format(kind=kind, name=name) for frame in frames) for name in classes}, SOURCE
    )


def class_template(modality: str | None, template: str | None) -> str | None:
    """The one sentence per class that follows from what a person gave; None where they gave nothing."""
    if template:
        return checked_template(template)
    return f"a {modality} photo of a {{}}." if modality else None


def checked_template(template: str) -> str:
    """The template itself. Raises InvalidInput unless it holds {} exactly once and no other braces."""
    rest = template.replace("{}", "", 1)
    if "{}" not in template or "{" in rest or "}" in rest:
        raise InvalidInput(
            "A template is one sentence with {} where the class name goes",
            f"found '{template}'",
            "For example: a photo of a {}.",
        )
    return template
