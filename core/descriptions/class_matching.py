"""Classes of a description file and classes of images that go by nearly the same name."""

from __future__ import annotations

from collections.abc import Sequence

from core.descriptions.description_set import DescriptionSet
from core.errors import ClassMismatch
from core.text import shown


def for_classes_of_images(
    found: DescriptionSet, classes: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The sentences under the names that the images' classes have, and the classes of the file that fit none.

    Case, spaces, underscores and hyphens make no difference. Without classes all are taken. Raises ClassMismatch where
    nothing fits.
    """
    if not classes:
        return dict(found.sentences), []
    by_name = {_folded(name): name for name in classes}
    fitting: dict[str, tuple[str, ...]] = {}
    for label, texts in found.sentences.items():
        if name := label if label in classes else by_name.get(_folded(label)):
            fitting[name] = (*fitting.get(name, ()), *texts)
    others = [label for label in found.sentences if label not in classes and _folded(label) not in by_name]
    if not fitting:
        raise ClassMismatch(
            f"Sentences for the classes {', '.join(shown(name, 60) for name in classes)}",
            f"the file has {', '.join(repr(shown(name, 60)) for name in others[:10])}",
            "Give its classes the names that the images' classes have.",
        )
    return fitting, others


def _folded(name: str) -> str:
    return "".join(name.casefold().replace("_", " ").replace("-", " ").split())
