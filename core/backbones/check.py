"""Checks that a backbone on this machine is whole and computes what it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.backbones.catalogue import CONFIG_FILE, default_home, find_folder, read_record
from core.errors import InvalidInput, PromptoscopeError

if TYPE_CHECKING:
    from core.backbones.open_clip_adapter import OpenClipBackbone

SENTENCE = "a photo of a normal chest x-ray."  # the one a tokenizer is tried with when it is opened
TOLERANCE = 1e-4  # largest accepted difference of features whose size is of the order of 1
Row = dict[str, str]


def check_backbone(name: str = "embedded", home: Path | None = None) -> list[Row]:
    """One row a check: {check, status ("pass", "warn" or "fail"), message, fix}. Stops at the first that fails.

    Checks the files, the weights against their recorded checksum, loading, the tokenizer, one forward pass of each
    tower, and that texts cut to their real length give what open_clip gives at full length.
    """
    home = default_home(home)
    rows: list[Row] = []
    loaded: list[OpenClipBackbone] = []

    def load() -> str:
        from core.backbones.loading import load_backbone

        loaded.append(load_backbone(name, device="cpu", precision="fp32", home=home))
        return f"loaded {loaded[0].name}, {loaded[0].image_layers} image and {loaded[0].text_layers} text layers"

    steps: list[tuple[str, Callable[[], str]]] = [
        ("files", lambda: _check_files(name, home)),
        ("checksum", lambda: _check_checksum(name, home)),
        ("loading", load),
        ("tokenizer", lambda: _check_tokenizer(loaded[0])),
        ("forward pass", lambda: _check_forward(loaded[0])),
        ("cut texts", lambda: _check_cut_texts(loaded[0])),
    ]
    for title, step in steps:
        rows.append(_run(title, step))
        if rows[-1]["status"] == "fail":
            break
    return rows


def _run(title: str, step: Callable[[], str]) -> Row:
    try:
        message = step()
    except PromptoscopeError as error:
        found = f"{error.expected}; {error.found}" if error.found else error.expected
        return {"check": title, "status": "fail", "message": found, "fix": error.remedy}
    except Exception as error:  # a check that breaks has found damage, too
        lines = str(error).strip().splitlines()
        found = f"it stopped with {type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")
        return {"check": title, "status": "fail", "message": found, "fix": "Fetch or copy the folder again."}
    status = "warn" if message.startswith("no ") else "pass"
    return {"check": title, "status": status, "message": message, "fix": ""}


def _check_files(name: str, home: Path) -> str:
    from core.backbones.loading import find_weights, read_config, read_known_classes

    _, folder = find_folder(name, home)
    read_config(folder)
    read_known_classes(folder)
    weights = find_weights(folder)
    return f"{CONFIG_FILE} and {weights.name} are in {folder}"


def _check_checksum(name: str, home: Path) -> str:
    from core.backbones.loading import check_checksum, file_checksum, find_weights

    _, folder = find_folder(name, home)
    checksum = file_checksum(find_weights(folder), home)
    check_checksum(folder, checksum)
    recorded = read_record(folder).get("sha256")
    return f"{checksum[:12]}... as recorded" if recorded else f"no checksum is recorded; it is {checksum[:12]}..."


def _check_tokenizer(backbone: OpenClipBackbone) -> str:
    found = backbone.tokenizer.decode(backbone.tokenizer.encode([SENTENCE])[0])
    if _letters(found) != _letters(SENTENCE):
        raise InvalidInput(
            f"'{SENTENCE}' must come back from the tokenizer", f"found '{found}'", "Fetch the backbone again."
        )
    return f"'{SENTENCE}' has {backbone.count_tokens([SENTENCE])[0]} tokens and comes back whole"


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _check_forward(backbone: OpenClipBackbone) -> str:
    import torch

    size = backbone.preprocessing.size
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    image, text = backbone.encode_images_frozen(pixels), backbone.encode_texts([SENTENCE])
    if image.shape != text.shape or not (image.isfinite().all() and text.isfinite().all()):
        raise InvalidInput(
            "Both towers must give finite features of one width",
            f"found {tuple(image.shape)} and {tuple(text.shape)}",
            "The weights are damaged: fetch the backbone again.",
        )
    return f"both towers give {backbone.joint_width} finite numbers"


def _check_cut_texts(backbone: OpenClipBackbone) -> str:
    import torch

    found = backbone.tokenize([SENTENCE])
    ids = torch.full((1, backbone.context_length), backbone.tokenizer.pad_id)
    ids[:, : found.ids.shape[1]] = found.ids
    with torch.inference_mode():
        full = backbone.model.encode_text(ids)
    difference = float((full - backbone.encode_texts([SENTENCE])).abs().max())
    if difference > TOLERANCE * max(1.0, float(full.abs().max())):
        raise InvalidInput(
            "A text cut to its length must give what it gives at full length",
            f"they differ by {difference:.1e}",
            "Report this backbone: its text tower reads its padding.",
        )
    return f"texts cut to their length agree with full length to {difference:.0e}"
