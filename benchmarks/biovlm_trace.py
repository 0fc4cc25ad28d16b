"""Replays the recorded trace of BioVLM: a bank of prompts, fixed views, and ten attributes a class."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.parity_row import Row, difference, evaluate, share_of_movement
from benchmarks.traces import Trace, TraceSet, draw_validation_pictures, features
from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.tuning.contract import Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method

PARTS = {
    "cross_entropy": ("ce",),
    "entropy": ("loss_ent", "loss_gptent", "loss_gptaugent"),
    "distillation": ("loss_kdsp", "loss_kdsp_aug"),
    "similarity": ("loss_cos",),
}
"""Our parts of the loss -> those of the reference that make them up."""
CONTEXT = "prompt_learner.ctx"


def replay_biovlm(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    """Loss and parts of each step, logits before and after, and the bank beside how far it has moved."""
    settings, optimizer = trace.settings, trace.record["optimizer"]
    kind = get_method("biovlm")
    values = dict(kind.variants["reference"]) | {
        "template": settings["template"],
        "context_length": settings["n_ctx"],
        "prompts": settings["prompts"],
        "epochs": 1,
        "schedule": "constant",
        "learning_rate": optimizer["lr"],
        "momentum": optimizer["momentum"],
        "weight_decay": optimizer["weight_decay"],
    }
    sentences = {name: tuple(trace.record["descriptions"][name]) for name in shared.classes}
    method = kind(kind.Config.from_values(values), Task(backbone, shared.classes, DescriptionSet(sentences, "trace")))
    start = trace.array(f"init/{CONTEXT}")
    method.load_state_dict({"context.vectors": start[:, None]})
    images, views = features(backbone, shared.pictures), _views(trace, shared, backbone)
    logits = [difference(evaluate(method, images), trace.array("logits_initial"))]
    steps: list[dict[str, float]] = []
    data = TensorData(shared.labels, trace.record["batches"], features=images, views=views)
    fit(method, data, seed=0, on_step=lambda step, terms: steps.append(terms))
    logits.append(difference(evaluate(method, images), trace.array("logits_final")))
    pairs = list(zip(steps, trace.record["steps"], strict=True))
    end, found = trace.array(f"step{len(steps)}/{CONTEXT}"), method.state_dict()["context.vectors"][:, 0]
    return Row(
        trace.name,
        loss=max(abs(sum(ours.values()) - step["loss"]) for ours, step in pairs),
        parts=max(_parts_difference(ours, step) for ours, step in pairs),
        logits=max(logits),
        context=difference(found, end),
        moved=share_of_movement(found, start, end) / trace.record["tolerance"]["context_share_of_movement"],
    )


def _parts_difference(ours: dict[str, float], recorded: dict[str, float]) -> float:
    """The largest over the parts of our loss."""
    return max(abs(ours[part] - sum(recorded[name] for name in names)) for part, names in PARTS.items())


def _views(trace: Trace, shared: TraceSet, backbone: Backbone) -> dict[str, Tensor]:
    """Features of the fixed views: strong ones drawn anew and mirrored, weak ones mirrored at every second image."""
    strong = draw_validation_pictures(shared.pictures, trace.record["views"]["strong"]["seed"]).flip(-1)
    odd = (torch.arange(len(shared.pictures)) % 2 == 1)[:, None, None, None]
    weak = torch.where(odd, shared.pictures.flip(-1), shared.pictures)
    return {"strong": features(backbone, strong), "weak": features(backbone, weak)}
