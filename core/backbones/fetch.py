"""Fetching: the only place that talks to a model hub, and the only one that has a pickle opened.

The result is a folder that needs nothing else: configuration made local, tokenizer, safetensors, and a record of what
it is and where it came from.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core.backbones.catalogue import (
    CONFIG_FILE,
    RECORD_FILE,
    WEIGHTS_FILE,
    Entry,
    default_home,
    entry_for,
    fetched_folder,
)
from core.backbones.folder_rules import HUB_NAME
from core.errors import InvalidInput, Unavailable

logger = logging.getLogger(__name__)

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
WEIGHT_FILES = (
    WEIGHTS_FILE,
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
Say = Callable[[str], None]
Found = TypeVar("Found")


class Publisher(Protocol):
    """Where the files of a model come from."""

    def describe(self, hub: str) -> tuple[str | None, str | None]:
        """Revision and licence of owner/name, each None where unknown."""

    def get(self, hub: str, name: str, revision: str | None, into: Path) -> Path | None:
        """One file copied into a folder, or None where owner/name has no such file."""


class ModelHub:
    """The Hugging Face hub."""

    def describe(self, hub: str) -> tuple[str | None, str | None]:
        from huggingface_hub import HfApi

        info = _reach(hub, lambda: HfApi().model_info(hub))
        licence = info.card_data.get("license") if info.card_data else None
        return info.sha, str(licence) if licence else None

    def get(self, hub: str, name: str, revision: str | None, into: Path) -> Path | None:
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        def download() -> Path | None:
            try:
                return Path(huggingface_hub.hf_hub_download(hub, name, revision=revision, local_dir=str(into)))
            except LocalEntryNotFoundError:
                raise  # the hub could not be asked at all
            except EntryNotFoundError:
                return None

        return _reach(hub, download)


@dataclass(frozen=True)
class LocalSource:
    """A folder that already holds the publisher's files, for machines without network.

    The text model's config.json and tokenizer must be in it too.
    """

    folder: Path

    def describe(self, hub: str) -> tuple[str | None, str | None]:
        return None, None

    def get(self, hub: str, name: str, revision: str | None, into: Path) -> Path | None:
        if not (self.folder / name).is_file():
            return None
        into.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(self.folder / name, into / name))


def fetch_backbone(
    name: str,
    home: Path | None = None,
    source: Path | None = None,
    *,
    again: bool = False,
    say: Say = logger.info,
) -> Path:
    """The folder of a backbone under the home folder, fetched if it is not there yet.

    name: a catalogue name or `hf-hub:OWNER/NAME`. source: a folder that holds the publisher's files; None asks the hub.
    again: fetch anew even if it is there. say: is told each step in a sentence.
    Nothing half-finished is left at the final place, and what arrives is loaded once before it is kept.
    Raises NotFound for an unknown name, Unavailable where the hub cannot be reached, InvalidInput for an unfit model.
    """
    entry = entry_for(name)
    if entry.hub is None:
        raise InvalidInput(f"'{entry.name}' ships with Promptoscope", "there is nothing to fetch", "Use it as it is.")
    if not entry.supported:
        raise InvalidInput(f"'{entry.name}' cannot be used here", entry.note, "Choose another backbone.")
    folder = fetched_folder(entry, default_home(home))
    if (folder / RECORD_FILE).is_file() and not again:
        say(f"{entry.name} is already in {folder}.")
        return folder
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        _assemble(entry, entry.hub, LocalSource(Path(source)) if source else ModelHub(), staging, say)
        shutil.rmtree(folder, ignore_errors=True)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    say(f"{entry.name} is ready in {folder}.")
    return folder


def _assemble(entry: Entry, hub: str, publisher: Publisher, staging: Path, say: Say) -> None:
    """Everything the finished folder holds, written into `staging`."""
    raw = staging / "raw"
    raw.mkdir(parents=True)
    say(f"Asking for {hub}.")
    revision, licence = publisher.describe(hub)
    text_hub = None
    if entry.weights == "clip":
        _config_from_clip(_required(publisher, hub, "config.json", revision, raw), staging / CONFIG_FILE)
    else:
        given = _required(publisher, hub, CONFIG_FILE, revision, raw)
        text_hub = _localise_config(given, staging / CONFIG_FILE)
    if text_hub is not None:
        _get_text_files(publisher, hub, revision, text_hub, raw, staging)
    say("Getting the weights; this can take minutes.")
    origin = _get_weights(publisher, hub, revision, raw)
    convert_weights(origin, staging / WEIGHTS_FILE, layout=entry.weights)
    shutil.rmtree(raw)
    say("Loading it once.")
    facts = {"hub": hub, "revision": revision, "licence": licence or entry.licence, "text_hub": text_hub}
    _write_record(entry, staging, {**facts, "weights_from": origin.name})


def _localise_config(given: Path, out: Path) -> str | None:
    """Write the configuration with text names made local; gives the text model's hub name, None without one.

    "." stands for the folder itself, wherever it is moved to.
    """
    try:
        config = json.loads(given.read_text(encoding="utf-8"))
        text_config = config["model_cfg"]["text_cfg"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{CONFIG_FILE} must hold model_cfg.text_cfg", "the publisher's file does not", "Choose another backbone."
        ) from error
    text_hub = text_config.get("hf_model_name")
    if text_hub and not HUB_NAME.holds(text_hub):
        raise InvalidInput(
            f"'hf_model_name' in the publisher's {CONFIG_FILE} must be {HUB_NAME.expected}",
            f"found {str(text_hub)[:80]!r}",
            "Choose another backbone.",
        )
    for key in ("hf_model_name", "hf_tokenizer_name"):
        if text_config.get(key):
            text_config[key] = "."
    if text_hub:
        text_config["hf_model_pretrained"] = False
    out.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return text_hub


def _get_text_files(
    publisher: Publisher, hub: str, revision: str | None, text_hub: str, raw: Path, staging: Path
) -> None:
    """The text model's architecture and the tokenizer: from the model's own place, else from the text model's."""
    config = publisher.get(text_hub, "config.json", None, raw / "text")
    if config is None:
        raise _missing(text_hub, "config.json")
    shutil.copyfile(config, staging / "config.json")
    for place, place_revision, folder in ((hub, revision, raw), (text_hub, None, raw / "text")):
        found = [publisher.get(place, name, place_revision, folder) for name in TOKENIZER_FILES]
        files = [file for file in found if file is not None]
        if any(file.name in ("tokenizer.json", "vocab.txt") for file in files):
            for file in files:
                shutil.copyfile(file, staging / file.name)
            return
    raise _missing(hub, "tokenizer.json")


