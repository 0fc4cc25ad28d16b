"""The two text towers, opened up: BERT and open_clip's causal transformer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from open_clip.hf_model import ClsLastHiddenStatePooler, ClsPooler, HFTextEncoder, MeanPooler
from torch import Tensor, nn
from transformers import BertModel

from core.backbones.attention import Seats, drop, run_bert_layer, run_open_clip_block
from core.backbones.contract import BeforeLayer, LayerTokens
from core.backbones.image_tower import check_open_clip_blocks, unsupported_tower
from core.backbones.placement import check_tokens, first_listed, place_tokens, widen_mask
from core.errors import InvalidInput


class TextTower(ABC):
    """A text transformer run layer by layer from raw word embeddings."""

    kind: Literal["bert", "causal"]
    blocks: list[nn.Module]
    words: nn.Embedding
    width: int
    positions: int
    """Longest sequence the position embeddings reach."""

    def run(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        attention_mask: Tensor | None = None,
        dropout: bool = False,
        blocks: Sequence[nn.Module] | None = None,
    ) -> Tensor:
        """Final hidden states; arguments as in `Backbone.text_tokens`.

        blocks: the tower's own, or their equals in another precision.
        """
        self._check_embeds(embeds, mask)
        tokens = check_tokens(tokens, len(self.blocks), self.width)
        hidden = self.embed(embeds, dropout)
        allowed = self.allowed(mask, attention_mask if tokens is None or tokens.mode == "replace" else None)
        for layer, block in enumerate(blocks or self.blocks):
            hidden = place_tokens(hidden, tokens, layer, embeds.shape[1])
            if tokens is not None and tokens.mode == "insert" and layer == first_listed(tokens):
                allowed = self.allowed(widen_mask(mask, tokens), attention_mask)
            if before_layer is not None:
                hidden = before_layer(layer, hidden)
            hidden = self.run_block(block, hidden, allowed, dropout)
        return self.norm_last(hidden)

    def features(self, embeds: Tensor, mask: Tensor, blocks: Sequence[nn.Module], dropout: bool = False) -> Tensor:
        """The pooled hidden states (texts, width) that `run` and `pool` give, on the shortest way.

        Layers work on real tokens only, and the last one, where one token stands for the text, on that token only.
        blocks: as in `run`.
        """
        self._check_embeds(embeds, mask)
        seats, allowed = Seats(mask), self.allowed(mask, None)
        hidden, read = seats.pack(self.embed(embeds, dropout)), self.read_position(mask)
        for block in blocks[:-1] if read is not None else blocks:
            hidden = self.run_block(block, hidden, allowed, dropout, seats)
        if read is None:
            return self.pool(self.norm_last(seats.spread(hidden)), mask)
        rows = seats.rows(read)
        # the token that is read may look at every real token, in a causal tower too: it is the last of them
        hidden = self.run_block(blocks[-1], hidden, mask[:, None, None, :], dropout, seats, rows)
        return self.pool_read(self.norm_last(hidden))

    def pool_mask(self, mask: Tensor, tokens: LayerTokens | None) -> Tensor:
        """The mask to pool with after `tokens` went in: (texts, length + inserted)."""
        return widen_mask(mask, check_tokens(tokens, len(self.blocks), self.width))

    def allowed(self, mask: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Which query may look at which key: (texts, heads or 1, length or 1, length), bool."""
        allowed = mask[:, None, None, :]
        return allowed if attention_mask is None else allowed & attention_mask

    def _check_embeds(self, embeds: Tensor, mask: Tensor) -> None:
        if embeds.ndim != 3 or embeds.shape[:2] != mask.shape or embeds.shape[2] != self.width:
            raise InvalidInput(
                f"Texts must come as embeddings (texts, length, {self.width}) with a mask (texts, length)",
                f"found {tuple(embeds.shape)} and {tuple(mask.shape)}",
                "Take both from tokenize() and embed_tokens().",
            )
        if embeds.shape[1] > self.positions:
            raise InvalidInput(
                f"Texts of this backbone may have {self.positions} tokens",
                f"found {embeds.shape[1]}",
                "Shorten the texts or the learned context.",
            )

    @abstractmethod
    def embed(self, embeds: Tensor, dropout: bool) -> Tensor:
        """The embedding block: positions, types and norm."""

    @abstractmethod
    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        allowed: Tensor,
        dropout: bool,
        seats: Seats | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """One layer part by part, on padded or packed tokens."""

    @abstractmethod
    def norm_last(self, hidden: Tensor) -> Tensor:
        """The norm after the last layer, where the tower has one."""

    @abstractmethod
    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(texts, length, width) to (texts, width)."""

    @abstractmethod
    def read_position(self, mask: Tensor) -> Tensor | None:
        """The position (texts,) of the one token that stands for each text, or None where all are averaged."""

    def pool_read(self, hidden: Tensor) -> Tensor:
        """What pooling makes of the token at `read_position`: (texts, width)."""
        return hidden

    @abstractmethod
    def project(self, hidden: Tensor) -> Tensor:
        """Into the joint space."""


class BertTower(TextTower):
    """A BERT inside open_clip's HFTextEncoder: post-norm, looks both ways."""

    kind = "bert"

    def __init__(self, text: Any) -> None:
        bert = text.transformer
        if not isinstance(bert, BertModel):
            raise unsupported_tower("text", f"a {type(bert).__name__}")
        if not isinstance(text.pooler, (ClsLastHiddenStatePooler, ClsPooler, MeanPooler)):
            raise unsupported_tower("text", f"the pooler {type(text.pooler).__name__}")
        self.text, self.bert, self.blocks = text, bert, list(bert.encoder.layer)
        self.words = bert.embeddings.word_embeddings
        self.width, self.positions = bert.config.hidden_size, bert.config.max_position_embeddings

    def embed(self, embeds: Tensor, dropout: bool) -> Tensor:
        parts = self.bert.embeddings
        positions = parts.position_embeddings.weight[: embeds.shape[1]]
        hidden = parts.LayerNorm(embeds + parts.token_type_embeddings.weight[0] + positions)
        return drop(hidden, parts.dropout.p, dropout)

    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        allowed: Tensor,
        dropout: bool,
        seats: Seats | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        return run_bert_layer(block, x, allowed, dropout, seats, read)

    def norm_last(self, hidden: Tensor) -> Tensor:
        return hidden

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        if isinstance(self.text.pooler, MeanPooler):
            weights = mask.to(hidden.dtype)
            return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
        if self.bert.pooler is not None:
            return self.bert.pooler(hidden)
        return hidden[:, 0]

    def read_position(self, mask: Tensor) -> Tensor | None:
        averaged = isinstance(self.text.pooler, MeanPooler)
        return None if averaged else torch.zeros(len(mask), dtype=torch.int64, device=mask.device)

    def pool_read(self, hidden: Tensor) -> Tensor:
        return hidden if self.bert.pooler is None else self.bert.pooler(hidden[:, None])

    def project(self, hidden: Tensor) -> Tensor:
        return self.text.proj(hidden)


