"""Vectors of the image tower and words that look at each other.

Source: BiomedAP; official code tongdiedie/BiomedAP, commit f7137a5 (MIT).
"""

from __future__ import annotations

from torch import Tensor, nn

HEADS = 8
DROPOUT = 0.1


class Fusion(nn.Module):
    """Two-way attention between visual vectors and words, gated, with a feed-forward part on either side.

    visual (batch, k, image_width), words (batch, n, text_width); returns both in their own widths. Words of another
    width are mapped into the image tower's and back.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.visual_to_text_attn = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.text_to_visual_attn = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.gate_v, self.gate_t = _gate(width), _gate(width)
        self.norm_v, self.norm_t = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ffn_v, self.ffn_t = _feed_forward(width), _feed_forward(width)
        same = width == text_width
        self.words_in = nn.Identity() if same else nn.Linear(text_width, width)
        self.words_out = nn.Identity() if same else nn.Linear(width, text_width)

    def forward(self, visual: Tensor, words: Tensor, dropout: bool) -> tuple[Tensor, Tensor]:
        """Fused visual vectors and words. dropout: active in attention weights and feed-forward parts."""
        for part in self.modules():
            if isinstance(part, nn.MultiheadAttention):
                part.dropout = DROPOUT if dropout else 0.0
            elif isinstance(part, nn.Dropout):
                part.p = DROPOUT if dropout else 0.0
        texts = self.words_in(words)
        seen, _ = self.visual_to_text_attn(visual, texts, texts, need_weights=False)
        read, _ = self.text_to_visual_attn(texts, visual, visual, need_weights=False)
        fused_visual = _mix(visual, seen, self.gate_v, self.norm_v, self.ffn_v)
        fused_words = _mix(texts, read, self.gate_t, self.norm_t, self.ffn_t)
        return fused_visual, self.words_out(fused_words)


def _mix(own: Tensor, other: Tensor, gate: nn.Module, norm: nn.Module, feed_forward: nn.Module) -> Tensor:
    share = gate(own)
    mixed = norm(own + share * own + (1 - share) * other)
    return mixed + feed_forward(mixed)


def _gate(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.Sigmoid())


def _feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(4 * width, width), nn.Dropout(DROPOUT)
    )
