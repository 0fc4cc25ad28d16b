"""Rewrites weights as safetensors, in a process of its own: `python -m core.backbones.convert_weights IN OUT LAYOUT`.

Pickles are read with weights_only, so that nothing in them is executed; a process of its own limits what a fault in
that reader could reach, and gives all its memory back.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

# transformers' CLIPModel to open_clip's CLIP, as (pattern, replacement), applied in order.
_CLIP_NAMES = (
    (r"^text_model\.embeddings\.token_embedding\.weight$", "token_embedding.weight"),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.weight$", "visual.conv1.weight"),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^visual_projection\.weight$", "visual.proj"),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.", ".attn."),
)
_TRANSPOSED = ("text_projection", "visual.proj")


def main(arguments: list[str]) -> None:
    """Read, rename, write."""
    origin, out, layout = Path(arguments[0]), Path(arguments[1]), arguments[2]
    state = read_state(origin)
    if layout == "clip":
        state = open_clip_names(state)
    # Each tensor gets memory of its own: safetensors refuses tensors that share it.
    save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, str(out))


def read_state(origin: Path) -> dict[str, Tensor]:
    """Tensors by key, without wrappers that training scripts add. Raises ValueError if there are none."""
    if origin.suffix == ".safetensors":
        return load_file(str(origin))
    found = torch.load(origin, map_location="cpu", weights_only=True)
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError("the file holds something else than named tensors")
    return {key.removeprefix("module."): value for key, value in found.items()}


def open_clip_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A transformers CLIPModel's weights under open_clip's names; query, key and value joined."""
    renamed = {}
    for key, value in state.items():
        if key.endswith("position_ids"):
            continue
        for pattern, replacement in _CLIP_NAMES:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value.T if key in _TRANSPOSED else value
    for key in [key for key in renamed if ".attn.q_proj." in key]:
        parts = [renamed.pop(key.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")]
        renamed[key.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    return renamed


if __name__ == "__main__":
    main(sys.argv[1:])
