"""A trained model on disk: learned tensors, everything needed to rebuild around them, and a card for people."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from core.disk import told_when_full
from core.errors import NotFound, UnreadableSource
from core.evaluation.calibration import TEMPERATURES
from core.scratch import scratch_folder
from core.tuning.model_folder import CARD, CONFIG, DRAFT, WEIGHTS, weights_checksum
from core.tuning.recipe import recipe_sentence
from core.tuning.seen import Seen, write_seen

FORMAT = 1
NEEDED = (
    *("weights_sha256", "method", "backbone", "backbone_checksum", "classes", "descriptions"),
    *("modality", "seed", "options", "temperature"),
)
"""What a model is rebuilt from."""
ROUNDING = 1e-6
DISCLAIMER = "For research use only. Not for use in diagnostic procedures."


def save_artifact(
    folder: Path, card: Mapping[str, Any], tensors: Mapping[str, Tensor], seen: Seen | None = None
) -> None:
    """Write a model folder in one move; an existing one of the same name is replaced."""
    with told_when_full(), scratch_folder(folder.parent, DRAFT) as draft:
        # a scratch folder is private; a model folder follows the umask like any other
        draft.chmod(0o755 & ~_umask())
        save_file({name: value.clone() for name, value in tensors.items()}, draft / WEIGHTS)
        if seen is not None:
            write_seen(draft, seen)
        config = {"format": FORMAT, "weights_sha256": weights_checksum(draft), **card}
        (draft / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (draft / CARD).write_text(model_card(card), "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(draft, folder)


def read_artifact(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the learned tensors of a model folder. Raises NotFound or UnreadableSource."""
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise NotFound(
            f"A model folder with {CONFIG} and {WEIGHTS}",
            f"'{folder}' has no {' and no '.join(missing)}",
            "Give the folder that training wrote.",
        )
    try:
        card = dict(json.loads((folder / CONFIG).read_text("utf-8")))
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors raises a class of its own for damaged files
        raise damaged(folder, str(error)) from None
    if card.get("format") != FORMAT:
        raise UnreadableSource(
            f"A model folder of format {FORMAT}",
            f"'{folder.name}' has format {card.get('format')}",
            "Use the version of Promptoscope that wrote it.",
        )
    lacking = [name for name in NEEDED if name not in card]
    if lacking:
        raise damaged(folder, f"{CONFIG} lacks {', '.join(lacking)}")
    named = [*(card[name] for name in ("method", "backbone", "backbone_checksum")), *_names(card["classes"])]
    if not all(isinstance(each, str) for each in named):
        raise damaged(folder, f"method, backbone and classes in {CONFIG} must be names")
    if card["weights_sha256"] != weights_checksum(folder):
        raise damaged(folder, f"{WEIGHTS} is not the file that {CONFIG} was written for")
    _check_temperature(folder, card["temperature"])
    _check_tensors(folder, tensors)
    return card, tensors


def _names(classes: Any) -> list[Any]:
    """The class names of a card; None where it holds none."""
    return classes if isinstance(classes, list) and classes else [None]


def _check_temperature(folder: Path, value: Any) -> None:
    """Raises UnreadableSource for a temperature that calibration cannot have given."""
    lowest, highest = TEMPERATURES
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # written so that not-a-number is outside as well
    if not (is_number and lowest * (1 - ROUNDING) <= value <= highest * (1 + ROUNDING)):
        shown = f"{value:g}" if isinstance(value, float) else f"{value!r:.40}"
        raise damaged(folder, f"its temperature is {shown}; one lies between {lowest:g} and {highest:g}")


