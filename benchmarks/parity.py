"""Replay recorded traces of reference implementations and print how far ours is from them.

    python -m benchmarks.parity FOLDER [--home HOME] [--record]

Prints a row a trace: the largest difference of a step's loss, of its parts, of evaluation logits and of the learned
context. Methods that are not built yet are listed as skipped. Exits 1 when a difference is beyond its limit or nothing
could be compared. With --record the traces that fit are named by method in `benchmarks/parity.json`, for the docs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

if not __package__:  # called by its path, so that the folder above is not searched
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.biovlm_trace import replay_biovlm
from benchmarks.cilmp_trace import replay_cilmp
from benchmarks.parity_row import LIMITS, Row, difference, evaluate
from benchmarks.traces import (
    COMPARABLE_STEPS,
    METHODS,
    NOT_TARGETS,
    Trace,
    TraceSet,
    features,
    fill_layers,
    read_set,
    read_traces,
    recorded_parts,
)
from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.backbones.random_folder import parity_backbone_folder
from core.errors import PromptoscopeError
from core.settings import Settings
from core.tuning.contract import LoopConfig, Method, Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method

FILE = Path(__file__).with_suffix(".json")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with set.json and traces")
    parser.add_argument("--home", type=Path, default=Settings().home, help="where the rebuilt model is kept")
    parser.add_argument("--record", action="store_true", help="write which methods fit")
    arguments = parser.parse_args()
    try:
        rows = replay_all(arguments.folder, arguments.home)
    except PromptoscopeError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(rows))
    if arguments.record:
        FILE.write_text(json.dumps(fitting(rows), indent=1) + "\n", "utf-8")
    compared = [row for row in rows if not row.skipped]
    return 0 if compared and all(row.fits for row in compared) else 1


def replay_all(folder: Path, home: Path) -> list[Row]:
    """Every trace of a folder, on the model that its seed describes."""
    shared, traces = read_set(folder), read_traces(folder)
    seed = shared.facts["weights_seed"]
    tower_folder = parity_backbone_folder(home / "cache" / f"parity-{seed}", seed)
    backbone = load_backbone(str(tower_folder), device="cpu", precision="fp32", home=home)
    found = []
    for trace in traces:
        name = trace.record["method"]
        row = replay_cilmp(trace, home) if name == "cilmp" else replay(trace, shared, backbone)
        found.append(replace(row, method=METHODS[name][0] if name in METHODS else OTHER_NAMES.get(name, name)))
    return found


def fitting(rows: list[Row]) -> dict[str, list[str]]:
    """Our name of each method -> the traces that it replays inside the limits; none where one does not fit."""
    compared = [row for row in rows if not row.skipped]
    failed = {row.method for row in compared if not row.fits}
    names = sorted({row.method for row in compared} - failed)
    return {name: [row.trace for row in compared if row.method == name] for name in names}


def replay(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    """One trace. The JSON inside says which method it is."""
    name = trace.record["method"]
    if name in NOT_TARGETS or trace.name in NOT_TARGETS:
        return Row(trace.name, skipped="recorded for information, no target")
    if name in METHODS:
        return _steps(trace, shared, backbone)
    if name in DIRECT:
        return DIRECT[name](trace, shared, backbone)
    return Row(trace.name, skipped="method not built yet")


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = [f"{'trace':24} {' '.join(f'{name:>10}' for name in LIMITS)}  verdict"]
    for row in rows:
        cells = " ".join(f"{'-' if value is None else f'{value:.1e}':>10}" for value in row.differences.values())
        verdict = f"skipped: {row.skipped}" if row.skipped else "ok" if row.fits else "BEYOND THE LIMITS"
        lines.append(f"{row.trace:24} {cells}  {verdict}")
    limits = ", ".join(f"{name} {value:g}" for name, value in LIMITS.items())
    return "\n".join([*lines, f"limits: {limits}"])


def _steps(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    """A method that is trained by steps, through the one loop with the recorded batches."""
    name, translate = METHODS[trace.record["method"]]
    kind, optimizer = get_method(name), trace.record["optimizer"]
    config = kind.Config.from_values(
        translate(trace.settings)
        | {"epochs": 1, "schedule": "constant", "learning_rate": optimizer["lr"]}
        | {"momentum": optimizer["momentum"], "weight_decay": optimizer["weight_decay"]}
    )
    method = kind(config, _task(trace, shared, backbone))
    fill_layers(method, trace)
    images = _images(method, shared.pictures)
    logits = [difference(evaluate(method, images), trace.array("logits_initial"))]
    trained = kind.image_path(config) == "trained"
    data = TensorData(
        shared.labels,
        trace.record["batches"],
        features=None if trained else images,
        pixels=shared.pictures if trained else None,
    )
    steps: list[dict[str, float]] = []
    fit(method, data, seed=0, on_step=lambda step, terms: steps.append(terms))
    count = COMPARABLE_STEPS.get(trace.record["method"])
    pairs = list(zip(steps, trace.record["steps"], strict=True))[:count]
    loss = max(abs(sum(ours.values()) - _recorded_loss(step)) for ours, step in pairs)
    parts = max(_parts_difference(ours, recorded_parts(step, trace.settings)) for ours, step in pairs)
    if count:
        return Row(trace.name, loss=loss, parts=parts, logits=logits[0])
    logits.append(difference(evaluate(method, _images(method, shared.pictures)), trace.array("logits_final")))
    return Row(trace.name, loss=loss, parts=parts, logits=max(logits), context=_context_difference(method, trace))


def _parts_difference(ours: dict[str, float], recorded: dict[str, float]) -> float:
    """The largest over the parts of our loss; each must be recorded."""
    return max(abs(value - recorded[name]) for name, value in ours.items())


def _recorded_loss(step: dict[str, float]) -> float:
    """The whole loss of a step; ProGrad's two parts are recorded apart."""
    return step["loss"] if "loss" in step else step["xe_loss"] + step["kl_loss"]


