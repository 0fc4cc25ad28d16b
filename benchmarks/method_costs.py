"""What every method costs at the size of two published backbones, for the table in the docs.

    OMP_NUM_THREADS=1 python -m benchmarks.method_costs [--methods coop,vpt] [--out FILE]

The task: four classes, 16 images of each, each class with ten sentences. Weights of the backbones are random and
seeded, since neither sizes nor speed depend on them. Learned numbers are counted on both; seconds are processor seconds
on BiomedCLIP, in float32, of an epoch of 64 images, or of the whole fit where nothing is trained by steps. What is kept
beforehand is not counted. Where a step's work grows with its images, because the image tower is trained or texts are
made for each, steps of one and of three images are timed; the line through both gives that of the method's own batch.

What was measured is put into `benchmarks/method_costs.json` beside what stands there of other methods; `make docs`
makes the table of it.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.backbones.random_folder import build_random_backbone_folder
from core.descriptions.description_set import DescriptionSet
from core.tuning.contract import Method, Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method, method_names
from core.tuning.second_encoder import named_encoder

FILE = Path(__file__).with_suffix(".json")
LAYOUTS = ("clip-vit-b-16", "biomedclip")
TIMED = "biomedclip"
"""Backbones whose sizes are taken, and the one on which methods are timed."""
CLASSES = ("glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain")
SHOTS, SENTENCES, SEED = 16, 10, 7
SMALL_BATCHES = (1, 3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(method_names()), help="names, separated by commas")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--sizes-only", action="store_true", help="count, and leave what was timed before as it is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.methods.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            tower_folder = build_random_backbone_folder(Path(folder) / layout, layout=layout, seed=SEED)
            tower = load_backbone(str(tower_folder), device="cpu", precision="fp32", home=Path(folder) / "home")
            timed = layout == TIMED and not arguments.sizes_only
            for name, found in measured(names, layout, tower, tower_folder, timed):
                print(f"{layout:14} {name:18} {json.dumps(found)}", flush=True)
                write(arguments.out, name, found)
            del tower
            gc.collect()


def write(file: Path, name: str, found: dict[str, Any]) -> None:
    """Put what was found about a method beside what stands in the file."""
    record = json.loads(file.read_text("utf-8")) if file.is_file() else {"methods": {}}
    record |= {"machine": machine(), "torch": torch.__version__.split("+")[0]}
    known = record["methods"].get(name, {})
    learned = known.get("trainable_parameters", {}) | found["trainable_parameters"]
    record["methods"][name] = known | found | {"trainable_parameters": learned}
    file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8")


def machine() -> str:
    """The processor's name, and that one of its cores worked."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()}, one core"


def measured(
    names: list[str], layout: str, tower: Backbone, folder: Path, timed: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(method, what is known of it on this backbone), method by method."""
    for name in names:
        method = built(name, tower, folder)
        found: dict[str, Any] = {"trainable_parameters": {layout: learned_numbers(method)}}
        if timed:
            found |= {"seconds": round(seconds_of(method), 3), "of": "epoch" if method.trains_by_steps else "fit"}
        yield name, found
        del method
        gc.collect()


def learned_numbers(method: Method) -> int:
    """How many numbers are learned, those among them that there are for each training image."""
    images = len(CLASSES) * (1 if method.image_path(method.config) == "trained" else SHOTS)
    data = kept_data(method, [list(range(images))])
    if method.trains_by_steps:
        method.prepare(data)
    else:
        fit(method, data, seed=SEED)
    return method.learned_numbers()


def built(name: str, tower: Backbone, folder: Path) -> Method:
    """The method as it is by default, for the task; the backbone's own folder where it needs an encoder."""
    kind = get_method(name)
    values = {"encoder": str(folder)} if "encoder" in kind.needs else {}
    config = kind.Config.from_values(values).settled(SHOTS * len(CLASSES), len(CLASSES))
    sentences = {c: tuple(f"finding {i} of {c} in a picture." for i in range(SENTENCES)) for c in CLASSES}
    encoder = named_encoder(kind, config, tower.device, None)
    return kind(config, Task(tower, CLASSES, DescriptionSet(sentences, "benchmark"), seed=SEED, encoder=encoder))


def seconds_of(method: Method) -> float:
    """Processor seconds of an epoch, or of the whole fit."""
    images, whole = SHOTS * len(CLASSES), list(range(SHOTS * len(CLASSES)))
    if not method.trains_by_steps:
        data, started = kept_data(method, [whole]), time.process_time()
        fit(method, data, seed=SEED)
        return time.process_time() - started
    own = min(method.config.batch_size, images)
    steps = math.ceil(images / own)
    if method.image_path(method.config) != "trained" and not method.per_image_text:
        return steps * step_seconds(method, own)
    few, more = SMALL_BATCHES
    first = step_seconds(method, few)
    slope = (step_seconds(method, more) - first) / (more - few)
    return steps * first + slope * (images - steps * few)


def step_seconds(method: Method, batch: int) -> float:
    """Processor seconds of a step with so many images, after a first one that is not timed."""
    moments: list[float] = []

    def on_step(step: int, terms: dict[str, float]) -> None:
        moments.append(time.process_time())
        if len(moments) == 3:
            raise _Enough

    # from the loss of the second step to that of the third lies all that a step consists of
    with suppress(_Enough):
        fit(method, kept_data(method, [list(range(batch))] * 3), seed=SEED, on_step=on_step)
    return moments[2] - moments[1]


class _Enough(Exception):
    """All steps that are timed have been made."""


def kept_data(method: Method, batches: list[list[int]]) -> TensorData:
    """The training part as training keeps it: features of all images, or those pictures that the batches have, as far
    as nothing learned reaches.
    """
    generator = torch.Generator().manual_seed(SEED)
    labels = torch.arange(SHOTS * len(CLASSES)) % len(CLASSES)
    if method.image_path(method.config) != "trained":
        kept = torch.randn(len(labels), method.reader.joint_width, generator=generator)
        kept = functional.normalize(kept, dim=-1)
        views = dict.fromkeys(method.extra_views, kept)
        return TensorData(labels, batches, features=kept, unlabelled=kept, views=views)
    images, size = max(map(max, batches)) + 1, method.reader.preprocessing.size
    pixels: Any = torch.randn(images, 3, size, size, generator=generator)
    if (layer := method.steady_layers()) is not None:
        pixels = method.backbone.encode_part(pixels, layer, method.visual_tokens())
    return TensorData(labels[:images], batches, pixels=pixels, views=dict.fromkeys(method.extra_views, pixels))


if __name__ == "__main__":
    main()
