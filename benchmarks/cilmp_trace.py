"""Replays the recorded trace of CILMP: a small causal CLIP, given states, two epochs and their average."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.parity_row import Row, difference, evaluate, share_of_movement
from benchmarks.traces import Trace
from core.backbones.catalogue import CONFIG_FILE, WEIGHTS_FILE
from core.backbones.contract import Backbone
from core.backbones.loading import CLIP_MEAN, CLIP_STD, build_model, load_backbone
from core.backbones.random_folder import LOGIT_SCALE, state_digest
from core.descriptions.templates import template_descriptions
from core.errors import UnreadableSource
from core.tuning.contract import Method, Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method

MODEL = {
    "embed_dim": 128,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "layers": 4, "width": 192, "head_width": 64},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 4},
}
PARTS = {
    "rotate_layer.weight": "subspace",
    "learned_source": "source",
    "image_feature_learned_weight.0": "image_down",
    "image_feature_learned_weight.1": "image_up",
    "prefix_intervention": "prefix",
    "suffix_intervention": "suffix",
    "lora_proj.lora_A": "down.weight",
    "lora_proj.lora_B": "up.weight",
}
"""The reference's names inside the maps of one depth -> ours."""


def replay_cilmp(trace: Trace, home: Path) -> Row:
    """Loss of each step, logits before and after training, and the averaged state beside how far it has moved."""
    method = _method(trace, _backbone(trace, home))
    named = {name: ours(name) for name in trace.arrays if name.startswith("init/")}
    state = {new: trace.array(name) for name, new in named.items()}
    method.load_state_dict(state | {"states": trace.array("states")})
    images, losses = trace.array("images"), list[float]()
    logits = [difference(_answers(method, images), trace.array("logits_initial"))]
    epoch = trace.record["batches"][: len(trace.record["batches"]) // trace.settings["epochs"]]
    data = TensorData(torch.tensor(trace.record["labels"]), epoch, pixels=images)
    fit(method, data, seed=0, on_step=lambda step, terms: losses.append(sum(terms.values())))
    logits.append(difference(_answers(method, images), trace.array("logits_final")))
    recorded = [step["loss"] for step in trace.record["steps"]]
    shares, away = [], []
    for name, new in named.items():
        start, plain = trace.array(name), name.removeprefix("init/")
        end = trace.array(f"averaged/{plain}" if f"averaged/{plain}" in trace.arrays else f"step{len(losses)}/{plain}")
        found = method.state_dict()[new]
        shares.append(share_of_movement(found, start, end))
        away.append(difference(found, end))
    return Row(
        trace.name,
        loss=max(abs(one - other) for one, other in zip(losses, recorded, strict=True)),
        logits=max(logits),
        context=max(away),
        moved=max(shares) / trace.record["tolerance"]["state_share_of_movement"],
    )


def ours(recorded: str) -> str:
    """Our name of a recorded tensor of CILMP, such as "init/prompt_learner.ctx"."""
    name = recorded.split("/", 1)[1]
    if name == "prompt_learner.ctx":
        return "context.vectors"
    if name == "image_encoder.VPT":
        return "visual.vectors.0"
    found = re.fullmatch(r"(?:(image|text)_encoder\.transformer\.resblocks\.(\d+)|prompt_learner)\.(.+)", name)
    assert found, name
    tower, layer, rest = found[1], int(found[2] or 0), found[3]
    if rest == "VPT_shallow":
        # words of the first layer are the context itself
        return f"visual.vectors.{layer}" if tower == "image" else f"deep.{layer - 1}"
    for old, new in PARTS.items():
        rest = rest.replace(old, new)
    return f"maps.{layer}.{rest}"


def _method(trace: Trace, backbone: Backbone) -> Method:
    settings, optimizer = trace.settings, trace.record["optimizer"]
    classes = tuple(trace.record["classnames"])
    states = dict(zip(classes, trace.array("states"), strict=True))
    kind = get_method("cilmp")
    config = kind.Config.from_values(
        {
            "template": settings["ctx_init"] + " {}.",
            "context_length": settings["n_ctx"],
            "visual_tokens": settings["n_ctx_vision"],
            "depth": settings["depth_text"],
            "rank": settings["low_rank_dimension"],
            "intervened_rows": settings["prefix_length"],
            "intervention_dropout": False,
            "gpa_std": settings["gpa_std"],
            "epochs": settings["epochs"],
            "schedule": "constant",
            "learning_rate": optimizer["lr"],
            "momentum": optimizer["momentum"],
            "weight_decay": optimizer["weight_decay"],
        }
    )
    return kind(config, Task(backbone, classes, template_descriptions(classes), hidden_states=states))


def _answers(method: Method, images: Tensor) -> Tensor:
    with torch.no_grad():
        return evaluate(method, method.encode_images(images))


def _backbone(trace: Trace, home: Path) -> Backbone:
    """The small CLIP of the trace. Raises UnreadableSource where its weights are not those that were recorded."""
    facts = trace.record["model"]
    folder = home / "cache" / f"parity-causal-{facts['weights_seed']}"
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL, "preprocess_cfg": {"mean": CLIP_MEAN, "std": CLIP_STD}}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    shapes = {key: tuple(value.shape) for key, value in build_model(folder, MODEL).state_dict().items()}
    state = causal_state(shapes, facts["weights_seed"])
    if state_digest(state) != facts["weights_sha256"]:
        raise UnreadableSource(
            f"Weights of '{trace.name}' with the digest {facts['weights_sha256'][:12]}",
            f"drawn were some with {state_digest(state)[:12]}",
            "Update PyTorch, or record the trace again.",
        )
    save_file(state, str(folder / WEIGHTS_FILE))
    return load_backbone(str(folder), device="cpu", precision="fp32", home=home)


def causal_state(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Weights by key, keys in sorted order, one draw a key: norms near 1, other vectors and positions 0.02 z, words
    0.05 z, matrices 1.4 z / sqrt(fan in). The logit scale takes no draw."""
    generator, state = torch.Generator().manual_seed(seed), {}
    for key in sorted(shapes):
        if key == "logit_scale":
            state[key] = torch.tensor(LOGIT_SCALE, dtype=torch.float32)
            continue
        drawn = torch.randn(shapes[key], generator=generator, dtype=torch.float64).float()
        if drawn.ndim == 1:
            state[key] = 1 + 0.1 * drawn if "ln_" in key and key.endswith(".weight") else 0.02 * drawn
        elif key.endswith(("token_embedding.weight", "positional_embedding")):
            state[key] = (0.05 if "token" in key else 0.02) * drawn
        else:
            state[key] = 1.4 / math.sqrt(drawn.numel() // drawn.shape[0]) * drawn
    return state
