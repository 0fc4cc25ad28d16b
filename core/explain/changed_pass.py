"""One pass of the image tower with something changed in it, and what its class token looks at meanwhile.

Only the class token's row of each head is kept, so memory does not grow with tokens squared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.backbones.changeable_block import ChangeableBlock, changeable
from core.backbones.contract import Backbone, LayerTokens
from core.backbones.image_tower import ImageTower
from core.backbones.placement import token_layout
from core.backbones.tower_pass import TokenLayout
from core.errors import Unavailable


@dataclass(frozen=True)
class RegisterShift:
    """Hidden units whose activity is moved onto an added token: {block: indices of units}. See `registers`."""

    units: dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class Change:
    """What is changed in the tower; as it stands, nothing.

    tokens: vectors put in or over patches. dropped: cells of the patch grid taken out before the first block. values:
    "none" takes away what the vectors write, "only" leaves the attention as if they were not there and adds what they
    write in the share they would draw. only_block: inserted vectors are taken out again after the one block that
    `tokens` lists. shift: needs the inserted token to stand at the end.
    """

    tokens: LayerTokens | None = None
    dropped: tuple[int, ...] = ()
    values: Literal["own", "none", "only"] = "own"
    only_block: int | None = None
    shift: RegisterShift | None = None


@dataclass(frozen=True)
class Seen:
    """What class tokens look at, unit by unit (a unit is a head of a layer, layer by layer).

    attention, written: (images, units, cells) on the whole patch grid, 0 where a cell is missing; written is attention
    times the length of what the head writes of that patch. vectors, class_token: (images, units). cells: bool (cells,),
    which exist. features: (images, joint_width), unit norm. All on the CPU, float64 but for features.
    """

    attention: Tensor
    written: Tensor
    vectors: Tensor
    class_token: Tensor
    cells: Tensor
    features: Tensor


def tower_of(backbone: Backbone) -> ImageTower:
    """The opened image tower of a backbone. Raises Unavailable where it cannot be taken apart."""
    tower = getattr(backbone, "image_tower", None)
    if not isinstance(tower, ImageTower):
        raise Unavailable(
            "A backbone whose image tower can be taken apart", f"'{backbone.name}' has none", "Choose another one."
        )
    return tower


def observe(backbone: Backbone, pixels: Tensor, change: Change, first_layer: int) -> Seen:
    """Runs the tower on pixels (images, 3, size, size) and keeps what layers from `first_layer` on look at."""
    tower = tower_of(backbone)
    run = _Run(tower, [changeable(block) for block in tower.blocks], change, first_layer)
    with torch.inference_mode():
        hidden = tower.run_stepwise(pixels.to(backbone.device), change.tokens, run.before, run.step)
        class_token = run.layout(hidden).class_token
        features = torch.nn.functional.normalize(tower.project(hidden[:, class_token]).float(), dim=-1)
        return run.seen(features)


def change_of_units(shift: RegisterShift, block: int, prefix: int) -> Callable[[Tensor], Tensor] | None:
    """Moves the chosen units of a block onto the last token: it gets the value of largest size, patches get 0."""
    units = shift.units.get(block)
    if not units:
        return None

    def moved(hidden: Tensor) -> Tensor:
        chosen = hidden[..., list(units)]
        place = chosen.abs().argmax(dim=1, keepdim=True)
        changed = chosen.clone()
        changed[:, prefix:-1] = 0
        changed[:, -1:] = chosen.gather(1, place)
        hidden = hidden.clone()
        hidden[..., list(units)] = changed
        return hidden

    return moved


class _Run:
    """The state of one pass."""

    def __init__(self, tower: ImageTower, blocks: list[ChangeableBlock], change: Change, first_layer: int) -> None:
        self.tower, self.blocks, self.change, self.first_layer = tower, blocks, change, first_layer
        self.n_cells = tower.grid[0] * tower.grid[1]
        kept = tuple(cell for cell in range(self.n_cells) if cell not in set(change.dropped))
        self.plain = TokenLayout(0, (), tuple(range(tower.prefix, tower.prefix + len(kept))), kept, tower.grid)
        self.placed = self.plain
        if change.tokens is not None:
            self.placed = token_layout(change.tokens, tower.length, tower.prefix, tower.grid)
        self._rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def layout(self, hidden: Tensor) -> TokenLayout:
        """Of a sequence: vectors may come in later than at the first block, and go again."""
        there = hidden.shape[1] == len(self.placed.extra) + self.tower.length
        tokens = self.change.tokens
        return self.placed if tokens is not None and (tokens.mode == "replace" or there) else self.plain

    def before(self, layer: int, hidden: Tensor) -> Tensor:
        """Takes dropped cells out at the first block."""
        if layer or not self.change.dropped:
            return hidden
        prefix = self.tower.prefix
        return hidden[:, [*range(prefix), *(prefix + cell for cell in self.plain.patch_index)]]

    def step(self, layer: int, hidden: Tensor) -> Tensor:
        block, layout = self.blocks[layer], self.layout(hidden)

        def mix(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            if layer >= self.first_layer:
                self._rows.append(self._look(block, layout, query, key, value))
            return self._mix(layout, query, key, value)

        moved = change_of_units(self.change.shift, layer, self.tower.prefix) if self.change.shift else None
        out = block.run(hidden, mix, moved)
        return out[:, : self.tower.length] if self.change.only_block == layer else out

    def _mix(self, layout: TokenLayout, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        extra = list(layout.extra)
        if self.change.values == "own" or not extra:
            return torch.nn.functional.scaled_dot_product_attention(query, key, value)
        silent = value.clone()
        silent[:, :, extra] = 0
        if self.change.values == "none":
            return torch.nn.functional.scaled_dot_product_attention(query, key, silent)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        drawn = scores.softmax(dim=-1)[..., extra]
        scores[..., extra] = float("-inf")
        return scores.softmax(dim=-1) @ silent + drawn @ value[:, :, extra]

    def _look(
        self, block: ChangeableBlock, layout: TokenLayout, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The class token's row of each head: attention and written (images, heads, cells), vectors, class token."""
        at = layout.class_token
        scores = (query[:, :, at : at + 1] @ key.transpose(-2, -1))[:, :, 0].double() * query.shape[-1] ** -0.5
        if self.change.values == "only":
            scores[..., list(layout.extra)] = float("-inf")
        row = scores.softmax(dim=-1)
        lengths = block.written_lengths(value).double()
        grid = row.new_zeros(*row.shape[:2], self.n_cells)
        written = grid.clone()
        cells, positions = list(layout.patch_index), list(layout.patches)
        grid[..., cells] = row[..., positions]
        written[..., cells] = (row * lengths)[..., positions]
        return grid.cpu(), written.cpu(), row[..., list(layout.extra)].sum(dim=-1).cpu(), row[..., at].cpu()

    def seen(self, features: Tensor) -> Seen:
        """All that was kept."""
        attention, written, vectors, own = (torch.cat(each, dim=1) for each in zip(*self._rows, strict=True))
        there = torch.zeros(self.n_cells, dtype=torch.bool)
        there[list(self.placed.patch_index)] = True
        return Seen(attention, written, vectors, own, there, features.cpu())
