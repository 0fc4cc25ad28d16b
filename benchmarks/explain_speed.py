"""How long the first answer of an explanation takes, against the one pass that it cannot do without.

    python -m benchmarks.explain_speed [--json] [--backbone embedded] [--method coop] [--classes 4] [--repeats 10]

The limit: one open pass, and one way back through its last block for one class. The first answer: that pass, maps of
all classes by each explainer that reads the last block alone, the attention map and rollout, and the shares of all
layers. `relevance` is one class's map through all blocks, which costs a second pass. Medians on a drawn picture, after
one unmeasured round; the learned values are those a method starts with, since speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

if not __package__:  # called by its path, so that the folder above is not searched
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.explain.attention import layer_shares
from core.explain.captured import Captured, capture
from core.explain.registry import explainer_names, get_explainer
from core.tuning.classifier import Classifier
from core.tuning.contract import Task
from core.tuning.registry import get_method

QUICK = tuple(name for name in explainer_names() if get_explainer(name).cost == "last block")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--backbone", default="embedded", help="a name or a folder")
    parser.add_argument("--method", default="coop", help="how images and texts are read")
    parser.add_argument("--classes", type=int, default=4, help="classes that get a map")
    parser.add_argument("--repeats", type=int, default=10, help="measured rounds")
    asked = parser.parse_args()
    found = measure(build(asked.backbone, asked.method, asked.classes), asked.repeats)
    print(json.dumps(found) if asked.json else "\n".join(f"{name:24}{value}" for name, value in found.items()))


def build(backbone_name: str, method: str, classes: int) -> Classifier:
    """A method with its starting values for so many classes."""
    backbone, kind = load_backbone(backbone_name), get_method(method)
    names = tuple(f"finding {index}" for index in range(classes))
    descriptions = DescriptionSet({name: (f"a scan that shows {name}.",) for name in names}, "benchmark")
    return Classifier(kind(kind.Config(), Task(backbone, names, descriptions)), {"temperature": 1.0}, Path("model"))


def measure(classifier: Classifier, repeats: int) -> dict[str, Any]:
    """Median seconds and their ratio, with the machine they were taken on."""
    size = classifier.backbone.preprocessing.size
    noise = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    pixels = classifier.backbone.preprocess(Image.fromarray(noise))[None].to(classifier.backbone.device)

    def limit() -> None:
        capture(classifier, pixels).last_gradients([0])

    def first() -> Captured:
        return first_answer(classifier, pixels)

    def relevance() -> None:
        get_explainer("relevance")().map_set(capture(classifier, pixels, "all"), [0])

    seconds = _medians({"limit_s": limit, "first_answer_s": first, "relevance_s": relevance}, repeats)
    return {
        "device": _device(classifier.backbone.device),
        "threads": torch.get_num_threads(),
        "backbone": classifier.backbone.name,
        "classes": len(classifier.classes),
        **{name: round(value, 4) for name, value in seconds.items()},
        "ratio": round(seconds["first_answer_s"] / seconds["limit_s"], 3),
    }


def first_answer(classifier: Classifier, pixels: torch.Tensor) -> Captured:
    """Every class's map by every explainer of the last block, and all attention."""
    captured = capture(classifier, pixels)
    for name in QUICK:
        get_explainer(name)().map_set(captured, range(len(classifier.classes)))
    layer_shares(captured.attention)
    return captured


def _medians(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each, taken in turns so that a busy moment meets all alike; the first round is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
