"""The conditions under which a set of images is looked at: what is put into the tower, and what that isolates.

To add one: write a function that makes its changes and a row in `CONDITIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from core.backbones.contract import LayerTokens
from core.backbones.image_tower import ImageTower
from core.errors import InvalidOption, Unavailable
from core.explain.calibration import Calibration, register
from core.explain.changed_pass import Change

MOST_VECTORS = 16
DRAWS = 5
CALIBRATED = frozenset({"C3", "C4", "C5"})
"""Conditions that are made of what patches look like."""
NO_CALIBRATION = (
    "needs images outside the part that is tested, to learn what patches look like; this set has none there"
)


@dataclass(frozen=True)
class Setup:
    """What conditions are made of. k: how many vectors or patches. own: the vectors the model was trained with."""

    tower: ImageTower
    k: int
    seed: int = 0
    draws: int = DRAWS
    calibration: Calibration | None = None
    own: LayerTokens | None = None

    @property
    def measured(self) -> Calibration:
        """The calibration. Raises Unavailable where there is none."""
        if self.calibration is None:
            raise Unavailable("Images to calibrate on", NO_CALIBRATION)
        return self.calibration


@dataclass(frozen=True)
class Condition:
    """id: its short name in tables. title: with {k}. isolates: what its difference to another condition shows.

    make: its changes, several where chance is involved: their results are averaged. Raises Unavailable where the
    condition does not exist. counted: whether it depends on k. standard: part of a run unless others are asked for.
    """

    id: str
    title: str
    isolates: str
    make: Callable[[Setup], list[Change]]
    counted: bool = True
    standard: bool = True

    def title_for(self, k: int) -> str:
        """The title with its number."""
        return self.title.format(k=k, s="" if k == 1 else "s", es="" if k == 1 else "es")


def _zeros(setup: Setup, mode: Literal["insert", "replace"]) -> LayerTokens:
    start = -1 if mode == "insert" else setup.tower.prefix
    return LayerTokens.zeros(setup.k, setup.tower.width, len(setup.tower.blocks), mode, start)


def _none(setup: Setup) -> list[Change]:
    return [Change()]


def _own(setup: Setup) -> list[Change]:
    if setup.own is None:
        raise Unavailable("A model with vectors of its own", "does not exist: this model has no vectors of its own")
    return [Change(setup.own)]


def _inserted(setup: Setup) -> list[Change]:
    return [Change(_zeros(setup, "insert"))]


def _replacing(setup: Setup) -> list[Change]:
    return [Change(_zeros(setup, "replace"))]


def _evolving(setup: Setup) -> list[Change]:
    return [Change(register(setup.tower))]


def _shifted(setup: Setup) -> list[Change]:
    if setup.measured.shift is None:
        raise Unavailable("Outlier patches whose activity can be shifted", setup.measured.why)
    return [Change(register(setup.tower), shift=setup.measured.shift)]


def _random(setup: Setup) -> list[Change]:
    lengths = setup.measured.lengths
    changes = []
    for draw in range(setup.draws):
        made = torch.Generator().manual_seed(1_000_003 * setup.seed + 1009 * setup.k + draw)
        directions = torch.randn(len(lengths), setup.k, setup.tower.width, generator=made)
        vectors = torch.nn.functional.normalize(directions, dim=-1) * torch.tensor(lengths)[:, None, None]
        changes.append(Change(LayerTokens(tuple(vectors), "insert", -1)))
    return changes


def _means(setup: Setup) -> list[Change]:
    means = setup.measured.means
    return [Change(LayerTokens(tuple(mean.expand(setup.k, -1) for mean in means), "insert", -1))]


def _first_dropped(setup: Setup) -> list[Change]:
    return [Change(dropped=tuple(range(setup.k)))]


def _some_dropped(setup: Setup) -> list[Change]:
    n_cells, changes = setup.tower.grid[0] * setup.tower.grid[1], []
    for draw in range(setup.draws):
        made = torch.Generator().manual_seed(2_000_003 * setup.seed + 1013 * setup.k + draw)
        cells = torch.randperm(n_cells, generator=made)[: setup.k].tolist()
        changes.append(Change(dropped=tuple(sorted(cells))))
    return changes


def _values(kind: Literal["none", "only"]) -> Callable[[Setup], list[Change]]:
    return lambda setup: [replace(change, values=kind) for change in _inserted(setup)]


def one_block(block: int) -> Condition:
    """Zeros at one block alone."""

    def make(setup: Setup) -> list[Change]:
        zeros = torch.zeros(setup.k, setup.tower.width)
        vectors = tuple(zeros if layer == block else None for layer in range(len(setup.tower.blocks)))
        return [Change(LayerTokens(vectors, "insert", -1), only_block=block)]

    title = f"{{k}} zero vector{{s}} at block {block} only"
    return Condition(f"C1l{block}", title, "Against C0: what happens at this block.", make, standard=False)


CONDITIONS: dict[str, Condition] = {
    each.id: each
    for each in (
        Condition("C0", "nothing added", "What the others are held against.", _none, counted=False),
        Condition(
            "own",
            "the model's own vectors",
            "Against C0: what the vectors this model was trained with do.",
            _own,
            counted=False,
        ),
        Condition(
            "C1",
            "{k} zero vector{s} inserted",
            "Against C0: what zeros that are set anew at every block do while no patch is lost.",
            _inserted,
        ),
        Condition(
            "C2",
            "{k} zero vector{s} in place of the first patches",
            "Against C6: what zeros do beyond the loss of the patches they replace.",
            _replacing,
        ),
        Condition(
            "C3",
            "a register with outlier activity shifted onto it",
            "Against C3': what moving the activity behind outlier patches does.",
            _shifted,
            counted=False,
        ),
        Condition(
            "C3'",
            "one zero vector that evolves",
            "Against C1 with 1 vector: a token that may change from block to block instead of a constant.",
            _evolving,
            counted=False,
        ),
        Condition(
            "C4",
            "{k} random vector{s} as long as patches",
            "C1 against it: whether zeros do more than any foreign vector.",
            _random,
        ),
        Condition(
            "C5",
            "{k} mean patch vector{s}",
            "C1 against it: whether zeros do more than more tokens of a likely kind.",
            _means,
        ),
        Condition(
            "C6",
            "the first {k} patch{es} dropped",
            "Against C0: what losing these patches does.",
            _first_dropped,
        ),
        Condition(
            "C6r",
            "{k} random patch{es} dropped",
            "Against C6: whether the first patches are special.",
            _some_dropped,
        ),
        Condition(
            "C1v",
            "{k} zero vector{s} inserted, writing nothing",
            "Against C0: only that attention is diluted.",
            _values("none"),
        ),
        Condition(
            "C1b",
            "what {k} zero vector{s} would write, without their draw on attention",
            "Against C0: only the constant that they write.",
            _values("only"),
        ),
    )
}


def chosen_conditions(ids: Sequence[str], blocks: int, by_block: bool = False) -> list[Condition]:
    """Conditions by id, C0 always first; without ids the standard ones. by_block: C1 at each block alone too.

    Raises InvalidOption for an unknown id.
    """
    unknown = [id for id in ids if id not in CONDITIONS]
    if unknown:
        raise InvalidOption(f"Conditions among {', '.join(CONDITIONS)}", f"found {', '.join(map(repr, unknown))}")
    found = [each for each in CONDITIONS.values() if (each.id in ids if ids else each.standard) or each.id == "C0"]
    return found + ([one_block(block) for block in range(blocks)] if by_block else [])
