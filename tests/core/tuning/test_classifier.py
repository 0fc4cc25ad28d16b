"""What a model folder must hold before it answers: without learned tensors that fit there is no prediction."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core import load_model
from core.errors import BackboneMismatch, ClassMismatch, InvalidInput, NotFound, PromptoscopeError, UnreadableSource
from core.images.image_set import ImageSet
from core.tuning.model_folder import CONFIG, WEIGHTS, weights_checksum
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import CLASSES, quick_train

BOTH = "A model folder with adapter_config.json and adapter_model.safetensors"


@pytest.fixture(scope="module")
def trained(disc_set: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained model: leave it as it is."""
    home = tmp_path_factory.mktemp("home")
    return Path(quick_train(disc_set, "coop", home, options={"epochs": 1}).record["model"])


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def refusal(kind: type[PromptoscopeError], folder: Path, **more: Any) -> str:
    """The sentence with which loading is refused."""
    with pytest.raises(PromptoscopeError) as caught:
        load_model(folder, **{"backbone": tiny_backbone()} | more)
    assert type(caught.value) is kind
    return caught.value.sentence


def rewrite_card(folder: Path, **values: Any) -> None:
    card = json.loads((folder / CONFIG).read_text("utf-8")) | values
    (folder / CONFIG).write_text(json.dumps(card), "utf-8")