def _zero_shot(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    kind = get_method("zero_shot")
    images = features(backbone, shared.pictures)
    found = []
    for ensemble, key in ((False, "logits_single"), (True, "logits_ensemble")):
        config = kind.Config.from_values({"template": trace.settings["template"], "ensemble": ensemble})
        method = kind(config, _task(trace, shared, backbone))
        found.append(difference(evaluate(method, images), trace.array(key)))
    return Row(trace.name, logits=max(found))


def _tip_adapter_f(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    kind, settings = get_method("tip_adapter_f"), trace.settings
    values = {"epochs": settings["train_epoch"], "learning_rate": settings["lr"]}
    values |= {"train_alpha": settings["init_alpha"]}
    values |= {"train_alpha_search": "fresh" if settings["grid_search"] else "off"}
    method = kind(kind.Config.from_values(values), _task(trace, shared, backbone))
    data = _cached_data(shared, backbone, trace.record["train_batches_per_epoch"])
    images = data.train_features()
    losses: list[float] = []
    fit(method, data, seed=0, on_step=lambda step, terms: losses.append(sum(terms.values())))
    method.tune(data)
    recorded = [step["loss"] for step in trace.record["steps"]]
    return Row(
        trace.name,
        loss=max(abs(a - b) for a, b in zip(losses, recorded, strict=True)),
        logits=difference(evaluate(method, images), trace.array("logits_final")),
        # the reference keeps its keys in the order in which its loader gave the pictures
        context=difference(method.state_dict()["keys"][_loader_order(trace)], trace.array("adapter_weight_best")),
    )


def _loader_order(trace: Trace) -> list[int]:
    return [picture for batch in trace.record["train_batches_per_epoch"] for picture in batch]


def _linear_probe(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    """The logits at C = 1 and at the last C tried, and the C the search keeps (relative, in the column "context").

    The last fit has logits near ten and stops at the solver's tolerance: it is compared relative to its largest.
    """
    kind, task = get_method("linear_probe"), _task(trace, shared, backbone)
    data, fits = _cached_data(shared, backbone, []), trace.record["fits"]
    images = data.train_features()
    differences = []
    for strength, key in ((1.0, "logits_C1"), (fits[-1]["C"], "logits_last_fit")):
        options = {"search": False, "inverse_regularisation": strength}
        method = kind(kind.Config.from_values(options), task)
        fit(method, data, seed=0)
        recorded = trace.array(key)
        differences.append(difference(evaluate(method, images), recorded) / max(1.0, float(recorded.abs().max())))
    searched = kind(kind.Config.from_values({}), task)
    fit(searched, data, seed=0)
    left, right = fits[-2:]
    kept = left["C"] if left["val_accuracy"] >= right["val_accuracy"] else right["C"]
    return Row(
        trace.name,
        logits=max(differences),
        context=abs(float(searched.state_dict()["strength"]) / kept - 1),
    )


def _tip_adapter(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    kind = get_method("tip_adapter")
    method, data = kind(kind.Config(), _task(trace, shared, backbone)), _cached_data(shared, backbone, [])
    fit(method, data, seed=0)
    method.tune(data)
    return Row(trace.name, logits=difference(evaluate(method, data.train_features()), trace.array("logits_final")))


def _clip_adapter(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    kind, settings = get_method("clip_adapter"), trace.settings
    values = dict(kind.variants["reference"]) | {"epochs": settings["train_epoch"], "learning_rate": settings["lr"]}
    values |= {"ratio": settings["alpha_ca"], "warmup_rate": settings["WARMUP_CONS_LR"]}
    method = kind(kind.Config.from_values(values), _task(trace, shared, backbone))
    fill_layers(method, trace)
    data = _cached_data(shared, backbone, trace.record["train_batches_per_epoch"])
    losses: list[float] = []
    fit(method, data, seed=0, on_step=lambda step, terms: losses.append(sum(terms.values())))
    recorded = [step["loss"] for step in trace.record["steps"]]
    return Row(
        trace.name,
        loss=max(abs(a - b) for a, b in zip(losses, recorded, strict=True)),
        logits=difference(evaluate(method, data.train_features()), trace.array("logits_final")),
    )


def _lp_plus_plus(trace: Trace, shared: TraceSet, backbone: Backbone) -> Row:
    kind = get_method("lp_plus_plus")
    config = kind.Config.from_values({"iterations": trace.settings["train_epoch"]})
    method, data = kind(config, _task(trace, shared, backbone)), _cached_data(shared, backbone, [])
    start = torch.tensor(trace.record["bias_initial"])
    method.load_state_dict({"bias": start}, strict=False)
    fit(method, data, seed=0)
    return Row(trace.name, logits=difference(evaluate(method, data.train_features()), trace.array("logits_final")))


def _cached_data(shared: TraceSet, backbone: Backbone, batches: list[list[int]]) -> TensorData:
    """Features of the pictures for training, of the validation pictures for choices."""
    return TensorData(
        shared.labels,
        batches,
        features=features(backbone, shared.pictures),
        validation_features=features(backbone, shared.validation_pictures),
        validation_labels=shared.labels,
    )


DIRECT: dict[str, Callable[[Trace, TraceSet, Backbone], Row]] = {
    "zero_shot": _zero_shot,
    "tip_adapter": _tip_adapter,
    "tip_adapter_f": _tip_adapter_f,
    "clip_adapter": _clip_adapter,
    "biovlm": replay_biovlm,
    "lp": _linear_probe,
    "lp_plus_plus": _lp_plus_plus,
}
"""Traces that hold something else than four steps of gradient descent."""
OTHER_NAMES = {"lp": "linear_probe"}
"""The reference's name of such a method -> ours, where they differ."""


def _task(trace: Trace, shared: TraceSet, backbone: Backbone) -> Task:
    return Task(backbone, shared.classes, shared.descriptions(trace.settings.get("n_prompts")))


def _images(method: Method, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        return method.encode_images(pictures)


def _context_difference(method: Method, trace: Trace) -> float | None:
    """The context after the last step, against the recorded one."""
    last = f"step{len(trace.record['steps'])}/prompt_learner.ctx"
    if last not in trace.arrays or not isinstance(method.config, LoopConfig):
        return None
    return difference(method.state_dict()["context.vectors"], trace.array(last))


if __name__ == "__main__":
    sys.exit(main())
