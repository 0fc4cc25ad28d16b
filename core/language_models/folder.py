"""The folder of a causal language model: found, and judged before a library reads it. No code in it is ever run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.backbones.catalogue import FOLDER_PREFIX, HUB_PREFIX, refuse_folder
from core.backbones.folder_rules import own_file, read_object
from core.backbones.tokenizer_growth import check_growth
from core.errors import InvalidInput, NotFound, Unavailable

CONFIG, TOKENIZER_CONFIG, ANSWERING = "config.json", "tokenizer_config.json", "generation_config.json"
TOKENIZER = "tokenizer.json"
INDEX = "model.safetensors.index.json"
WEIGHTS = "*.safetensors"
FILES = (WEIGHTS, "*.json", "*.jinja", "*.model", "*.txt")
"""What a language model's states depend on: weights, configuration, tokenizer and chat template."""
REFUSED = frozenset({"transformers_weights", "quantization_config", "use_timm_backbone", "backbone", "gguf_file"})
"""Options that lead to other files, other models or other packages."""
ATTENTION = frozenset({None, "eager", "sdpa"})
"""Other names would be looked up on the hub."""
KEPT_FOR_ANSWERS = ("eos_token_id", "bos_token_id", "pad_token_id", "repetition_penalty", "no_repeat_ngram_size")
PARTS = re.compile(r"(^|_)(n|num)_(\w+_)?(layers?|blocks?|experts?)$")
"""Options that say how many parts a model has."""
MOST_PARTS, MOST_EXPERTS = 1000, 100_000
"""Of one kind, and experts of all layers together: the outline of each is made before the weights are counted."""
SPARE = 2
"""How many times the numbers in its files a model may have: parts that are tied are stored once."""


def find_language_model(name: str, *, folders: bool = True) -> Path:
    """The folder of a causal language model.

    name: a folder, or a hub name whose files are in the hub's local cache. folders: whether a folder may be named.
    Raises NotFound, Unavailable, NotAllowed or InvalidInput; loads no weights.
    """
    given = name.strip()
    check_name(given, folders=folders)
    folder = _given_folder(given) if folders else None
    if folder is None:
        folder = _cached(given.removeprefix(HUB_PREFIX))
    _check_causal(folder)
    _check_weights(folder)
    return folder


def check_name(name: str, *, folders: bool) -> None:
    """Raise NotAllowed for a name that can only be a folder, where none may be named. The disk is not looked at."""
    if not folders and not _is_hub_name(name.removeprefix(HUB_PREFIX)):
        raise refuse_folder("language model")


def read_model_config(folder: Path) -> Any:
    """The model's configuration, of a kind that the library itself has. Raises InvalidInput."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if own_file(folder, CONFIG) is None:
        raise unusable(folder, ValueError(f"it holds no {CONFIG}"))
    found = read_object(folder, CONFIG)
    for part in _objects(found):
        _check_part(folder, part, frozenset(CONFIG_MAPPING_NAMES))
        _check_numbers(folder, part)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever an odd value makes the library raise
        raise unusable(folder, error) from error


def check_tokenizer(folder: Path) -> None:
    """Raise InvalidInput for a tokenizer whose settings ask for code or for a file of another place, or whose rules
    lengthen a text beyond measure."""
    if file := own_file(folder, TOKENIZER):
        try:
            check_growth(file)
        except (ValueError, RecursionError) as error:
            raise unusable(folder, error) from error
    if own_file(folder, TOKENIZER_CONFIG) is None:
        return
    for key, value in read_object(folder, TOKENIZER_CONFIG).items():
        if key.endswith("_file") and isinstance(value, str) and os.path.exists(value):
            raise InvalidInput(
                f"'{key}' in {folder / TOKENIZER_CONFIG} must not name a file of another place",
                "it does",
                "Choose another model.",
            )


def answering_options(folder: Path) -> Any:
    """How the model answers: its end tokens and penalties. All other wishes of the folder are left unread."""
    from transformers import GenerationConfig

    found = read_object(folder, ANSWERING) if own_file(folder, ANSWERING) else {}
    kept = {key: found[key] for key in KEPT_FOR_ANSWERS if found.get(key) is not None}
    if "eos_token_id" not in kept:
        kept["eos_token_id"] = getattr(read_model_config(folder), "eos_token_id", None)
    try:
        return GenerationConfig(**kept)
    except Exception as error:  # see read_model_config
        raise unusable(folder, error) from error


def model_files(folder: Path, pattern: str) -> list[Path]:
    """Files of the folder, sorted. Raises InvalidInput for a link that leads out of it."""
    found = [own_file(folder, path.name) for path in sorted(folder.glob(pattern))]
    return [file for file in found if file is not None]


def unusable(folder: Path, error: Exception) -> InvalidInput:
    """The error for a folder that no language model can be loaded from."""
    lines = str(error).strip().splitlines()
    return InvalidInput(
        f"{folder} must hold a causal language model in the format of transformers",
        lines[0][:200] if lines else type(error).__name__,
        "Choose another folder, or copy it again.",
    )


def _given_folder(name: str) -> Path | None:
    try:
        folder = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # no path at all
        return None


def _is_hub_name(name: str) -> bool:
    return re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) is not None


def _cached(name: str) -> Path:
    """The folder of a hub name in the hub's local cache; the hub is not asked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    missing = NotFound("The folder of a language model", f"'{name[:200]}' is none", "Check the path.")
    if not _is_hub_name(name):
        raise missing
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except HFValidationError:
        raise missing from None
    except LocalEntryNotFoundError:
        raise Unavailable(
            f"The language model '{name}' must be on this machine",
            "it is neither a folder nor in the local cache of the model hub",
            f"Run `hf download {name}` on a machine with network, and give the folder it names or copy that here.",
        ) from None


