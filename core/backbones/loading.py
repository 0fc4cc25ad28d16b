"""From a name or folder to a backbone that is ready to use. Reads local files only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import timm
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.model import CLIP, CustomTextCLIP
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import BertConfig

from core.backbones.catalogue import (
    CONFIG_FILE,
    RECORD_FILE,
    WEIGHTS_FILE,
    check_record,
    default_home,
    find_folder,
    read_record,
)
from core.backbones.contract import Preprocessing
from core.backbones.device import choose_device, choose_precision
from core.backbones.folder_rules import (
    BERT,
    BERT_KIND,
    FETCH_AGAIN,
    MODEL,
    NEEDED_OF_BERT,
    PREPROCESSING,
    TEXT,
    TEXT_TOWER,
    VISION,
    check_needed,
    check_options,
    own_file,
    read_object,
)
from core.backbones.image_tower import open_image_tower
from core.backbones.memory import recall, remember
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.backbones.text_tower import open_text_tower
from core.backbones.tokenizer import Tokenizer
from core.backbones.weights_file import check_fit, load_weights
from core.errors import InvalidInput, PromptoscopeError
from core.settings import Settings

TEXT_MODEL_FILE = "config.json"
CAPTIONS_FILE, SPECIAL_TOKENS_FILE = "captions.json", "special_tokens_map.json"
LARGEST_SCALE = 1e6
FILLING = frozenset(("normal_", "uniform_", "kaiming_uniform_", "erfinv_", "mul_", "add_", "clamp_"))
"""What architectures call, by method or by function, to draw the weights that a training would start from."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load_backbone(
    name_or_path: str | Path = "embedded",
    *,
    device: str = "auto",
    precision: str = "auto",
    home: Path | None = None,
    folders: bool = True,
) -> OpenClipBackbone:
    """The backbone of that name, on its device, frozen.

    name_or_path: a catalogue name ("embedded" needs nothing; the others must have been fetched), `hf-hub:OWNER/NAME`
    once fetched, or a folder in open_clip's format, with or without `local-dir:`. A bare open_clip architecture name
    is no backbone: without weights it would be noise. device, precision: "auto" takes the setting of that name, and
    without one what is best here. home: where fetched backbones and remembered facts lie. folders: whether a folder
    outside the home may be named. Nothing in a folder is run, and no other place that it names is asked.
    Raises NotFound, Unavailable, NotAllowed, or InvalidInput for a folder that cannot be used.
    """
    home, settings = default_home(home), Settings()
    device = settings.device if device == "auto" else device
    precision = settings.precision if precision == "auto" else precision
    name, folder = find_folder(str(name_or_path), home, folders=folders)
    config = read_config(folder)
    weights = find_weights(folder)
    checksum = file_checksum(weights, home)
    check_checksum(folder, checksum)
    chosen = choose_device(device)
    known_classes = read_known_classes(folder)
    tokenizer = Tokenizer(folder, config["model_cfg"]["text_cfg"])
    model = load_towers(folder, config["model_cfg"], weights)
    _check_vocabulary(folder, tokenizer, open_text_tower(model).words)
    return OpenClipBackbone(
        model,
        tokenizer,
        read_preprocessing(config, model),
        name=name,
        checksum=checksum,
        device=chosen,
        precision=choose_precision(precision, chosen),
        known_classes=known_classes,
    )


