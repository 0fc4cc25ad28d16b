"""Things that tests of every part build: kept small, seeded, and made once a session."""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.backbones.open_clip_adapter import OpenClipBackbone

TOWERS = ("timm-bert", "timm-causal", "clip-bert", "clip-causal")
"""The four combinations of image tower and text tower."""


@cache
def session_folder() -> Path:
    """A folder that lives as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="promptoscope-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def tiny_backbone_folder(kind: str = "timm-bert") -> Path:
    """The folder of a backbone with seeded random weights: 3 to 6 layers of width 32 or 64, 64 px.

    kind: one of TOWERS, or "timm-bert-mean", "timm-bert-pooler" for the other poolers of a BERT tower.
    """
    from core.backbones.random_folder import build_random_backbone_folder

    return build_random_backbone_folder(session_folder() / "backbones" / kind, layout=f"tiny-{kind}", seed=5)


@cache
def tiny_backbone(kind: str = "timm-bert") -> OpenClipBackbone:
    """That backbone, loaded on the CPU in fp32. Shared by all tests of the process: leave it as it is."""
    from core.backbones import load_backbone

    return load_backbone(tiny_backbone_folder(kind), device="cpu", precision="fp32", home=session_folder() / "home")


def timm_folder(folder: Path, architecture: str = "test_vit", img_size: int | None = None, **changes: object) -> Path:
    """A folder of a small timm model with seeded random weights. changes: of its config.json."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sized = {"img_size": img_size} if img_size else {}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = timm.create_model(architecture, num_classes=0, **sized)
    about = {"input_size": list(model.pretrained_cfg["input_size"]), "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
    config = {"architecture": architecture, "pretrained_cfg": about, "model_args": sized, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


@cache
def tiny_encoder_folder() -> Path:
    """The folder of a vision transformer of timm for pictures of 64 px."""
    return timm_folder(session_folder() / "encoder", img_size=64)


@cache
def embedded_backbone() -> OpenClipBackbone:
    """The embedded backbone on the CPU in fp32, shared as well."""
    from core.backbones import load_backbone

    return load_backbone("embedded", device="cpu", precision="fp32", home=session_folder() / "home")


EXAMPLE_METHOD = "class_mean"
EXAMPLE_FOLDER = Path(__file__).parent / "core" / "methods" / "example_method"
"""Holds the one file of the how-to page on adding a method."""


@contextmanager
def example_method() -> Iterator[str]:
    """The example's name, while its file stands beside the project's methods; afterwards it is as if it never had."""
    import core.methods
    from core.tuning.registry import get_method

    core.methods.__path__.append(str(EXAMPLE_FOLDER))
    try:
        yield EXAMPLE_METHOD
    finally:
        core.methods.__path__.remove(str(EXAMPLE_FOLDER))
        get_method.cache_clear()
        sys.modules.pop(f"core.methods.{EXAMPLE_METHOD}", None)
        vars(core.methods).pop(EXAMPLE_METHOD, None)


def short_backbone(home: Path, context_length: int) -> Path:
    """The embedded backbone as if it were BiomedCLIP, fetched into a home, and its text tower read few tokens."""
    from core.backbones.catalogue import CONFIG_FILE, EMBEDDED_FOLDER

    folder = home / "backbones" / "biomedclip"
    folder.mkdir(parents=True)
    for file in EMBEDDED_FOLDER.iterdir():
        if file.name not in ("backbone.json", CONFIG_FILE):
            (folder / file.name).symlink_to(file)
    config = json.loads((EMBEDDED_FOLDER / CONFIG_FILE).read_text())
    config["model_cfg"]["text_cfg"]["context_length"] = context_length
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return folder
