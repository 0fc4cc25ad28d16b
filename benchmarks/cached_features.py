"""How much faster training is on cached features with trimmed text than recomputing everything each step.

    python -m benchmarks.cached_features [--json] [--epochs 50] [--straightforward-epochs 2]

Trains CoOp at 16 shots x 4 classes of drawn phantoms on the embedded backbone, twice in one run on the same machine.
Straightforward: every step decodes and crops its images, runs the whole image tower in full precision and pads every
prompt to 256 tokens, as published trainers do. Ours: the project's own `train` parts. Two ratios are kept apart: an
epoch of training alone, and end to end with feature extraction at the stated number of views.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.descriptions.templates import template_descriptions
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms
from core.images.shots import draw_shots
from core.tuning.contract import Method, Task
from core.tuning.data import ImageData, epoch_generator
from core.tuning.feature_store import FeatureStore
from core.tuning.features import view_pixels
from core.tuning.loop import fit, make_optimizer
from core.tuning.presets import resolve_config
from core.tuning.registry import get_method

SHOTS, SEED, TEXT_LENGTH = 16, 1, 256


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--straightforward-epochs", type=int, default=2, help="measured, then scaled to --epochs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.epochs, arguments.straightforward_epochs)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:32} {value}" for name, value in found.items()))


def measure(folder: Path, epochs: int, straightforward_epochs: int) -> dict[str, float | int | str]:
    """Seconds and ratios, by name."""
    images = ImageSet.read(make_phantoms(folder / "phantoms"), "phantoms")
    backbone = load_backbone("embedded", precision="fp32")
    draw = draw_shots(images, SHOTS, SEED)
    ours, reference = (_method(backbone, images, epochs) for _ in range(2))
    views = ours.config.views
    started = time.perf_counter()
    data = ImageData(backbone, draw, FeatureStore(), seed=SEED, recipe=ours.config.augmentation, views=views)
    data.warm()
    extraction = time.perf_counter() - started
    training = fit(ours, data, seed=SEED).seconds
    slow_epoch = _straightforward(reference, data, draw.train, straightforward_epochs)
    return {
        "method": "coop",
        "images": len(draw.train),
        "epochs": epochs,
        "views": views,
        "batch": ours.config.batch_size,
        "extraction_seconds": round(extraction, 3),
        "epoch_seconds": round(training / epochs, 4),
        "straightforward_epoch_seconds": round(slow_epoch, 3),
        "epoch_ratio": round(slow_epoch / (training / epochs), 1),
        "end_to_end_ratio": round(slow_epoch * epochs / (extraction + training), 1),
    }


def _method(backbone: Backbone, images: ImageSet, epochs: int) -> Method:
    kind = get_method("coop")
    config, _ = resolve_config(kind, backbone.name, epochs=epochs)
    return kind(config, Task(backbone, images.classes, template_descriptions(images.classes)))


def _straightforward(method: Method, data: ImageData, images: tuple, epochs: int) -> float:
    """Seconds per epoch of the same updates without any saving."""
    config, backbone = method.config, method.backbone
    optimizer = make_optimizer(method, config)
    started = time.perf_counter()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=epoch_generator(SEED, epoch))
        for step in range(data.steps_per_epoch(config.batch_size)):
            rows = order[step * config.batch_size : (step + 1) * config.batch_size]
            pixels = view_pixels(backbone, [images[i] for i in rows.tolist()], config.augmentation, epoch, SEED)
            with torch.no_grad():
                features = functional.normalize(backbone.encode_images(pixels), dim=-1)
            logits = backbone.logit_scale * features @ _padded_texts(method).T
            optimizer.zero_grad()
            functional.cross_entropy(logits, data.labels[rows]).backward()
            optimizer.step()
    return (time.perf_counter() - started) / epochs


def _padded_texts(method: Method) -> Tensor:
    """Class features with every prompt padded to the full length, the padding masked."""
    embeds, mask = method.get_submodule("context").prompts()  # type: ignore[operator]
    missing = TEXT_LENGTH - embeds.shape[1]
    embeds, mask = functional.pad(embeds, (0, 0, 0, missing)), functional.pad(mask, (0, missing))
    return functional.normalize(method.backbone.encode_text(embeds, mask), dim=-1)


if __name__ == "__main__":
    main()