class CausalTower(TextTower):
    """open_clip's text transformer: pre-norm, looks backwards, read at the end token.

    `parts` is the text module of a CustomTextCLIP, or a CLIP, whose text parts are attributes of the model itself.
    No dropout exists in this tower.
    """

    kind = "causal"

    def __init__(self, parts: Any) -> None:
        pooling = getattr(parts, "text_pool_type", None) or getattr(parts, "pool_type", None)
        if getattr(parts, "cls_emb", None) is not None or parts.attn_mask is None or pooling not in ("argmax", "eos"):
            raise unsupported_tower("text", f"one that pools by '{pooling}', appends a token or is not causal")
        self.parts, self.blocks = parts, list(parts.transformer.resblocks)
        check_open_clip_blocks("text", self.blocks)
        self.words = parts.token_embedding
        self.width, self.positions = self.words.embedding_dim, len(parts.positional_embedding)

    def embed(self, embeds: Tensor, dropout: bool) -> Tensor:
        return embeds + self.parts.positional_embedding[: embeds.shape[1]]

    def allowed(self, mask: Tensor, attention_mask: Tensor | None) -> Tensor:
        length = mask.shape[1]
        backwards = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
        # A token may always look at itself: a row without any key would turn into NaN.
        keys = mask[:, None, None, :] | torch.eye(length, dtype=torch.bool, device=mask.device)
        allowed = keys & backwards
        return allowed if attention_mask is None else allowed & attention_mask

    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        allowed: Tensor,
        dropout: bool,
        seats: Seats | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        return run_open_clip_block(block, x, allowed, seats, read)

    def norm_last(self, hidden: Tensor) -> Tensor:
        return self.parts.ln_final(hidden)

    def pool_mask(self, mask: Tensor, tokens: LayerTokens | None) -> Tensor:
        # Inserted tokens stay out, so that the last True remains the end token even when they stand behind it.
        return widen_mask(mask, check_tokens(tokens, len(self.blocks), self.width), value=False)

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden[torch.arange(len(hidden), device=hidden.device), self.read_position(mask)]

    def read_position(self, mask: Tensor) -> Tensor:
        places = torch.arange(mask.shape[1], device=mask.device)
        return (mask * places).argmax(dim=1)

    def project(self, hidden: Tensor) -> Tensor:
        projection = self.parts.text_projection
        if projection is None:
            return hidden
        return projection(hidden) if isinstance(projection, nn.Module) else hidden @ projection


def open_text_tower(model: Any) -> TextTower:
    """The text tower of an open_clip model. Raises InvalidInput for a kind that cannot be opened."""
    text = getattr(model, "text", model)
    if isinstance(text, HFTextEncoder):
        return BertTower(text)
    if hasattr(text, "token_embedding") and hasattr(text, "attn_mask"):
        return CausalTower(text)
    raise unsupported_tower("text", f"an open_clip {type(text).__name__}")
