"""Which class each class is most easily taken for: by the text features of a backbone, or as a person says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from core.descriptions.templates import template_descriptions
from core.errors import InvalidInput
from core.text import shown

if TYPE_CHECKING:
    from torch import Tensor


def most_similar(
    classes: Sequence[str], encode_texts: Callable[[Sequence[str]], Tensor], modality: str | None = None
) -> dict[str, str]:
    """For each class the other one with the largest cosine between the means of their template sentences' features.

    encode_texts: texts -> unit-norm features (texts, width), as a backbone's. Of equal ones the first in the order of
    the classes; empty for a single class.
    """
    import torch
    from torch.nn import functional

    if len(classes) < 2:
        return {}
    sentences = template_descriptions(classes, modality).sentences
    features = encode_texts([text for texts in sentences.values() for text in texts]).float()
    parts = features.split([len(texts) for texts in sentences.values()])
    means = functional.normalize(torch.stack([part.mean(dim=0) for part in parts]), dim=-1)
    cosines = means @ means.T
    cosines.fill_diagonal_(-torch.inf)
    return {name: classes[int(place)] for name, place in zip(classes, cosines.argmax(dim=1), strict=True)}


def checked_choice(chosen: Mapping[str, str], classes: Sequence[str]) -> dict[str, str]:
    """A person's own pairs {class: most similar class}. Raises InvalidInput for a class that is none, or its own."""
    for name, other in chosen.items():
        for each in (name, other):
            if each not in classes:
                raise InvalidInput(
                    f"Classes are {', '.join(shown(known, 60) for known in classes[:20])}",
                    f"'{shown(each, 60)}' is none",
                    "Write them as they stand there.",
                )
        if name == other:
            raise InvalidInput(
                "A class is told from another one", f"'{shown(name, 60)}' stands for both", "Choose another."
            )
    return dict(chosen)