def read_known_classes(folder: Path) -> tuple[str, ...]:
    """Class names that the folder's alignment was trained on, from `captions.json`; empty without that file."""
    if own_file(folder, CAPTIONS_FILE) is None:
        return ()
    sets = read_object(folder, CAPTIONS_FILE).get("sets")
    groups: list[Any] = (
        [one.get("classes") for one in sets.values() if isinstance(one, dict)] if isinstance(sets, dict) else [0]
    )
    # a list of names, or names with their sentences
    if not all(isinstance(group, list | dict) and all(map(TEXT.holds, group)) for group in groups):
        raise InvalidInput(
            f"{folder / CAPTIONS_FILE} must hold 'sets', each with its 'classes'", "found something else", FETCH_AGAIN
        )
    return tuple(name for group in groups for name in group)


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's open_clip_config.json, every option of it allowed. Raises InvalidInput if it is not one.

    The other files of the folder that hold settings are checked as well.
    """
    file, config = folder / CONFIG_FILE, read_object(folder, CONFIG_FILE)
    model = config.get("model_cfg")
    if not isinstance(model, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= model.keys():
        raise _bad_config(file, "parts are missing")
    if "multimodal_cfg" in model:
        raise InvalidInput(
            f"A backbone must be a dual encoder: {file}", "found a CoCa model", "Choose another backbone."
        )
    check_options(file, dict.fromkeys(config.keys() - {"model_cfg", "preprocess_cfg"}), {})
    check_options(file, model, MODEL, "model_cfg.")
    check_options(file, model["vision_cfg"], VISION, "model_cfg.vision_cfg.")
    check_options(file, model["text_cfg"], TEXT_TOWER, "model_cfg.text_cfg.")
    prepared = config.setdefault("preprocess_cfg", {})
    if not isinstance(prepared, dict):
        raise InvalidInput(f"'preprocess_cfg' in {file} must be an object", f"found {prepared!r:.80}", FETCH_AGAIN)
    check_options(file, prepared, PREPROCESSING, "preprocess_cfg.")
    if model["text_cfg"].get("hf_model_name"):
        _read_text_config(folder)
    if own_file(folder, SPECIAL_TOKENS_FILE):
        read_object(folder, SPECIAL_TOKENS_FILE)
    return config


def _read_text_config(folder: Path) -> dict[str, Any]:
    """The options of the folder's BERT. Raises InvalidInput where it is none or is not whole."""
    if own_file(folder, TEXT_MODEL_FILE) is None:
        raise InvalidInput(
            f"The backbone folder must hold its text model's config.json: {folder}",
            "found none",
            "Fetch the backbone again or copy that file into the folder.",
        )
    file, found = folder / TEXT_MODEL_FILE, read_object(folder, TEXT_MODEL_FILE)
    check_needed(file, found, NEEDED_OF_BERT)
    check_options(file, found, BERT | BERT_KIND, closed=False)
    return {key: value for key, value in found.items() if key in BERT}


def _bad_config(file: Path, found: str) -> InvalidInput:
    return InvalidInput(
        f"{file} must hold model_cfg with embed_dim, vision_cfg and text_cfg",
        found,
        "Fetch or copy the folder again.",
    )


def find_weights(folder: Path) -> Path:
    """The folder's safetensors file. Raises InvalidInput: pickles are converted by `backbones fetch` only."""
    preferred = own_file(folder, WEIGHTS_FILE)
    if preferred is not None:
        return preferred
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    found = [path for name in names if (path := own_file(folder, name)) is not None]
    if len(found) == 1:
        return found[0]
    raise InvalidInput(
        f"A backbone folder must hold its weights as {WEIGHTS_FILE}",
        f"{folder} holds {len(found)} safetensors files of other names",
        "Fetch the backbone with `promptoscope backbones fetch`, which converts other formats once.",
    )


def load_towers(folder: Path, model_config: dict[str, Any], weights: Path) -> nn.Module:
    """The open_clip model with its weights. Sizes are compared before any memory is taken for them."""
    outline = build_model(folder, model_config, device="meta")
    open_image_tower(outline.visual)
    open_text_tower(outline)
    check_fit(weights, outline)
    model = build_model(folder, model_config)
    load_weights(model, weights)
    scale = float(model.logit_scale.detach().exp())
    if not 0 < scale <= LARGEST_SCALE:
        raise InvalidInput(
            f"'logit_scale' in {weights} must be the logarithm of a factor up to {LARGEST_SCALE:g}",
            f"the factor is {scale:g}",
            FETCH_AGAIN,
        )
    return model


