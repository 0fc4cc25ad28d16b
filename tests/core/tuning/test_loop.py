"""The schedule, the optimiser groups and what the loop refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor

import core.tuning
from core import train
from core.backbones.text_company import TextCompany
from core.errors import InvalidInput, InvalidOption
from core.images.image_set import ImageSet
from core.tuning.contract import LoopConfig, Method
from core.tuning.loop import Training, can_share_steps, fit, fit_together, learning_rate
from core.tuning.presets import resolve_config
from core.tuning.recipe import get_recipe
from core.tuning.registry import get_method
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data, data_for

PRESETS = Path(core.tuning.__file__).parent / "presets"


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 1e-5), (1, 0.0025), (2, 0.0024993832), (50, 0.0012892634), (99, 2.4665894e-6)]
)
def test_the_schedule_warms_up_one_epoch_and_then_follows_a_cosine(epoch: int, rate: float) -> None:
    # values computed from the toolbox that the reference trainers use
    assert learning_rate(LoopConfig(epochs=100, learning_rate=0.0025), epoch, 0, 1) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.001), (1, 0.000998458666866564), (39, 1.541333133436018e-6)])
def test_the_schedule_by_step_ends_at_zero(step: int, rate: float) -> None:
    config = LoopConfig(epochs=20, learning_rate=0.001, schedule="cosine_by_step")
    assert learning_rate(config, step // 2, step % 2, 2) == pytest.approx(rate, rel=1e-6)


def test_a_loss_that_is_no_number_ends_the_training_with_a_sentence() -> None:
    method = build("coop", learning_rate=100.0, schedule="constant", epochs=3)
    with torch.no_grad():
        method.context.vectors.fill_(float("nan"))
    with pytest.raises(InvalidInput, match=r"The loss stays a finite number; in epoch 1 .* smaller learning rate"):
        fit(method, clustered_data(), seed=0)


def test_later_sources_of_options_win() -> None:
    coop = get_method("coop")
    plain, _ = resolve_config(coop, "an unknown backbone")
    assert (plain.epochs, plain.learning_rate, plain.augmentation) == (100, 0.002, "crop")
    paper, _ = resolve_config(coop, "an unknown backbone", variant="paper")
    assert (paper.epochs, paper.context_length, paper.augmentation) == (200, 16, "crop_flip")
    mine, _ = resolve_config(coop, "x", variant="paper", options={"epochs": "7"}, views=3)
    assert (mine.epochs, mine.views) == (7, 3)


def test_a_number_of_epochs_puts_an_earlier_rule_for_them_aside() -> None:
    # the preset of this backbone has a budget of updates, the variant has epochs
    maple, _ = resolve_config(get_method("maple"), "embedded", variant="paper")
    assert (maple.updates, maple.epochs, maple.settled(64, 4).epochs) == (None, 5, 5)
    # the variant has a rule by shots, the recipe has epochs
    recipe = get_recipe("coop/biomedcoop-2025/btmri/few-shot")
    coop, _ = resolve_config(get_method("coop"), "embedded", variant="paper", recipe=recipe)
    assert (coop.epochs_by_shots, coop.settled(4, 4).epochs) == (False, 100)


def test_epochs_for_a_method_without_steps_are_named_as_without_effect() -> None:
    _, notes = resolve_config(get_method("zero_shot"), "x", epochs=5)
    assert notes == ["Zero-shot is not trained in steps: the given number of epochs has no effect."]


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidOption, match=r"An option of coop; 'epoch' is none\. Did you mean 'epochs'\?"):
        resolve_config(get_method("coop"), "x", options={"epoch": 3})


def test_an_unknown_method_and_variant_are_answered_with_what_exists() -> None:
    with pytest.raises(InvalidOption, match=r"Did you mean 'coop'\?"):
        get_method("coo")
    with pytest.raises(InvalidOption, match=r"It has: default, paper\."):
        resolve_config(get_method("coop"), "x", variant="mine")


@pytest.mark.parametrize("file", sorted(PRESETS.glob("*/*.toml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_preset_names_a_method_and_options_it_has(file: Path) -> None:
    method = get_method(file.stem)
    config, notes = resolve_config(method, file.parent.name)
    values = tomllib.loads(file.read_text("utf-8"))
    note = values.pop("note", None)
    assert values
    assert values.items() <= config.as_dict().items()
    assert notes == [*([note] if note else []), *method.notes(config)]


def test_the_embedded_backbone_takes_larger_steps_than_the_published_ones() -> None:
    published, _ = resolve_config(get_method("coop"), "biomedclip")
    embedded, _ = resolve_config(get_method("coop"), "embedded")
    assert (published.learning_rate, embedded.learning_rate) == (0.002, 0.05)


@pytest.mark.parametrize(("batch_size", "epochs"), [(4, 7), (32, 50), (128, 100)])
def test_a_budget_of_updates_sets_the_epochs_for_each_batch_size(batch_size: int, epochs: int) -> None:
    # 64 images make 16, 2 and 1 steps an epoch; 100 updates are rounded up to whole epochs
    config = LoopConfig(batch_size=batch_size, updates=100)
    assert config.settled(images=64, classes=4).epochs == epochs


def test_a_run_with_a_budget_of_updates_makes_them(disc_set: ImageSet, tmp_path: Path) -> None:
    options = {"updates": 5, "batch_size": 4, "views": 1}
    run = train(disc_set, "coop", backbone=tiny_backbone(), shots=3, home=tmp_path, options=options)
    assert (run.record["epochs"], run.record["steps"], run.record["options"]["epochs"]) == (3, 6, 3)


SHARING = ["coop", "kgcoop", "cocoop", "biovlm", "clip_adapter"]


@pytest.mark.parametrize("name", SHARING)
def test_trainings_in_step_end_where_each_ends_alone(name: str) -> None:
    def trainings() -> list[Training]:
        built = [build(name, text_dropout=False) if has_dropout(name) else build(name) for _ in range(3)]
        return [Training(m, data_for(m), seed) for seed, m in enumerate(moved(built), start=1)]

    together, alone = trainings(), trainings()
    assert can_share_steps(together[0].method)
    fit_together(together)
    for each in alone:
        fit_together([each])
    learned = [[each.method.learned_state() for each in group] for group in (together, alone)]
    for ours, theirs in zip(*learned, strict=True):
        for key, value in ours.items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-4, atol=1e-6)
    # three trainings, not one three times
    first, second = (each.method.learned_state() for each in together[:2])
    assert any(not torch.equal(first[key], second[key]) for key in first)


def has_dropout(name: str) -> bool:
    return "text_dropout" in get_method(name).Config.__dataclass_fields__


def moved(methods: list[Method]) -> list[Method]:
    """Each started from another place."""
    for seed, method in enumerate(methods):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in method.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return methods


@pytest.mark.parametrize("name", ["prograd", "vpt", "linear_probe", "zero_shot"])
def test_trainings_that_cannot_be_in_step_are_told(name: str) -> None:
    assert not can_share_steps(build(name))


def test_active_dropout_keeps_trainings_apart() -> None:
    assert not can_share_steps(build("coop", text_dropout=True))


def test_texts_of_members_pass_the_tower_together() -> None:
    methods = moved([build("coop") for _ in range(4)])
    tower = methods[0].backbone
    passes = []

    def count(embeds: Tensor, mask: Tensor, *rest: object) -> Tensor:
        passes.append(len(embeds))
        return original(embeds, mask, *rest)

    original = tower._text_features  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, TextCompany(4) as company:
        patch.setattr(tower, "_text_features", count)
        found = company.run([method.class_features for method in methods])
    assert passes == [12]
    for method, features in zip(methods, found, strict=True):
        torch.testing.assert_close(features, method.class_features())


def test_a_member_that_fails_neither_stops_nor_blocks_the_others() -> None:
    def fail() -> Tensor:
        raise InvalidInput("a member that works", "one that does not")

    method = build("coop")
    ended = []
    with TextCompany(3) as company, pytest.raises(InvalidInput, match="one that does not"):
        company.run([lambda: ended.append(method.class_features().shape[0]), fail, method.class_features])
    assert ended == [3]