def _check_tensors(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raises UnreadableSource, naming them, for learned tensors with values that are not finite."""
    wrong = [name for name, value in sorted(tensors.items()) if not bool(value.isfinite().all())]
    if wrong:
        raise damaged(folder, f"values that are not finite numbers in {', '.join(wrong)}")


def damaged(folder: Path, why: str) -> UnreadableSource:
    """The error for a model folder whose files do not hold what training wrote."""
    return UnreadableSource("A readable model folder", f"'{folder.name}' is damaged ({why})", "Train or copy it again.")


def model_card(card: Mapping[str, Any]) -> str:
    """The card as Markdown with a YAML head, written from the run itself."""
    metrics = "\n".join(_metric_line(card, name, value) for name, value in card["metrics"].items())
    options = "\n".join(f"- `{name}` = {value!r}" for name, value in card["options"].items())
    notes = "\n".join(f"- {note}" for note in card["notes"]) or "- none"
    recipe = f"{recipe_sentence(card['recipe'])}\n" if card.get("recipe") else ""
    calibrated = f"temperature {card['temperature']:.3f}" if card["calibrated"] else "not calibrated"
    return f"""---
library_name: promptoscope
tags: [{card["method"]}, image-classification, few-shot]
---

# {card["title"]} on {card["image_set"]["name"]}

{DISCLAIMER}

Method `{card["method"]}` (variant {card["variant"]}) on the backbone `{card["backbone"]}`, trained with
{card["n_train"]} images, seed {card["seed"]}; {card["n_val"]} validation images; measured on {card["n_test"]} test
images.
{recipe}Classes, in the order of the scores: {", ".join(card["classes"])}. Probabilities: {calibrated}.
Descriptions: {card["descriptions"]["source"]}.

| metric | value | 95 % interval of this model | made from |
|---|---|---|---|
{metrics}

{_calibration(card)}
## Leakage and what the encoder knew

{_honesty(card)}

## Notes

{notes}

## Options

{options}
"""


def _metric_line(card: Mapping[str, Any], name: str, value: float | None) -> str:
    own = card.get("intervals", {}).get(name) or {}
    between = "-" if own.get("low") is None else f"{own['low']:.4f} to {own['high']:.4f}"
    return f"| {name} | {_number(value)} | {between} | {own.get('interval', '-')} |"


def _calibration(card: Mapping[str, Any]) -> str:
    """A section on the probabilities; empty for models trained before they were measured."""
    measured = card.get("calibration", {}).get("measured")
    if not measured:
        return ""
    skill = f" (skill {measured['brier_skill']:.2f})" if measured["brier_skill"] is not None else ""
    return f"""## Calibration

{measured["sentence"]} Brier score {measured["brier"]:.4f}{skill}, log loss {measured["log_loss"]:.4f}; the test part
itself would choose the temperature {measured["test_temperature"]:.3f}.
{_sets(card["calibration"].get("sets"))}"""


def _sets(sets: Mapping[str, Any] | None) -> str:
    """A paragraph and a table on prediction sets; empty where none were calibrated."""
    if not sets:
        return ""
    measured = (sets.get("measured") or {}).get("sets")
    if not measured:
        return f"""
{sets["sentence"]}
"""
    rows = "\n".join(_set_line(row) for row in measured["per_class"])
    return f"""
{sets["sentence"]}

| class | test images | sets with the true class | 95 % (Wilson) | classes in a set |
|---|---|---|---|---|
{rows}
"""


def _set_line(row: Mapping[str, Any]) -> str:
    between = "-" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
    return f"| {row['class']} | {row['n']} | {_number(row['coverage'])} | {between} | {_number(row['size'])} |"


def _honesty(card: Mapping[str, Any]) -> str:
    leakage, known = card.get("leakage"), card.get("known_classes")
    lines = [leakage["sentence"] if leakage else "Leakage was not counted."]
    lines += (
        [f"- {title}: {_count(leakage[kind])}" for kind, title in _LEAKS.items() if kind in leakage] if leakage else []
    )
    named = ", ".join(known) if known else "none of these classes"
    return "\n".join([*lines, "", f"Learned from labelled images by the backbone's text side: {named}."])


_LEAKS = {
    "exact_copies": "exact copies",
    "near_duplicates": "near duplicates",
    "shared_groups": "of a group (patient) on both sides",
    "shared_names": "named like one patient's or photograph's images on the other side",
}


def _count(count: Mapping[str, int]) -> str:
    if not count["of"]:
        return "not known for any test image"
    return f"{count['test_images']} of {count['of']} test images ({count['by_drawn']} by images this run used)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
