"""Where the extra vectors of `LayerTokens` go: which layer, which positions, which mask."""

from __future__ import annotations

import torch
from torch import Tensor

from core.backbones.contract import LayerTokens
from core.backbones.tower_pass import TokenLayout
from core.errors import InvalidInput


def first_listed(tokens: LayerTokens) -> int:
    """The layer at which inserted tokens enter the sequence."""
    return next(layer for layer, vector in enumerate(tokens.vectors) if vector is not None)


def start_position(tokens: LayerTokens, length: int) -> int:
    """Position of the first extra vector in a sequence that had `length` tokens before any insertion.

    Raises InvalidInput where the vectors do not fit into the sequence.
    """
    start = length if tokens.start == -1 and tokens.mode == "insert" else tokens.start
    last = length if tokens.mode == "insert" else length - tokens.n
    if not 0 <= start <= last:
        raise InvalidInput(
            f"{tokens.n} extra tokens to {tokens.mode} must start between 0 and {last}",
            f"the start is {tokens.start} in a sequence of {length} tokens",
            "Choose another start or fewer tokens.",
        )
    return start


def check_tokens(tokens: LayerTokens | None, layers: int, width: int) -> LayerTokens | None:
    """The tokens, or None where they hold no vector at all.

    Raises InvalidInput if they name more layers than the tower has, or vectors of another width or count.
    """
    if tokens is None or all(vector is None for vector in tokens.vectors):
        return None
    if len(tokens.vectors) > layers:
        raise InvalidInput(
            f"Extra tokens can be given for at most {layers} layers of this tower",
            f"found {len(tokens.vectors)}",
            "List one entry a layer, the first for layer 0.",
        )
    for layer, vector in enumerate(tokens.vectors):
        if vector is not None and tuple(vector.shape[-2:]) != (tokens.n, width):
            raise InvalidInput(
                f"Extra tokens of this tower must have the shape ({tokens.n}, {width}), with or without a batch",
                f"layer {layer} has {tuple(vector.shape)}",
                "Make one vector of the tower's width for each token.",
            )
    return tokens


def place_tokens(hidden: Tensor, tokens: LayerTokens | None, layer: int, length: int) -> Tensor:
    """The hidden states (batch, tokens, width) with the vectors of this layer in place.

    length: tokens before any insertion. Never written in place: the caller's tensor and its graph stay whole.
    """
    if tokens is None or layer >= len(tokens.vectors) or (vector := tokens.vectors[layer]) is None:
        return hidden
    start = start_position(tokens, length)
    vector = vector.to(device=hidden.device, dtype=hidden.dtype).expand(hidden.shape[0], -1, -1)
    entering = tokens.mode == "insert" and layer == first_listed(tokens)
    rest = start if entering else start + tokens.n
    return torch.cat([hidden[:, :start], vector, hidden[:, rest:]], dim=1)


def widen_mask(mask: Tensor, tokens: LayerTokens | None, value: bool = True) -> Tensor:
    """The mask (texts, length) of a sequence after insertion; inserted positions get `value`."""
    if tokens is None or tokens.mode == "replace":
        return mask
    start = start_position(tokens, mask.shape[1])
    inserted = mask.new_full((mask.shape[0], tokens.n), value)
    return torch.cat([mask[:, :start], inserted, mask[:, start:]], dim=1)


def extra_positions(tokens: LayerTokens | None, length: int) -> tuple[int, ...]:
    """Positions that the extra vectors take, in the sequence that has them."""
    if tokens is None:
        return ()
    start = start_position(tokens, length)
    return tuple(range(start, start + tokens.n))


def token_layout(tokens: LayerTokens | None, length: int, prefix: int, grid: tuple[int, int]) -> TokenLayout:
    """Where the tokens of an image tower's last block stand.

    length: tokens before any insertion. prefix: those of them before the first patch.
    """
    extra = extra_positions(tokens, length)
    inserted = tokens is not None and tokens.mode == "insert"
    total = length + len(extra) if inserted else length
    places = [p for p in range(total) if p not in extra] if inserted else list(range(total))
    kept = [(p, place - prefix) for place, p in enumerate(places) if place >= prefix and p not in extra]
    return TokenLayout(places[0], extra, tuple(p for p, _ in kept), tuple(cell for _, cell in kept), grid)