def test_a_whole_folder_is_loaded(folder: Path, disc_set: ImageSet) -> None:
    model = load_model(folder, backbone=tiny_backbone(), classes=CLASSES)
    assert model.classes == CLASSES
    (row,) = model.predict([disc_set.part("test")[0].path])
    assert row["model"] == str(folder.resolve())
    assert sum(row["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ((WEIGHTS,), f"has no {WEIGHTS}"),
        ((CONFIG,), f"has no {CONFIG}"),
        ((CONFIG, WEIGHTS), f"has no {CONFIG} and no {WEIGHTS}"),
    ],
)
def test_a_folder_without_learned_tensors_or_card_is_refused(
    folder: Path, missing: tuple[str, ...], found: str
) -> None:
    for name in missing:
        (folder / name).unlink()
    expected = f"{BOTH}; '{folder.resolve()}' {found}. Give the folder that training wrote."
    assert refusal(NotFound, folder) == expected


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    nowhere = tmp_path.resolve() / "none"
    expected = f"{BOTH}; '{nowhere}' has no {CONFIG} and no {WEIGHTS}. Give the folder that training wrote."
    assert refusal(NotFound, nowhere) == expected


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        pytest.param(WEIGHTS, lambda content: content[:-8], id="weights cut short"),
        pytest.param(WEIGHTS, lambda content: b"", id="weights empty"),
        pytest.param(WEIGHTS, lambda content: b"no weights at all", id="weights of another format"),
        pytest.param(CONFIG, lambda content: content[:-8], id="card cut short"),
    ],
)
def test_a_damaged_folder_is_refused(folder: Path, name: str, spoil: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(spoil((folder / name).read_bytes()))
    sentence = refusal(UnreadableSource, folder)
    assert re.fullmatch(r"A readable model folder; 'model' is damaged \(.+\)\. Train or copy it again\.", sentence)


@pytest.mark.parametrize("number", [0, 2, None])
def test_a_folder_of_another_format_is_refused(folder: Path, number: int | None) -> None:
    rewrite_card(folder, format=number)
    assert refusal(UnreadableSource, folder) == (
        f"A model folder of format 1; 'model' has format {number}. Use the version of Promptoscope that wrote it."
    )


def test_a_backbone_with_other_weights_is_refused(folder: Path) -> None:
    own, other = tiny_backbone(), tiny_backbone("clip-bert")
    assert refusal(BackboneMismatch, folder, backbone=other) == (
        f"The backbone '{own.name}' with the checksum {own.checksum[:12]}; '{other.name}' has {other.checksum[:12]}. "
        "Load the backbone this model was trained on, or train again."
    )


def test_weights_that_were_exchanged_under_the_backbones_name_are_refused(folder: Path) -> None:
    rewrite_card(folder, backbone_checksum="0" * 64)
    own = tiny_backbone()
    # the backbone is found by the name on the card, and its own weights are what is compared
    assert refusal(BackboneMismatch, folder, backbone=None, device="cpu", precision="fp32") == (
        f"The backbone '{own.name}' with the checksum {'0' * 12}; '{own.name}' has {own.checksum[:12]}. "
        "Load the backbone this model was trained on, or train again."
    )


@pytest.mark.parametrize("counted_on", [CLASSES[::-1], CLASSES[:2], ("benign", "malignant", "normal")])
def test_classes_that_the_caller_does_not_count_on_are_refused(folder: Path, counted_on: tuple[str, ...]) -> None:
    assert refusal(ClassMismatch, folder, classes=counted_on) == (
        f"The classes {', '.join(counted_on)}; the model has bright disc, dark disc, no disc. Choose another model."
    )


def test_tensors_that_are_not_those_of_the_card_are_refused(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    expected = (
        f"A readable model folder; 'model' is damaged ({WEIGHTS} is not the file that {CONFIG} was written for). "
        "Train or copy it again."
    )
    assert refusal(UnreadableSource, folder) == expected


@pytest.mark.parametrize("tensors", [{}, {"context.vectors": torch.ones(2, 32)}])
def test_tensors_that_do_not_fit_the_method_are_refused(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, folder / WEIGHTS)
    rewrite_card(folder, weights_sha256=weights_checksum(folder))
    sentence = refusal(UnreadableSource, folder)
    assert "'model' is damaged (RuntimeError: Error(s) in loading state_dict for CoOp" in sentence


def test_a_card_that_is_none_or_lacks_a_part_is_refused(folder: Path) -> None:
    card = json.loads((folder / CONFIG).read_text("utf-8"))
    (folder / CONFIG).write_text("[]", "utf-8")
    assert "has format None" in refusal(UnreadableSource, folder)
    for part in ("backbone", "backbone_checksum", "classes", "descriptions", "options"):
        (folder / CONFIG).write_text(json.dumps({k: v for k, v in card.items() if k != part}), "utf-8")
        assert f"{CONFIG} lacks {part}" in refusal(UnreadableSource, folder)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("-1", "-1"),
        ("-1.0", "-1"),
        ("0", "0"),
        ("0.0", "0"),
        ("1e-320", "9.99989e-321"),
        ("0.00999", "0.00999"),
        ("100.1", "100.1"),
        ("1e300", "1e+300"),
        ("NaN", "nan"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        ("1e999", "inf"),
        ("1" + "0" * 50, "1" + "0" * 39),
        ("null", "None"),
        ("true", "True"),
        ('"1.0"', "'1.0'"),
        ("[1.0]", "[1.0]"),
    ],
)
def test_a_temperature_that_calibration_never_gives_is_refused(folder: Path, written: str, shown: str) -> None:
    card = json.loads((folder / CONFIG).read_text("utf-8")) | {"temperature": "here"}
    (folder / CONFIG).write_text(json.dumps(card).replace('"here"', written), "utf-8")
    assert refusal(UnreadableSource, folder) == (
        f"A readable model folder; 'model' is damaged (its temperature is {shown}; one lies between 0.01 and 100). "
        "Train or copy it again."
    )


@pytest.mark.parametrize("temperature", [0.01, 1, 100.00000000000004])
def test_the_ends_of_what_calibration_gives_are_loaded(folder: Path, temperature: float) -> None:
    rewrite_card(folder, temperature=temperature)
    assert load_model(folder, backbone=tiny_backbone()).temperature == temperature


def rewrite_weights(folder: Path, name: str, value: float) -> None:
    """Fill a learned tensor with a value, with a card to match."""
    tensors = load_file(folder / WEIGHTS)
    tensors[name].fill_(value)
    tensors[name].view(-1)[::2] *= -1
    save_file(tensors, folder / WEIGHTS)
    rewrite_card(folder, weights_sha256=weights_checksum(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_finite_numbers_are_refused(folder: Path, value: float) -> None:
    rewrite_weights(folder, "context.vectors", value)
    assert refusal(UnreadableSource, folder) == (
        "A readable model folder; 'model' is damaged (values that are not finite numbers in context.vectors). "
        "Train or copy it again."
    )


def test_an_answer_that_is_no_finite_number_is_never_given(disc_set: ImageSet, tmp_path: Path) -> None:
    folder = Path(quick_train(disc_set, "linear_probe", tmp_path).record["model"])
    rewrite_weights(folder, "weight", 3.4e38)
    model = load_model(folder, backbone=tiny_backbone())
    with pytest.raises(InvalidInput) as refused:
        model.predict([image.path for image in disc_set.part("test")[:2]])
    assert refused.value.sentence == (
        "A model's scores are finite numbers; those of 2 of 2 images are not. "
        "Train it again with a smaller learning rate, or copy the model folder again."
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "one"},
        {"seed": 10**40},
        {"classes": "abc"},
        {"classes": []},
        {"classes": [1, 2, 3]},
        {"descriptions": []},
        {"method": ["coop"]},
        {"options": {"learning_rate": float("nan")}},
        {"options": {"learning_rate": 1e400}},
        {"options": {"epochs": float("inf")}},
        {"options": []},
    ],
    ids=str,
)
def test_a_card_with_impossible_values_is_refused_in_a_sentence(folder: Path, wrong: dict[str, Any]) -> None:
    rewrite_card(folder, **wrong)
    with pytest.raises(PromptoscopeError) as caught:
        load_model(folder, backbone=tiny_backbone())
    assert caught.value.sentence.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [("backbone_checksum", 5), ("backbone", ["x"]), ("method", None), ("classes", "ab"),
     ("classes", [1, 2]), ("classes", [])],
)  # fmt: skip
def test_a_card_whose_names_are_none_is_damaged(folder: Path, name: str, value: Any) -> None:
    rewrite_card(folder, **{name: value})
    with pytest.raises(UnreadableSource, match=r"method, backbone and classes in .* must be names"):
        load_model(folder)
