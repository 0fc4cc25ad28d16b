"""Backbone folders with seeded random weights, in the layouts of real ones.

They exercise the loading path of backbones that are too large or too far away for a test or a benchmark, and are the
ground on which recorded traces of other implementations are compared. They know nothing about pictures.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.backbones.catalogue import CONFIG_FILE, EMBEDDED_FOLDER, WEIGHTS_FILE
from core.backbones.loading import CLIP_MEAN, CLIP_STD, build_model
from core.errors import InvalidInput

LOGIT_SCALE = math.log(85.2323)  # the factor that published adapter code for BiomedCLIP assumes
PARITY_SEED = 1234

_TIMM = {"timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear"}
_TINY_TIMM = {**_TIMM, "timm_model_name": "test_vit", "image_size": 64}
_TINY_CLIP = {"layers": 3, "width": 64, "head_width": 32, "patch_size": 16, "image_size": 64}
_TINY_CAUSAL = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3}
_HF = {"hf_model_name": ".", "hf_tokenizer_name": ".", "hf_model_pretrained": False, "hf_proj_type": "mlp"}
_TINY_BERT = {**_HF, "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 64}
_TINY_BERT_CONFIG = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
_BERT_BASE_CONFIG = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}

# Layout: open_clip's model_cfg, and the BERT sizes where the text tower is a BERT.
LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, int] | None]] = {
    "biomedclip": (
        {
            "embed_dim": 512,
            "vision_cfg": {**_TIMM, "timm_model_name": "vit_base_patch16_224", "image_size": 224},
            "text_cfg": {**_TINY_BERT, "context_length": 256},
        },
        _BERT_BASE_CONFIG,
    ),
    "clip-vit-b-16": (
        {
            "embed_dim": 512,
            "quick_gelu": True,
            "vision_cfg": {"layers": 12, "width": 768, "patch_size": 16, "image_size": 224},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
        },
        None,
    ),
    "tiny-timm-bert": ({"embed_dim": 32, "vision_cfg": _TINY_TIMM, "text_cfg": _TINY_BERT}, _TINY_BERT_CONFIG),
    "tiny-timm-bert-mean": (
        {
            "embed_dim": 32,
            "vision_cfg": _TINY_TIMM,
            "text_cfg": {**_TINY_BERT, "hf_pooler_type": "mean_pooler"},
        },
        _TINY_BERT_CONFIG,
    ),
    "tiny-timm-bert-pooler": (
        {
            "embed_dim": 32,
            "vision_cfg": _TINY_TIMM,
            "text_cfg": {**_TINY_BERT, "hf_pooler_type": "cls_pooler", "hf_proj_type": "linear"},
        },
        _TINY_BERT_CONFIG,
    ),
    "tiny-timm-causal": (
        {"embed_dim": 32, "custom_text": True, "vision_cfg": _TINY_TIMM, "text_cfg": _TINY_CAUSAL},
        None,
    ),
    "tiny-clip-bert": ({"embed_dim": 32, "vision_cfg": _TINY_CLIP, "text_cfg": _TINY_BERT}, _TINY_BERT_CONFIG),
    "tiny-clip-causal": (
        {"embed_dim": 32, "quick_gelu": True, "vision_cfg": _TINY_CLIP, "text_cfg": _TINY_CAUSAL},
        None,
    ),
}


def build_random_backbone_folder(
    out: Path,
    *,
    layout: str = "biomedclip",
    seed: int = 0,
    tokenizer_from: Path = EMBEDDED_FOLDER,
) -> Path:
    """A backbone folder of that layout under `out`, with weights that depend on the seed alone; gives `out`.

    "biomedclip" and "clip-vit-b-16" have their real size (784 and 599 MB); the tiny ones have 3 to 6 layers of width
    32 or 64 on 64 px. Raises InvalidInput for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise InvalidInput(f"A layout is one of {', '.join(LAYOUTS)}", f"found '{layout}'", "Choose one of them.")
    model_config, bert_sizes = LAYOUTS[layout]
    out.mkdir(parents=True, exist_ok=True)
    if bert_sizes is not None:
        _write_bert_files(out, bert_sizes, tokenizer_from)
    config = {"model_cfg": model_config, "preprocess_cfg": {"mean": CLIP_MEAN, "std": CLIP_STD}}
    (out / CONFIG_FILE).write_text(json.dumps(config, indent=1), encoding="utf-8")
    shapes = {key: tuple(value.shape) for key, value in build_model(out, model_config).state_dict().items()}
    save_file(random_state(shapes, seed), str(out / WEIGHTS_FILE))
    return out


def parity_backbone_folder(out: Path, seed: int = PARITY_SEED) -> Path:
    """The BiomedCLIP-shaped folder on which recorded traces were made; an existing one of that seed is kept."""
    done = out / f"seed-{seed}"
    if not done.is_file():
        build_random_backbone_folder(out, layout="biomedclip", seed=seed)
        done.touch()
    return out


def random_state(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Weights by key, drawn from one generator, keys in sorted order, one draw a key (float64, rounded to float32).

    Scaled so that activations keep their size through the layers: norm weights near 1, other vectors and position,
    type and class-token embeddings 0.02 z, word embeddings 0.05 z, matrices 1.4 z / sqrt(fan in). The logit scale is
    fixed and takes no draw.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key in sorted(shapes):
        if key == "logit_scale":
            state[key] = torch.tensor(LOGIT_SCALE, dtype=torch.float32)
            continue
        drawn = torch.randn(tuple(shapes[key]), generator=generator, dtype=torch.float64).float()
        state[key] = _scaled(key, drawn)
    return state


def _scaled(key: str, drawn: Tensor) -> Tensor:
    small = ("position_embeddings.weight", "token_type_embeddings.weight", "pos_embed", "cls_token")
    if drawn.ndim == 1:
        is_norm = ("norm" in key.lower() or "ln_" in key) and key.endswith(".weight")
        return 1 + 0.1 * drawn if is_norm else 0.02 * drawn
    if key.endswith("word_embeddings.weight"):
        return 0.05 * drawn
    if key.endswith(small):
        return 0.02 * drawn
    fan_in = drawn.numel() // drawn.shape[0]
    return (1.4 / math.sqrt(fan_in)) * drawn


def state_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over all keys and float32 values in sorted key order, hex. Independent of the file format."""
    sha = hashlib.sha256()
    for key in sorted(state):
        sha.update(key.encode())
        sha.update(state[key].detach().float().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _write_bert_files(out: Path, sizes: Mapping[str, int], tokenizer_from: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (tokenizer_from / name).is_file():
            shutil.copyfile(tokenizer_from / name, out / name)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        **sizes,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
