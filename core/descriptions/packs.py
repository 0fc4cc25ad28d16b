"""Built-in packs of class descriptions, read from `packs/<name>.json`.

Drafted by a language model, not reviewed by a clinician; each pack says so. A file holds title, modality, other names
of the pack, status, licence, and for each class its sentences and the other names under which image sets have it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from core.descriptions.description_set import DescriptionSet
from core.descriptions.modalities import contradict
from core.errors import ClassMismatch, NotFound, did_you_mean

PREFIX = "pack:"
"""Before a name it says that a pack is meant, not a stored description set or a file called the same."""
FEWEST_KNOWN = 3
"""Fewer names in common may be chance: "normal" and "benign" are classes of many pictures."""


@dataclass(frozen=True)
class Pack:
    """Sentences about the visible features of the classes of one public image set.

    sentences: class -> sentences. aliases: class -> other names it goes by. modality: what the pictures are.
    other_names: of the pack. status, note: who wrote it and who looked at it.
    """

    name: str
    title: str
    modality: str
    other_names: tuple[str, ...]
    status: str
    note: str
    licence: str
    sentences: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, tuple[str, ...]]

    @property
    def source(self) -> str:
        """How runs name it: "pack:btmri"."""
        return f"{PREFIX}{self.name}"

    @property
    def pictures(self) -> str:
        """What its pictures are, in all words there are for it."""
        return f"{self.modality}; {self.title}"

    @property
    def descriptions(self) -> DescriptionSet:
        """The sentences under the pack's own class names."""
        return DescriptionSet(self.sentences, self.source)

    def as_dict(self) -> dict[str, Any]:
        """JSON form in short: sentences are counted. classes: their names."""
        same = ("name", "title", "modality", "status", "note", "licence")
        count = sum(len(texts) for texts in self.sentences.values())
        return {name: getattr(self, name) for name in same} | {"classes": list(self.sentences), "sentences": count}

    def matched(self, classes: Sequence[str]) -> dict[str, str] | None:
        """Each of `classes` -> the class of the pack it is, by name or alias.

        None if one of them is none of the pack's, or two are the same.
        """
        known = {_folded(alias): own for own, aliases in self.aliases.items() for alias in aliases}
        known |= {_folded(own): own for own in self.sentences}
        found = {name: known[_folded(name)] for name in classes if _folded(name) in known}
        return found if len(set(found.values())) == len(classes) else None

    def for_classes(self, classes: Sequence[str]) -> DescriptionSet:
        """The sentences under the given class names, in their order. Raises ClassMismatch where one is not covered."""
        matched = self.matched(classes)
        if matched is None:
            raise ClassMismatch(
                f"The pack '{self.name}' describes {', '.join(self.sentences)}",
                f"the images have {', '.join(classes)}",
                "Choose another pack, or rename the classes.",
            )
        return DescriptionSet({name: self.sentences[own] for name, own in matched.items()}, self.source)

    def names_for(self, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each given class the names by which the pack's sentences call it."""
        matched = self.matched(classes) or {}
        return {name: (own, *self.aliases[own]) for name, own in matched.items()}


@cache
def packs() -> tuple[Pack, ...]:
    """All packs, by name."""
    folder = files("core.descriptions").joinpath("packs")
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".json")]
    read = [_pack(entry.name.removesuffix(".json"), json.loads(entry.read_text(encoding="utf-8"))) for entry in found]
    return tuple(sorted(read, key=lambda pack: pack.name))


def find_pack(name: str) -> Pack | None:
    """The pack of this name or other name, with or without `pack:` before it, or None."""
    wanted = _folded(name.removeprefix(PREFIX))
    return next((p for p in packs() if wanted in {_folded(known) for known in (p.name, *p.other_names)}), None)


def get_pack(name: str) -> Pack:
    """The same. Raises NotFound with the nearest names."""
    if pack := find_pack(name):
        return pack
    names = [pack.name for pack in packs()]
    remedy = did_you_mean(name.removeprefix(PREFIX), names, f"There are {', '.join(names)}.")
    raise NotFound("A built-in pack of descriptions", f"'{name}' is none", remedy)


def fitting(classes: Sequence[str], pictures: str | None = None) -> list[Pack]:
    """Packs that describe every one of `classes`, the ones with the fewest other classes first.

    pictures: what the image set says of its pictures, its modality or else its name; packs of other pictures are left
    out. Nothing is left out where it says nothing that is known.
    """
    if not classes:
        return []
    fit = [pack for pack in packs() if pack.matched(classes) and not contradict(pictures or "", pack.pictures)]
    return sorted(fit, key=lambda pack: (len(pack.sentences), pack.name))


def known_names(classes: Sequence[str], pictures: str | None = None) -> dict[str, tuple[str, ...]]:
    """Further names of those classes that the pack nearest to all of them describes: what its sentences call them."""
    pack, described = _nearest(classes, pictures)
    return pack.names_for(described) if pack else {}


def known_sentences(classes: Sequence[str], pictures: str | None = None) -> dict[str, tuple[str, ...]]:
    """What that pack tells of each class that it describes, under these names; {} where there is none."""
    pack, described = _nearest(classes, pictures)
    return dict(pack.for_classes(described).sentences) if pack else {}


def _nearest(classes: Sequence[str], pictures: str | None) -> tuple[Pack | None, list[str]]:
    """A pack that describes all classes, else the one that describes most: at least FEWEST_KNOWN and half of them."""
    if found := fitting(classes, pictures):
        return found[0], list(classes)
    fit = [pack for pack in packs() if not contradict(pictures or "", pack.pictures)]
    known = [(pack, [name for name in classes if pack.matched([name])]) for pack in fit]
    least = max(FEWEST_KNOWN, len(classes) / 2)
    known = [(pack, own) for pack, own in known if len(own) >= least and pack.matched(own)]
    return max(known, key=lambda each: len(each[1]), default=(None, []))


def _folded(name: str) -> str:
    """Equal for names that differ in case, separators or a number before them ("01_TUMOR", "tumor")."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return " ".join(words[1:] if len(words) > 1 and words[0].isdigit() else words)


def _pack(name: str, values: Mapping[str, Any]) -> Pack:
    classes = values["classes"]
    return Pack(
        name=name,
        title=values["title"],
        modality=values["modality"],
        other_names=tuple(values["other_names"]),
        status=values["status"],
        note=values["note"],
        licence=values["licence"],
        sentences={own: tuple(found["sentences"]) for own, found in classes.items()},
        aliases={own: tuple(found["aliases"]) for own, found in classes.items()},
    )
