"""From a name or folder to a backbone that is ready to use. Reads local files only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from open_clip.factory import load_checkpoint
from open_clip.model import CLIP, CustomTextCLIP
from torch import nn

from core.backbones.catalogue import CONFIG_FILE, RECORD_FILE, WEIGHTS_FILE, default_home, find_folder, read_record
from core.backbones.contract import Preprocessing
from core.backbones.device import choose_device, choose_precision
from core.backbones.memory import recall, remember
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.backbones.tokenizer import Tokenizer
from core.errors import InvalidInput
from core.settings import Settings

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load_backbone(
    name_or_path: str | Path = "embedded",
    *,
    device: str = "auto",
    precision: str = "auto",
    home: Path | None = None,
) -> OpenClipBackbone:
    """The backbone of that name, on its device, frozen.

    name_or_path: a catalogue name ("embedded" needs nothing; the others must have been fetched), `hf-hub:OWNER/NAME`
    once fetched, or a folder in open_clip's format, with or without `local-dir:`. A bare open_clip architecture name
    is no backbone: without weights it would be noise. device, precision: "auto" takes the setting of that name, and
    without one what is best here. home: where fetched backbones and remembered facts lie.
    Raises NotFound, Unavailable, or InvalidInput for a folder that cannot be used.
    """
    home, settings = default_home(home), Settings()
    device = settings.device if device == "auto" else device
    precision = settings.precision if precision == "auto" else precision
    name, folder = find_folder(str(name_or_path), home)
    config = read_config(folder)
    weights = find_weights(folder)
    checksum = file_checksum(weights, home)
    check_checksum(folder, checksum)
    chosen = choose_device(device)
    model = build_model(folder, config["model_cfg"])
    _load_weights(model, weights)
    return OpenClipBackbone(
        model,
        Tokenizer(folder, config["model_cfg"]["text_cfg"]),
        read_preprocessing(config, model),
        name=name,
        checksum=checksum,
        device=chosen,
        precision=choose_precision(precision, chosen),
        known_classes=read_known_classes(folder),
    )


def read_known_classes(folder: Path) -> tuple[str, ...]:
    """Class names that the folder's alignment was trained on, from `captions.json`; empty without that file."""
    file = folder / "captions.json"
    if not file.is_file():
        return ()
    sets = json.loads(file.read_text("utf-8"))["sets"]
    return tuple(name for one in sets.values() for name in one["classes"])


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's open_clip_config.json. Raises InvalidInput if it is not one."""
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        parts = {"embed_dim", "vision_cfg", "text_cfg"}
        complete = parts <= set(config["model_cfg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad_config(file, f"it could not be read ({type(error).__name__})") from error
    if not complete:
        raise _bad_config(file, "parts are missing")
    return config


def _bad_config(file: Path, found: str) -> InvalidInput:
    return InvalidInput(
        f"{file} must hold model_cfg with embed_dim, vision_cfg and text_cfg",
        found,
        "Fetch or copy the folder again.",
    )


def find_weights(folder: Path) -> Path:
    """The folder's safetensors file. Raises InvalidInput: pickles are converted by `backbones fetch` only."""
    preferred = folder / WEIGHTS_FILE
    if preferred.is_file():
        return preferred
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    raise InvalidInput(
        f"A backbone folder must hold its weights as {WEIGHTS_FILE}",
        f"{folder} holds {len(found)} safetensors files of other names",
        "Fetch the backbone with `promptoscope backbones fetch`, which converts other formats once.",
    )


def build_model(folder: Path, model_config: dict[str, Any]) -> nn.Module:
    """The open_clip model of a configuration, with its start weights. No hub name in it is ever asked for.

    The global random state is left as it was.
    """
    config = {key: value for key, value in model_config.items() if key != "custom_text"}
    config["text_cfg"], config["vision_cfg"] = dict(config["text_cfg"]), dict(config["vision_cfg"])
    if "multimodal_cfg" in config:
        raise InvalidInput("A backbone must be a dual encoder", "found a CoCa model", "Choose another backbone.")
    custom_text = bool(model_config.get("custom_text"))
    if config["text_cfg"].get("hf_model_name"):
        custom_text = True
        _make_text_local(folder, config["text_cfg"])
    if config["vision_cfg"].get("timm_model_name"):
        config["vision_cfg"]["timm_model_pretrained"] = False
    with torch.random.fork_rng(devices=[]):
        return (CustomTextCLIP if custom_text else CLIP)(**config)


def _make_text_local(folder: Path, text_config: dict[str, Any]) -> None:
    if not (folder / "config.json").is_file():
        raise InvalidInput(
            f"The backbone folder must hold its text model's config.json: {folder}",
            "found none",
            "Fetch the backbone again or copy that file into the folder.",
        )
    text_config["hf_model_name"] = text_config["hf_tokenizer_name"] = str(folder.resolve())
    text_config["hf_model_pretrained"] = False


def _load_weights(model: Any, weights: Path) -> None:
    try:
        load_checkpoint(model, str(weights), strict=True)
    except (RuntimeError, KeyError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise InvalidInput(
            f"The weights in {weights} must fit the architecture in {CONFIG_FILE}",
            first,
            "Fetch or copy the folder again.",
        ) from error


def check_checksum(folder: Path, checksum: str) -> None:
    """Raise InvalidInput where the weights are not those that were written down when the folder was made."""
    recorded = read_record(folder).get("sha256")
    if recorded is not None and recorded != checksum:
        raise InvalidInput(
            f"The weights in {folder} must have the checksum in its {RECORD_FILE} ({recorded[:12]}...)",
            f"found {checksum[:12]}...",
            "The file is damaged or was exchanged: fetch or copy the folder again.",
        )


def read_preprocessing(config: dict[str, Any], model: Any) -> Preprocessing:
    """The recipe from picture to tensor. Raises InvalidInput for one we do not offer."""
    given = config.get("preprocess_cfg", {})
    height, width = model.visual.image_size
    resize, interpolation = given.get("resize_mode") or "shortest", given.get("interpolation") or "bicubic"
    if height != width or resize not in ("shortest", "squash") or interpolation not in ("bicubic", "bilinear"):
        raise InvalidInput(
            "Pictures must be square, resized by 'shortest' or 'squash' with bicubic or bilinear interpolation",
            f"the configuration says {height} x {width}, '{resize}', '{interpolation}'",
            "Choose another backbone.",
        )
    (m0, m1, m2), (s0, s1, s2) = given.get("mean") or CLIP_MEAN, given.get("std") or CLIP_STD
    return Preprocessing(height, (m0, m1, m2), (s0, s1, s2), interpolation, resize)


def file_checksum(file: Path, home: Path) -> str:
    """SHA-256 of a file, hex. Remembered in the home folder while path, size and time of change stay the same."""
    stat = file.stat()
    key = f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    memory = home / "cache" / "checksums.json"
    known = recall(memory, key)
    if isinstance(known, str):
        return known
    with file.open("rb") as source:
        checksum = hashlib.file_digest(source, "sha256").hexdigest()
    remember(memory, key, checksum)
    return checksum
