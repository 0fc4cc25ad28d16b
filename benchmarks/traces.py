"""Recorded traces of reference implementations: how to read one, and how its settings are said in our options.

A folder of traces holds `set.json` (class names, labels, seeds) and for each trace a JSON file with settings, losses
and the name of its method, and an npz file with arrays. The pictures and the starting values of extra layers follow
from seeds by the rules below. Methods are named here on purpose: METHODS translates the names and settings of recorded
files into ours, which no method can do itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.errors import UnreadableSource

PICTURE_PX = 224
POSITIONS = {"end": "end", "middle": "middle_ref"}
"""The reference's "middle" moves one token of the name; see `core.tuning.text_context`."""
NOT_TARGETS = {"prograd_as_published"}
"""Recorded for information: their gradients are rounding noise."""
COMPARABLE_STEPS = {"prograd_text_init": 2}
"""Student and teacher agree in step 0 there, so the projection is arbitrary from then on: losses of two steps count."""


@dataclass(frozen=True)
class TraceSet:
    """What all traces of a folder share. pictures, validation_pictures: model input (n, 3, 224, 224)."""

    facts: dict[str, Any]
    pictures: Tensor
    validation_pictures: Tensor

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.facts["classnames"])

    @property
    def labels(self) -> Tensor:
        """Labels of the pictures; the validation pictures have the same."""
        return torch.tensor(self.facts["labels"])

    def descriptions(self, count: int | None) -> DescriptionSet:
        """The first `count` sentences of each class."""
        table = self.facts["descriptions"]
        return DescriptionSet({name: tuple(table[name][:count]) for name in self.classes}, "trace")


@dataclass(frozen=True)
class Trace:
    """One recorded run."""

    name: str
    record: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def settings(self) -> dict[str, Any]:
        """The reference's own settings."""
        return self.record["settings"]

    def array(self, key: str) -> Tensor:
        """One recorded array."""
        return torch.from_numpy(np.asarray(self.arrays[key]))


def read_set(folder: Path) -> TraceSet:
    """Read `set.json` and draw its pictures. Raises UnreadableSource."""
    file = folder / "set.json"
    if not file.is_file():
        raise UnreadableSource("A folder of traces with set.json", f"'{folder}' has none", "Check the path.")
    facts = json.loads(file.read_text("utf-8"))
    pictures = draw_pictures(facts["images_seed"], len(facts["classnames"]), facts["per_class"])
    return TraceSet(facts, pictures, draw_validation_pictures(pictures, facts["val_images_seed"]))


def read_traces(folder: Path) -> list[Trace]:
    """All traces of a folder: JSON files that name a method and have arrays beside them."""
    traces = []
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text("utf-8"))
        arrays = file.with_suffix(".npz")
        if isinstance(record, dict) and "method" in record and arrays.is_file():
            with np.load(arrays, allow_pickle=False) as stored:
                traces.append(Trace(file.stem, record, dict(stored)))
    return traces


def draw_pictures(seed: int, classes: int, per_class: int) -> Tensor:
    """Smooth pictures, class by class: class draw (4 x 4) + 0.8 picture draw (14 x 14) + 0.1 noise, one generator."""
    generator = torch.Generator().manual_seed(seed)
    pictures = []
    for _ in range(classes):
        shared = _enlarged(_normal((1, 3, 4, 4), generator))
        for _ in range(per_class):
            own = _enlarged(_normal((1, 3, 14, 14), generator))
            noise = _normal((1, 3, PICTURE_PX, PICTURE_PX), generator)
            pictures.append(shared + 0.8 * own + 0.1 * noise)
    return torch.cat(pictures)