class _Unfilled(TorchFunctionMode):
    """Leaves parameters as they lie in memory: drawing numbers for them takes longer than reading them from a file."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        filled = next(iter((*args, *(kwargs or {}).values())), None)
        if getattr(func, "__name__", "") in FILLING and isinstance(filled, nn.Parameter):
            return filled
        return func(*args, **(kwargs or {}))


def build_model(folder: Path, model_config: dict[str, Any], device: str = "cpu") -> Any:
    """The open_clip model of a configuration. Its parameters hold anything until weights are loaded.

    No hub name in the configuration is ever asked for. device: "meta" gives its outline, without memory for weights.
    The global random state is left as it was. Raises InvalidInput for a configuration that no model can be built from.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device), _Unfilled():
            return _assemble(folder, model_config)
    except PromptoscopeError:
        raise
    except Exception as error:  # sizes that contradict each other end in all kinds of errors
        lines = str(error).strip().splitlines()
        raise InvalidInput(
            f"{folder / CONFIG_FILE} must describe a model that can be built",
            lines[0][:160] if lines else type(error).__name__,
            "Fetch or copy the folder again, or choose another backbone.",
        ) from error


def _assemble(folder: Path, model_config: dict[str, Any]) -> nn.Module:
    config = {key: value for key, value in model_config.items() if key != "custom_text"}
    vision, text = dict(config["vision_cfg"]), dict(config["text_cfg"])
    _check_timm_name(folder, vision)
    if vision.get("timm_model_name"):
        vision["timm_model_pretrained"] = False
    for key in ("tokenizer_kwargs", "tokenizer_mode"):
        text.pop(key, None)
    if not text.get("hf_model_name"):
        kind = CustomTextCLIP if model_config.get("custom_text") else CLIP
        return kind(**config | {"vision_cfg": vision, "text_cfg": text})
    # open_clip looks a text model up by its name; ours is built from the folder and takes the place of a small one
    stand_in = {"context_length": 2, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1}
    model = CustomTextCLIP(**config | {"vision_cfg": vision, "text_cfg": stand_in})
    model.text = _build_bert(folder, text, config["embed_dim"])
    model.context_length, model.vocab_size = model.text.context_length, model.text.vocab_size
    return model


def _build_bert(folder: Path, text: dict[str, Any], width: int) -> HFTextEncoder:
    pooler = text.get("hf_pooler_type", "mean_pooler")
    encoder = HFTextEncoder(
        "",
        output_dim=width,
        config=BertConfig(**_read_text_config(folder)),
        pooler_type=pooler,
        proj_type=text.get("hf_proj_type", "mlp"),
        pretrained=False,
    )
    if pooler != "cls_pooler":
        encoder.transformer.pooler = None
    return encoder


def _check_timm_name(folder: Path, vision: dict[str, Any]) -> None:
    name = vision.get("timm_model_name")
    if name and not timm.is_model(name):
        raise InvalidInput(
            f"'timm_model_name' in {folder / CONFIG_FILE} must be an architecture of the installed timm",
            f"found '{name}'",
            "Choose another backbone.",
        )


def _check_vocabulary(folder: Path, tokenizer: Tokenizer, words: nn.Embedding) -> None:
    if max(tokenizer.largest_id, tokenizer.pad_id) >= words.num_embeddings:
        raise InvalidInput(
            f"The text tower in {folder} must know every token of its tokenizer",
            f"the tokenizer has {tokenizer.largest_id + 1} tokens, the tower {words.num_embeddings}",
            FETCH_AGAIN,
        )


def check_checksum(folder: Path, checksum: str) -> None:
    """Raise InvalidInput where the weights are not those that were written down when the folder was made."""
    check_record(folder)
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
    size = given.get("size") or [height, width]
    size = [size, size] if isinstance(size, int) else size
    if (
        height != width
        or size != [height, width]
        or resize not in ("shortest", "squash")
        or interpolation not in ("bicubic", "bilinear")
    ):
        raise InvalidInput(
            "Pictures must be square, resized by 'shortest' or 'squash' with bicubic or bilinear interpolation",
            f"{CONFIG_FILE} says {size[0]} x {size[1]} for {height} x {width}, '{resize}', '{interpolation}'",
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
