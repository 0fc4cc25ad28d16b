"""How much faster training is than a straightforward implementation of the published step, for BiomedCLIP's towers.

    python -m benchmarks.training_speed [--json] [--methods coop,vpt] [--batches 4,32] [--scopes step,end_to_end]

The weights are random and seeded: speed does not depend on them. Each measurement is a process of its own, so that its
peak memory, counted from after loading where the system allows, is its own; reference and ours follow each other in
one run. Both make the same updates with the project's methods; the reference does without every saving
(`benchmarks/straightforward.py`).

Scope "step": updates of four classes on images that lie ready as pixels (reference) or as kept features (ours, where
the image tower is frozen); the median step. With batch 4 two further steps without dropout are compared: the largest
differences of loss and logits. Scope "end_to_end": 100 epochs on 64 drawn pictures, batch 4, from files to the learned
prompt, with feature extraction; both sides are measured in part and scaled: 1 view, 4 epochs, and 2 steps of the
reference. Precision "fp32", and the device's default where that is another.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

if not __package__:  # called by its path, so that the folder above is not searched
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.straightforward import EveryStep, StraightforwardBackbone
from core.backbones.device import choose_device, choose_precision
from core.backbones.loading import load_backbone
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.backbones.random_folder import build_random_backbone_folder
from core.descriptions.description_set import DescriptionSet
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms
from core.images.shots import draw_shots
from core.peak_memory import peak_memory_mb
from core.threads import wait_briefly
from core.tuning.contract import LoopConfig, Method, Task
from core.tuning.data import ImageData, TensorData
from core.tuning.feature_store import FeatureStore
from core.tuning.features import view_pixels
from core.tuning.loop import fit
from core.tuning.registry import get_method
from core.tuning.training_data import TrainingData

LAYOUT, SEED = "biomedclip", 7
CLASSES = ("glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain")
SENTENCES_PER_CLASS = 50
CACHED, TRAINED = ("coop", "biomedcoop", "biomed_dpt"), ("cocoop", "biomedap", "maple", "vpt")
"""Methods with a frozen image tower and texts of their own; and those with less that can be kept."""
BATCHES = (4, 32)
STEPS = {"cached": {4: 8, 32: 4}, "trained": {4: 4, 32: 1}, "reference": {4: 2, 32: 1}}
"""Measured steps by what is timed and by batch."""
PEAK_RESET = Path("/proc/self/clear_refs")
COMPARED_BATCH, COMPARED_STEPS = 4, 2
EPOCHS, SHOTS, END_TO_END_BATCH = 100, 16, 4
MEASURED_VIEWS, MEASURED_EPOCHS, MEASURED_REFERENCE_STEPS = 1, 4, 2


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--methods", type=_names, default=[*CACHED, *TRAINED], help="names, separated by commas")
    parser.add_argument("--batches", type=_numbers, default=list(BATCHES), help="of 4 and 32")
    parser.add_argument("--scopes", type=_names, default=["step", "end_to_end"], help="of step and end_to_end")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_child(json.loads(arguments.child))))
        return
    with tempfile.TemporaryDirectory() as folder:
        for line in lines(Path(folder), arguments.methods, arguments.batches, arguments.scopes):
            print(json.dumps(line) if arguments.json else _sentence(line), flush=True)


def lines(folder: Path, methods: list[str], batches: list[int], scopes: list[str]) -> Iterator[dict[str, Any]]:
    """Measurements one after the other: reference, then ours in each precision."""
    build_random_backbone_folder(folder / "backbone", layout=LAYOUT, seed=SEED)
    default = choose_precision("auto", choose_device())
    precisions = ["fp32"] if default == "fp32" else ["fp32", default]
    if "step" in scopes:
        for method in methods:
            for batch in batches:
                yield from _step_lines(folder, method, batch, precisions)
    if "end_to_end" in scopes:
        for method in (name for name in methods if name in CACHED):
            yield from _end_to_end_lines(folder, method, precisions)


def _step_lines(folder: Path, method: str, batch: int, precisions: list[str]) -> Iterator[dict[str, Any]]:
    spec = {"folder": str(folder), "scope": "step", "method": method, "batch": batch}
    reference = _measure(spec | {"side": "reference", "precision": "fp32"})
    for precision in precisions:
        ours = _measure(spec | {"side": "ours", "precision": precision})
        line = _line(spec, precision, 0, ours["seconds"], reference["seconds"], ours, reference)
        if ours["losses"]:
            pairs = zip(ours["losses"], reference["losses"], strict=True)
            line["loss_difference"] = max(abs(a - b) for a, b in pairs)
            both = torch.tensor(ours["logits"]), torch.tensor(reference["logits"])
            line["logit_difference"] = float((both[0] - both[1]).abs().max())
        yield line


def _end_to_end_lines(folder: Path, method: str, precisions: list[str]) -> Iterator[dict[str, Any]]:
    spec = {"folder": str(folder), "scope": "end_to_end", "method": method, "batch": END_TO_END_BATCH}
    reference = _measure(spec | {"side": "reference", "precision": "fp32"})
    for precision in precisions:
        ours = _measure(spec | {"side": "ours", "precision": precision})
        for views in (8, EPOCHS):
            seconds = ours["once"] + ours["view"] * views + ours["epoch"] * EPOCHS
            yield _line(spec, precision, views, seconds, reference["epoch"] * EPOCHS, ours, reference)


def _line(
    spec: dict[str, Any],
    precision: str,
    views: int,
    seconds: float,
    reference_seconds: float,
    ours: dict[str, Any],
    reference: dict[str, Any],
) -> dict[str, Any]:
    return {
        "method": spec["method"],
        "batch": spec["batch"],
        "precision": precision,
        "scope": spec["scope"],
        "views": views or None,
        "seconds": round(seconds, 4),
        "reference_seconds": round(reference_seconds, 4),
        "ratio": round(reference_seconds / seconds, 2),
        "peak_mb": ours["peak_mb"],
        "reference_peak_mb": reference["peak_mb"],
    }


def _sentence(line: dict[str, Any]) -> str:
    views = f", {line['views']} views" if line["views"] else ""
    return (
        f"{line['method']:12} batch {line['batch']:2} {line['precision']} {line['scope']}{views}: "
        f"{line['seconds']:.3f} s, reference {line['reference_seconds']:.3f} s, {line['ratio']} times; "
        f"peak {line['peak_mb']:.0f} MB, reference {line['reference_peak_mb']:.0f} MB"
        + (f"; logits differ by {line['logit_difference']:.1e}" if "logit_difference" in line else "")
    )


def _measure(spec: dict[str, Any]) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(spec)]
    environment = dict(os.environ)
    wait_briefly(environment)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


# in the measuring process -----------------------------------------------------------------------------------------


def _child(spec: dict[str, Any]) -> dict[str, Any]:
    folder = Path(spec["folder"])
    backbone = load_backbone(folder / "backbone", precision=spec["precision"], home=folder)
    _forget_peak()
    measured = {"step": _step, "end_to_end": _end_to_end}[spec["scope"]](spec, backbone)
    return measured | {"peak_mb": round(_peak_mb(), 1)}


def _forget_peak() -> None:
    """Loading takes more memory than some trainings, on both sides alike; Linux lets the count start after it."""
    if PEAK_RESET.exists():
        PEAK_RESET.write_text("5")


def _peak_mb() -> float:
    if PEAK_RESET.exists():
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    return peak_memory_mb()


def _method(spec: dict[str, Any], backbone: OpenClipBackbone, classes: tuple[str, ...], **options: Any) -> Method:
    """The method, its frozen teachers computed on the ordinary backbone for both sides."""
    sentences = {
        name: tuple(f"{name} with finding number {i}." for i in range(SENTENCES_PER_CLASS)) for name in classes
    }
    store = FeatureStore(Path(spec["folder"]) / "features.sqlite")
    task = Task(backbone, classes, DescriptionSet(sentences, "benchmark"), seed=SEED, store=store)
    kind = get_method(spec["method"])
    config = kind.Config.from_values({"batch_size": spec["batch"]} | options)
    built = kind(config, task)
    if spec["side"] == "ours":
        return built
    # every text is in the store by now, so only what a step computes runs in full
    return kind(config, dataclasses.replace(task, backbone=StraightforwardBackbone.around(backbone)))


def _step(spec: dict[str, Any], backbone: OpenClipBackbone) -> dict[str, Any]:
    batch = spec["batch"]
    found: dict[str, Any] = {"losses": [], "logits": []}
    if batch == COMPARED_BATCH:
        found["losses"], found["logits"] = _two_steps(spec, backbone)
    method = _method(spec, backbone, CLASSES, epochs=1, schedule="constant")
    timed = "reference" if spec["side"] == "reference" else "cached" if spec["method"] in CACHED else "trained"
    steps = STEPS[timed][batch]
    seconds = _step_seconds(method, _step_data(spec, method, steps + 1), steps)
    return found | {"seconds": statistics.median(seconds)}


def _two_steps(spec: dict[str, Any], backbone: OpenClipBackbone) -> tuple[list[float], list[list[float]]]:
    """Losses of two steps without dropout, and the logits after them."""
    names = [field.name for field in dataclasses.fields(get_method(spec["method"]).Config)]
    steady = {name: False for name in names if "dropout" in name}
    method = _method(spec, backbone, CLASSES, epochs=1, schedule="constant", **steady)
    data, losses = _step_data(spec, method, COMPARED_STEPS), []
    fit(method, data, seed=SEED, on_step=lambda step, terms: losses.append(sum(terms.values())))
    with torch.no_grad(), method.backbone.fast_passes():
        batch = next(data.batches(0, method.config))
        return losses, method.logits(method.image_features(batch)).tolist()


def _step_data(spec: dict[str, Any], method: Method, steps: int) -> TrainingData:
    """The same random images at each step."""
    batch = spec["batch"]
    size = method.backbone.preprocessing.size
    pixels = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(SEED))
    labels, order = torch.arange(batch) % len(CLASSES), [list(range(batch))] * steps
    if spec["side"] == "reference":
        return EveryStep(method, labels, order, pixels)
    if method.image_path(method.config) == "trained":
        kept = method.backbone.encode_part(pixels, method.steady_layers(), method.visual_tokens())
        return TensorData(labels, order, pixels=kept)
    features = functional.normalize(method.backbone.encode_images_frozen(pixels, method.visual_tokens()), dim=-1)
    return TensorData(labels, order, features=features)


class _AllMeasured(Exception):
    """The last loss is there; what would follow belongs to no measured step."""


def _step_seconds(method: Method, data: TrainingData, steps: int) -> list[float]:
    """Seconds from the loss of one step to that of the next: all a step consists of."""
    moments: list[float] = []

    def on_step(step: int, terms: dict[str, float]) -> None:
        moments.append(time.perf_counter())
        if step == steps:
            raise _AllMeasured

    with suppress(_AllMeasured):
        fit(method, data, seed=SEED, on_step=on_step)
    return [after - before for before, after in itertools.pairwise(moments)]


def _end_to_end(spec: dict[str, Any], backbone: OpenClipBackbone) -> dict[str, float]:
    folder = Path(spec["folder"]) / "phantoms"
    images = ImageSet.read(folder if folder.exists() else make_phantoms(folder), "phantoms")
    draw = draw_shots(images, SHOTS, SEED)
    method = _method(spec, backbone, images.classes, epochs=MEASURED_EPOCHS)
    data = ImageData(
        method.backbone,
        draw,
        FeatureStore(),
        seed=SEED,
        path=method.image_path(method.config),
        tokens=method.visual_tokens(),
        augmentation=method.config.augmentation,
        views=MEASURED_VIEWS,
    )
    if spec["side"] == "reference":
        return {"epoch": _reference_epoch(method, data, draw.train)}
    started = time.perf_counter()
    data.validation_features()
    once = time.perf_counter()
    data.warm()
    warmed = time.perf_counter()
    training = fit(method, data, seed=SEED).seconds
    return {
        "once": once - started,
        "view": (warmed - once) / MEASURED_VIEWS,
        "epoch": training / MEASURED_EPOCHS,
    }


def _reference_epoch(method: Method, data: ImageData, images: tuple) -> float:
    """Seconds of an epoch whose steps decode, crop and encode their images, from a few steps."""
    batch = method.config.batch_size
    steps = [list(range(batch * i, batch * (i + 1))) for i in range(MEASURED_REFERENCE_STEPS + 1)]
    seconds = _step_seconds(method, _FromFiles(method, data.labels, steps, images), MEASURED_REFERENCE_STEPS)
    return statistics.median(seconds) * data.steps_per_epoch(method.config)


class _FromFiles(EveryStep):
    """Pixels come from files at each step."""

    def __init__(self, method: Method, labels: Tensor, batches: list[list[int]], images: tuple) -> None:
        super().__init__(method, labels, batches, torch.empty(0))
        self._files = images

    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Any]:
        augmentation = self._method.config.augmentation
        for rows in self._batches:
            pixels = view_pixels(self._method.backbone, [self._files[i] for i in rows], augmentation, 0, SEED)
            one = TensorData(self.labels[rows], [list(range(len(rows)))], pixels=pixels)
            yield self.encoded(next(one.batches(epoch, config)))


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