def _check_causal(folder: Path) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    if own_file(folder, "adapter_config.json"):
        raise InvalidInput(
            "A whole language model", f"{folder} holds an adapter of another one", "Merge the two, or choose another."
        )
    config = read_model_config(folder)
    named = config.architectures
    made = [str(name) for name in named] if isinstance(named, list) else []
    if not set(made) & set(CAUSAL.values()):
        raise InvalidInput(
            "A language model that writes text word by word (a causal one)",
            f"{folder} holds a {', '.join(made) or config.model_type}",
            "Choose another one.",
        )


def _check_weights(folder: Path) -> None:
    files = model_files(folder, WEIGHTS)
    if not files:
        raise InvalidInput(
            "A language model's weights come as safetensors", f"none are in {folder}", "Choose or convert another one."
        )
    if own_file(folder, INDEX):
        parts = read_object(folder, INDEX).get("weight_map")
        names = {file.name for file in files}
        if not isinstance(parts, dict) or not all(name in names for name in parts.values() if isinstance(name, str)):
            raise unusable(folder, ValueError(f"{INDEX} names files that are not there"))
        if not all(isinstance(name, str) for name in parts.values()):
            raise unusable(folder, ValueError(f"{INDEX} holds something else than names of files"))
    _check_size(folder, files)


def _check_size(folder: Path, files: list[Path]) -> None:
    """Raise InvalidInput where the configuration asks for a far larger model than the files hold."""
    import torch
    from transformers import AutoModelForCausalLM

    config = read_model_config(folder)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if not isinstance(layers, int) or not 0 < layers <= 1000:
        raise unusable(folder, ValueError(f"{CONFIG} gives {layers!r:.40} layers"))
    try:
        with torch.device("meta"):
            outline = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        asked = sum(value.numel() for value in outline.parameters())
    except Exception as error:  # see read_model_config
        raise unusable(folder, error) from error
    if asked > SPARE * sum(_numbers_in(file) for file in files):
        raise unusable(folder, ValueError(f"{CONFIG} describes {asked} weights, and the files hold fewer"))


def _numbers_in(file: Path) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as parts:
            shapes = [parts.get_slice(name).get_shape() for name in parts.keys()]  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidInput(f"{file} must be a whole safetensors file", str(error)[:160], "Copy it again.") from error
    return sum(_product(shape) for shape in shapes)


def _product(shape: list[int]) -> int:
    found = 1
    for size in shape:
        found *= size
    return found


def _check_numbers(folder: Path, part: dict[str, Any]) -> None:
    """Raise InvalidInput where a part of the configuration asks for more parts than any model has."""
    counts = {key: value for key, value in part.items() if PARTS.search(key) and isinstance(value, int)}
    for key, value in counts.items():
        if value > MOST_PARTS:
            raise unusable(folder, ValueError(f"{CONFIG} gives {value} as '{key}', more than {MOST_PARTS}"))
    layers = max((value for key, value in counts.items() if "expert" not in key), default=1)
    experts = max((value for key, value in counts.items() if "expert" in key), default=0)
    if layers * experts > MOST_EXPERTS:
        raise unusable(folder, ValueError(f"{CONFIG} asks for {experts} experts in each of {layers} layers"))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The object and all objects inside it."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _check_part(folder: Path, part: dict[str, Any], known: frozenset[str]) -> None:
    refused = sorted(key for key in REFUSED & part.keys() if part[key])
    if refused:
        raise InvalidInput(f"{folder / CONFIG} must describe a plain model", f"found '{refused[0]}'", "Choose another.")
    for key, value in part.items():
        if key.strip("_") == "attn_implementation" and (isinstance(value, dict | list) or value not in ATTENTION):
            raise InvalidInput(f"'{key}' in {folder / CONFIG} must be eager or sdpa", f"found {json.dumps(value)[:80]}")
    kind = part.get("model_type")
    if kind is not None and (not isinstance(kind, str) or kind not in known or kind.startswith("timm")):
        raise unusable(folder, ValueError(f"the kind of model {json.dumps(kind)[:80]} is not known"))
