"""Learned words: context vectors that take the place of the first words of every class prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import Backbone, BeforeLayer, LayerTokens
from core.errors import InvalidOption

PLACEHOLDER = "X"
RANDOM_STD = 0.02
POSITIONS = ("end", "middle", "front", "middle_ref")


class TextContext(nn.Module):
    """n context vectors in front of (or around) the class name, in raw word-embedding space.

    The sentence "<words> <class>..." is tokenised once per class; positions 1..n are replaced by the context, so
    with `words` as start value the prompts equal the plain sentences before the first step, however the words
    split. Positions, types and norms are added by the tower, once. Source: CoOp (Zhou et al., 2022).

    sentence: text with {} for the class name. n: learned tokens; None takes one per word before the {} . random:
    start from N(0, 0.02^2) and placeholder words instead of the sentence's own. per_class: one context for each
    class. position: where the class name stands; "middle_ref" moves only its first token between the two halves,
    as published trainers for BERT towers do. embedded_twice: the fixed words have been through the tower's embedding
    block already, so that positions, types and the first norm are applied to them twice, as one published trainer does.
    """

    _embeds: Tensor
    _mask: Tensor
    _order: Tensor | None

    def __init__(
        self,
        backbone: Backbone,
        classes: Sequence[str],
        sentence: str,
        *,
        n: int | None = None,
        random: bool = False,
        per_class: bool = False,
        position: str = "end",
        embedded_twice: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self._backbone = (backbone,)
        before, after = sentence.split("{}", 1)
        n = n or len(before.split())
        if random:
            before = f"{PLACEHOLDER} " * n
        tokens = backbone.tokenize([f"{before}{name}{after}" for name in classes])
        known = _length(backbone, before)
        if not 1 <= n <= known:
            raise InvalidOption(
                f"The words '{before.strip()}' give {known} tokens to learn",
                f"context_length is {n}",
                f"Choose at most {known}, or longer words.",
            )
        embeds = backbone.embed_tokens(tokens.ids).detach()
        shape = (len(classes), n, backbone.text_width) if per_class else (n, backbone.text_width)
        start = torch.randn(shape, generator=generator) * RANDOM_STD if random else embeds[0, 1 : 1 + n].expand(shape)
        self.vectors = nn.Parameter(start.clone().to(embeds.device))
        self.n, self._words, self._known = n, before.strip(), known
        if embedded_twice:
            embeds = _entering(backbone, embeds, tokens.mask)[0]
        self.register_buffer("_embeds", embeds, persistent=False)
        self.register_buffer("_mask", tokens.mask, persistent=False)
        lengths = [_length(backbone, name) for name in classes]
        order = _orders(position, n, known, lengths, embeds.shape[1])
        self.register_buffer("_order", order.to(embeds.device) if order is not None else None, persistent=False)

    @property
    def backbone(self) -> Backbone:
        """The frozen encoder."""
        return self._backbone[0]

    @property
    def split(self) -> str:
        """A sentence on how far the learned part reaches into the words; empty where it takes all of them."""
        if self.n == self._known:
            return ""
        return f"Learned are the first {self.n} of the {self._known} tokens of '{self._words}'; the others stay fixed."

    def hidden_words(self, depth: int) -> Tensor:
        """What the context has become where it enters layers 1 to depth - 1: (depth - 1, n, text_width), a mean of all
        classes' prompts.

        A start for `DeepWords` at which little changes: in a BERT, whose layers end in a norm, small random vectors
        are hardly heard.
        """
        entering = _entering(self.backbone, *self.prompts())[1:depth]
        words = [hidden[:, 1 : 1 + self.n].mean(dim=0) for hidden in entering]
        return torch.stack(words).clone() if words else torch.empty(0, self.n, self.backbone.text_width)

    def prompts(self, vectors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Word embeddings and mask of all prompts: (prompts, length, width) and (prompts, length).

        vectors: (n, width), (classes, n, width), or (batch, 1, n, width) for contexts that depend on the image, which
        gives batch * classes prompts, image by image.
        """
        vectors = self.vectors if vectors is None else vectors
        embeds, mask = self._embeds, self._mask
        images = vectors.shape[0] if vectors.dim() == 4 else 1
        classes, length, width = embeds.shape
        middle = vectors.expand(images, classes, self.n, width)
        around = embeds.expand(images, classes, length, width)
        whole = torch.cat([around[:, :, :1], middle, around[:, :, 1 + self.n :]], dim=2)
        if self._order is not None:
            whole = whole.gather(2, self._order[None, :, :, None].expand_as(whole))
        return whole.reshape(images * classes, length, width), mask.repeat(images, 1)

    def features(
        self, vectors: Tensor | None = None, dropout: bool = False, tokens: LayerTokens | None = None
    ) -> Tensor:
        """Unit-norm text features (classes, joint_width), or (batch, classes, joint_width) per image.

        tokens: further vectors for deeper layers of the text tower.
        """
        return functional.normalize(self.raw_features(vectors, dropout, tokens), dim=-1)

    def raw_features(
        self,
        vectors: Tensor | None = None,
        dropout: bool = False,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
    ) -> Tensor:
        """What `features` gives, not normalised. before_layer: called at the input of each layer of the text tower."""
        vectors = self.vectors if vectors is None else vectors
        embeds, mask = self.prompts(vectors)
        found = self.backbone.encode_text(embeds, mask, tokens, before_layer, dropout)
        return found.view(-1, self._embeds.shape[0], found.shape[-1]) if vectors.dim() == 4 else found


class DeepWords(nn.ParameterList):
    """n vectors for each text layer from the second to `depth`, which replace the words there.

    generator: of a start from N(0, 0.02^2), as published. start: given values (depth - 1, n, text_width) instead, see
    `TextContext.hidden_words`. Source: deep prompting as MaPLe (Khattak et al., 2023) defines it.
    """

    def __init__(
        self, backbone: Backbone, n: int, depth: int, generator: torch.Generator, start: Tensor | None = None
    ) -> None:
        if start is None:
            start = torch.randn(depth - 1, n, backbone.text_width, generator=generator) * RANDOM_STD
        super().__init__([nn.Parameter(words.to(backbone.device)) for words in start])

    def tokens(self) -> LayerTokens | None:
        """The vectors as the tower takes them; None where only the first layer has words."""
        return LayerTokens((None, *self), "replace") if len(self) else None


def _entering(backbone: Backbone, embeds: Tensor, mask: Tensor) -> list[Tensor]:
    """What enters each layer of the text tower: (texts, length, text_width) a layer, without gradient."""
    entering = []

    def keep(layer: int, hidden: Tensor) -> Tensor:
        entering.append(hidden)
        return hidden

    with torch.no_grad():
        backbone.text_tokens(embeds, mask, before_layer=keep)
    return entering


def _length(backbone: Backbone, text: str) -> int:
    """Tokens of a text without start and end."""
    return int(backbone.tokenize([text]).mask.sum()) - 2


def _orders(position: str, n: int, prefix: int, names: list[int], length: int) -> Tensor | None:
    """For each class, which assembled position stands where: (classes, length), or None for the plain order."""
    if position == "end":
        return None
    return torch.tensor([_order(position, n, prefix, name, length) for name in names])


def _order(position: str, n: int, prefix: int, name: int, length: int) -> list[int]:
    context = list(range(1, n + 1))
    moved = [n + 1] if position == "middle_ref" else list(range(prefix + 1, prefix + 1 + name))
    rest = [p for p in range(n + 1, length) if p not in moved]
    half = 0 if position == "front" else n // 2
    return [0, *context[:half], *moved, *context[half:], *rest]
