"""The cells of a bundle trained again, and how far their answers are from those in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.errors import InvalidInput
from core.experiments.bundle import Bundle
from core.experiments.cells import Cell
from core.experiments.grid import CellResult, Grid, run_cells
from core.experiments.spec import Candidate
from core.images.image_set import ImageSet

TOLERANCE = 0.01
"""Largest difference of a probability that is put down to another processor, thread count or library."""
Verdict = Literal["identical", "within tolerance", "different", "failed"]


@dataclass(frozen=True)
class Repeated:
    """One cell beside its record.

    drawn_alike: whether it learned from the same images. largest: difference of a probability. changed: images of n
    that get another class. why: of one that failed.
    """

    cell: Cell
    verdict: Verdict
    drawn_alike: bool = False
    largest: float | None = None
    changed: int = 0
    n: int = 0
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        named = {name: getattr(self.cell, name) for name in ("position", "image_set", "shots", "share", "seed")}
        own = {name: getattr(self, name) for name in ("verdict", "drawn_alike", "largest", "changed", "n", "why")}
        return {**named, "line": self.cell.candidate.label, "descriptions": self.cell.descriptions, **own}


def placed(images: ImageSet, paths: Mapping[str, Path]) -> ImageSet:
    """The set with its files. paths: by SHA-256."""
    return replace(images, images=tuple(replace(image, path=paths[image.sha256]) for image in images.images))


def repeat_cells(
    bundle: Bundle,
    paths: Mapping[str, Path],
    backbone: Backbone,
    *,
    home: Path,
    scratch: Path,
    baseline: str,
    tolerance: float = TOLERANCE,
    done: Callable[[Repeated], None] = lambda _: None,
) -> list[Repeated]:
    """Train every cell of a bundle again; nothing computed before is used.

    paths: of its images, by hash. home: of language models. scratch: for features and models, to be thrown away. Raises
    InvalidInput for another backbone than it was made with.
    """
    expected = bundle.environment.get("backbone_checksum")
    if expected and backbone.checksum != expected:
        raise InvalidInput(
            f"The backbone whose checksum begins with {expected[:16]}",
            f"'{backbone.name}' has {backbone.checksum[:16]}",
            "Fetch that backbone, or name its folder with --backbone.",
        )
    sets = {kind: {name: placed(own, paths) for name, own in by_name.items()} for kind, by_name in bundle.sets.items()}
    grid = Grid(
        bundle.spec,
        backbone,
        sets["images"],
        sets["targets"],
        _texts(bundle),
        home,
        features=scratch / "features.sqlite",
    )
    found: list[Repeated] = []

    def compare(cell: Cell, result: CellResult | Exception) -> None:
        found.append(compared(cell, result, bundle.answers[cell.position], tolerance))
        done(found[-1])

    try:
        run_cells(grid, _cells(bundle, baseline), lambda cell: scratch / str(cell.position), compare)
    finally:
        grid.close()
    return found


def compared(
    cell: Cell, result: CellResult | Exception, recorded: Mapping[str, Any], tolerance: float = TOLERANCE
) -> Repeated:
    """A cell's new answers beside the recorded ones: {parts: {part: rows}, drawn: {role: SHA-256s}}."""
    if isinstance(result, Exception):
        return Repeated(cell, "failed", why=str(result))
    drawn = {role: [each["sha256"] for each in own] for role, own in result.drawn.items()}
    alike = {role: own for role, own in recorded["drawn"].items() if own} == {r: own for r, own in drawn.items() if own}
    pairs = [
        pair for part, rows in recorded["parts"].items() for pair in _pairs(rows, result.predictions.get(part, ()))
    ]
    if any(old["sha256"] != new["sha256"] or old["label"] != new["label"] for old, new in pairs):
        return Repeated(cell, "different", alike, n=len(pairs), why="other images were measured")
    largest = max((_distance(old["probabilities"], new["probabilities"]) for old, new in pairs), default=0.0)
    changed = sum(old["predicted"] != new["predicted"] for old, new in pairs)
    verdict: Verdict = "identical" if largest == 0 and not changed else "within tolerance"
    return Repeated(
        cell, verdict if largest <= tolerance and alike else "different", alike, largest, changed, len(pairs)
    )


def _pairs(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    missing: Mapping[str, Any] = {"sha256": None, "label": None, "predicted": None, "probabilities": {}}
    filled = [*new, *[missing] * (len(old) - len(new))]
    return list(zip(old, filled[: len(old)], strict=True))


def _distance(old: Mapping[str, float], new: Mapping[str, float]) -> float:
    if set(old) != set(new):
        return 1.0
    return max(abs(old[name] - new[name]) for name in old)


def _texts(bundle: Bundle) -> dict[str | tuple[str, str], DescriptionSet]:
    return {
        (of, name) if of else name: DescriptionSet(
            {label: tuple(own) for label, own in text["sentences"].items()}, text["source"]
        )
        for name, by_set in bundle.texts.items()
        for of, text in by_set.items()
    }


def _cells(bundle: Bundle, baseline: str) -> list[Cell]:
    lines = {line.label: line for line in bundle.spec.candidates}
    lines.setdefault(baseline, Candidate(baseline, label=baseline))
    unknown = [cell["line"] for cell in bundle.cells if cell["line"] not in lines]
    if unknown:
        raise InvalidInput("Cells of the bundle's own lines", f"found '{unknown[0]}'", "Ask for the bundle again.")
    places = ("image_set", "shots", "share", "seed", "descriptions")
    return [
        Cell(position=cell["position"], candidate=lines[cell["line"]], **{name: cell[name] for name in places})
        for cell in bundle.cells
    ]