def _get_weights(publisher: Publisher, hub: str, revision: str | None, raw: Path) -> Path:
    for name in WEIGHT_FILES:
        file = publisher.get(hub, name, revision, raw)
        if file is not None:
            return file
    raise _missing(hub, " or ".join(WEIGHT_FILES))


def _required(publisher: Publisher, hub: str, name: str, revision: str | None, into: Path) -> Path:
    file = publisher.get(hub, name, revision, into)
    if file is None:
        raise _missing(hub, name)
    return file


def _missing(hub: str, name: str) -> InvalidInput:
    return InvalidInput(f"{hub} must offer {name}", "it does not", f"Check the name, or look at the page of {hub}.")


def convert_weights(origin: Path, out: Path, layout: str = "open_clip") -> None:
    """Weights of any accepted form as safetensors under open_clip's names.

    layout: "open_clip" or "clip" (a transformers CLIPModel). A safetensors file already in order is moved as it is;
    all else is rewritten by a process of its own, which reads pickles with weights_only. Raises InvalidInput.
    """
    if layout == "open_clip" and origin.suffix == ".safetensors":
        shutil.move(origin, out)
        return
    command = [sys.executable, "-m", "core.backbones.convert_weights", str(origin), str(out), layout]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if found.returncode != 0 or not out.is_file():
        last = found.stderr.strip().splitlines()[-1:] or [f"exit code {found.returncode}"]
        raise InvalidInput(
            f"{origin.name} must be a file of plain tensors",
            last[0],
            "Choose another backbone, or convert it yourself.",
        )


def _config_from_clip(given: Path, out: Path) -> None:
    """open_clip's configuration of a transformers CLIPModel, from its config.json."""
    from transformers import CLIPConfig

    try:
        clip: Any = CLIPConfig.from_dict(json.loads(given.read_text(encoding="utf-8")))
        model_config = _clip_sizes(clip)
    except Exception as error:  # whatever an odd value makes the library raise
        raise InvalidInput(
            "config.json must describe a CLIP model of transformers",
            f"the publisher's does not ({type(error).__name__})",
            "Choose another backbone.",
        ) from error
    out.write_text(json.dumps({"model_cfg": model_config, "preprocess_cfg": {}}, indent=1), encoding="utf-8")


def _clip_sizes(clip: Any) -> dict[str, Any]:
    image, text = clip.vision_config, clip.text_config
    return {
        "embed_dim": clip.projection_dim,
        "quick_gelu": image.hidden_act == "quick_gelu",
        "vision_cfg": {
            "layers": image.num_hidden_layers,
            "width": image.hidden_size,
            "head_width": image.hidden_size // image.num_attention_heads,
            "mlp_ratio": image.intermediate_size / image.hidden_size,
            "patch_size": image.patch_size,
            "image_size": image.image_size,
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": text.intermediate_size / text.hidden_size,
        },
    }


def _write_record(entry: Entry, folder: Path, facts: dict[str, Any]) -> None:
    """Load the folder once and write down what it is."""
    from core.backbones.loading import load_backbone

    backbone = load_backbone(folder, device="cpu", precision="fp32", home=folder / "probe")
    shutil.rmtree(folder / "probe", ignore_errors=True)
    record = {
        "name": entry.lasting_name,
        **facts,
        "sha256": backbone.checksum,
        "text_kind": backbone.text_kind,
        "image_width": backbone.image_width,
        "text_width": backbone.text_width,
        "joint_width": backbone.joint_width,
        "patch_grid": list(backbone.patch_grid),
        "context_length": backbone.context_length,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _reach(hub: str, ask: Callable[[], Found]) -> Found:
    """What the hub answers. Raises Unavailable where it cannot be reached or refuses."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return ask()
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unavailable(
            f"The model hub must be reachable to fetch {hub}",
            reason,
            "Check the network and the name, or copy a fetched folder from another machine.",
        ) from error