def draw_validation_pictures(pictures: Tensor, seed: int) -> Tensor:
    """One further picture per picture: itself + 0.8 of a new 14 x 14 draw."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([p[None] + 0.8 * _enlarged(_normal((1, 3, 14, 14), generator)) for p in pictures])


def fill_layers(module: nn.Module, trace: Trace) -> None:
    """Set the starting values of extra layers by the trace's seed: one draw a tensor, in the recorded order.

    Vectors 0.02 z (norm weights 1 + 0.1 z), all others z / sqrt(last dimension). The recorded names end in ours.
    """
    extra = trace.record.get("extra_init")
    if not extra:
        return
    generator = torch.Generator().manual_seed(extra["seed"])
    ours = dict(module.named_parameters())
    for drawn in extra["draw_order"]:
        values = _normal(tuple(drawn["shape"]), generator)
        if len(drawn["shape"]) == 1:
            is_norm = "norm" in drawn["name"].lower() and drawn["name"].endswith(".weight")
            values = 1 + 0.1 * values if is_norm else 0.02 * values
        else:
            values = values / drawn["shape"][-1] ** 0.5
        with torch.no_grad():
            ours[_ours(drawn["name"], ours)].copy_(values)


def _ours(recorded: str, ours: Iterable[str]) -> str:
    """Our name of a recorded tensor: the same once the reference's outer module names are dropped."""
    renamed = recorded.replace("ctx_learner.ctx", "visual.vectors.0").replace("prompt_learner.ctx", "context.vectors")
    return next(name for name in ours if renamed == name or renamed.endswith(f".{name}"))


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal numbers, drawn in float64 and rounded to float32."""
    return torch.randn(shape, generator=generator, dtype=torch.float64).float()


def _enlarged(values: Tensor) -> Tensor:
    return functional.interpolate(values, size=(PICTURE_PX, PICTURE_PX), mode="bilinear", align_corners=False)


Settings = dict[str, Any]
Options = dict[str, Any]


def _coop(settings: Settings) -> Options:
    return {
        "context_length": settings["n_ctx"],
        "template": settings["ctx_init"] + " {}.",
        "position": POSITIONS[settings["class_token_position"]],
        "per_class": settings["csc"],
    }


def _cocoop(settings: Settings) -> Options:
    return {"context_length": settings["n_ctx"], "template": settings["ctx_init"] + " {}."}


def _biomed_dpt(settings: Settings) -> Options:
    return {
        "context_length": settings["n_ctx"],
        "template": settings["template"],
        "position": POSITIONS[settings["class_token_position"]],
        "anchor_weight": settings["l1_lambda"],
        "distillation_weight": settings["kl_lambda"],
        "text_dropout": False,
    }


def _kgcoop(settings: Settings) -> Options:
    words = {"context_length": settings["n_ctx"], "template": settings["ctx_init"] + " {}."}
    return words | {"teacher_template": settings["teacher_prompt"], "knowledge_weight": settings["w"]}


def _prograd(settings: Settings) -> Options:
    random = settings["ctx_init"].startswith("random")
    return {
        "context_length": settings["n_ctx"],
        "random_start": random,
        "template": "{}." if random else settings["ctx_init"] + " {}.",
        "teacher_template": settings["teacher_prompt"],
        "temperature": settings["T"],
        "projection": settings["lambda"],
    }


def _biomedcoop(settings: Settings) -> Options:
    return {
        "context_length": settings["n_ctx"],
        "template": settings["ctx_init"] + " {}.",
        "anchor_weight": settings["sccm_lambda"],
        "distillation_weight": settings["kdsp_lambda"],
        "outlier_limit": settings["tau"],
        "text_dropout": False,
    }


def _vpt(settings: Settings) -> Options:
    return {"visual_tokens": settings["n_ctx"], "template": settings["template"]}


def _maple(settings: Settings) -> Options:
    return {
        "context_length": settings["n_ctx"],
        "template": settings["ctx_init"] + " {}.",
        "text_dropout": False,
    }


def _biomedap(settings: Settings) -> Options:
    return {
        "context_length": settings["n_ctx"],
        "template": settings["template"],
        "position": POSITIONS[settings["class_token_position"]],
        "fusion_layers": ",".join(str(layer) for layer in settings["fusion_layers"]),
        "plain_template": settings["low_template"].replace("{class}", "{}"),
        "anchor_weight": settings["l1_lambda_high"],
        "plain_weight": settings["l1_lambda_low"],
        "distillation_weight": settings["kl_lambda"],
        "alignment_weight": settings["alignment_lambda"],
        "fusion_dropout": False,
        "text_dropout": False,
    }


METHODS: dict[str, tuple[str, Callable[[Settings], Options]]] = {
    "coop": ("coop", _coop),
    "cocoop": ("cocoop", _cocoop),
    "kgcoop": ("kgcoop", _kgcoop),
    "prograd": ("prograd", _prograd),
    "prograd_text_init": ("prograd", _prograd),
    "biomedcoop": ("biomedcoop", _biomedcoop),
    "biomeddpt": ("biomed_dpt", _biomed_dpt),
    "biomeddpt_end": ("biomed_dpt", _biomed_dpt),
    "biomedap": ("biomedap", _biomedap),
    "vpt": ("vpt", _vpt),
    "maple": ("maple", _maple),
}
"""The reference's name of a method that is trained by steps -> our name, and its settings in our options."""

PARTS = {
    "ce": "cross_entropy",
    "xe_loss": "cross_entropy",
    "kl_loss": "teacher",
    "sccm": "anchor",
    "kdsp": "distillation",
    "l1": "anchor",
    "l1_high": "anchor",
    "l1_low": "plain",
    "kl": "distillation",
    "alignment": "alignment",
}
"""The reference's name of a part of the loss -> ours; both include its weight."""


def recorded_parts(step: dict[str, Any], settings: Settings) -> dict[str, float]:
    """The parts of a step's loss under our names."""
    found = {ours: step[name] for name, ours in PARTS.items() if name in step}
    # recorded without its weight
    return found | ({"knowledge": settings["w"] * step["score"]} if "score" in step else {})


def features(backbone: Backbone, pictures: Tensor) -> Tensor:
    """Unit-norm features (pictures, joint_width) in full precision."""
    with torch.no_grad():
        return functional.normalize(backbone.encode_images(pictures), dim=-1)
