"""Class descriptions: the sentences about each class that a method compares images with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ClassMismatch
from core.images.labelled_image import digest


@dataclass(frozen=True)
class DescriptionSet:
    """Sentences per class, and where they come from.

    sentences: class -> sentences, in the order of the classes. source: a name a person recognises, such as
    "templates", "file:breast.json" or "breast wording, version 3".
    """

    sentences: Mapping[str, tuple[str, ...]]
    source: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 over classes and sentences."""
        return digest(f"{name}\t{text}" for name, texts in self.sentences.items() for text in texts)

    def for_classes(self, classes: tuple[str, ...]) -> DescriptionSet:
        """The same sentences in the order of `classes`. Raises ClassMismatch if a class has none."""
        missing = [name for name in classes if not self.sentences.get(name)]
        if missing:
            raise ClassMismatch(
                "Descriptions need at least one sentence for every class",
                f"none for {', '.join(repr(name) for name in missing)}",
                "Add sentences for these classes or check their spelling.",
            )
        return DescriptionSet({name: tuple(self.sentences[name]) for name in classes}, self.source)
