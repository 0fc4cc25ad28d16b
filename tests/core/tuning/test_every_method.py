"""The contract that every method in `core/methods` keeps, on a tiny backbone with random weights."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core import load_model, train
from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import template_descriptions
from core.errors import ClassMismatch, InvalidOption
from core.images.image_set import ImageSet
from core.tuning.classifier import Classifier, frozen_features
from core.tuning.contract import Method, Task
from core.tuning.data import TensorData
from core.tuning.feature_store import FeatureStore, address
from core.tuning.loop import fit
from core.tuning.measure import rename_classes
from core.tuning.option import Options
from core.tuning.progress import Cancelled, Progress
from core.tuning.registry import get_method, method_names
from core.tuning.scores import predict_logits
from core.tuning.second_encoder import named_encoder
from core.tuning.train import TrainedRun
from tests.builders import TOWERS, session_folder, tiny_backbone, tiny_encoder_folder

METHODS = method_names()
CLASSES = ("bright disc", "dark disc", "no disc")
QUICK: dict[str, Any] = {"epochs": 3, "views": 2, "batch_size": 4, "size_px": 32, "iterations": 40}


def quick_options(name: str) -> dict[str, Any]:
    """Options that make a method fast, as far as it has them, and what it needs to be named."""
    known = {field.name for field in dataclasses.fields(get_method(name).Config)}
    needed = {"encoder": str(tiny_encoder_folder())} if "encoder" in get_method(name).needs else {}
    return {key: value for key, value in QUICK.items() if key in known} | needed


def quick_train(image_set: ImageSet, name: str, home: Path, **more: Any) -> TrainedRun:
    options = quick_options(name) | more.pop("options", {})
    return train(image_set, name, backbone=tiny_backbone(), shots=3, home=home, options=options, **more)


@dataclasses.dataclass(frozen=True)
class Shared:
    """A finished quick training, and what it changed of the backbone's state."""

    run: TrainedRun
    changed: list[str]


@pytest.fixture(scope="session")
def trained(disc_set: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Shared]:
    """The quick training of a method, made once and shared: leave run and folder as they are."""

    @cache
    def train_once(name: str) -> Shared:
        before = {key: value.clone() for key, value in tiny_backbone().model.state_dict().items()}
        run = quick_train(disc_set, name, tmp_path_factory.mktemp(name))
        after = tiny_backbone().model.state_dict()
        return Shared(run, [key for key in before.keys() | after.keys() if not same(before.get(key), after.get(key))])

    return train_once


def same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)


def build(name: str, classes: tuple[str, ...] = CLASSES, towers: str = "timm-bert", **options: Any) -> Method:
    method = get_method(name)
    config = method.Config.from_values(quick_options(name) | options)
    backbone = tiny_backbone(towers)
    encoder = named_encoder(method, config, backbone.device, session_folder() / "home")
    return method(config, Task(backbone, classes, template_descriptions(classes), encoder=encoder))


def unit_vectors(count: int, width: int, seed: int = 0) -> Tensor:
    """Random directions (count, width)."""
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


def clustered_data(seed: int = 0, width: int | None = None) -> TensorData:
    """Twelve unit vectors around three directions, in batches of four."""
    generator = torch.Generator().manual_seed(seed)
    width = width or tiny_backbone().joint_width
    centres = torch.randn(3, width, generator=generator).repeat_interleave(4, dim=0)
    features = torch.nn.functional.normalize(centres + 0.3 * torch.randn(12, width, generator=generator), dim=-1)
    batches = [[0, 4, 8, 1], [5, 9, 2, 6], [10, 3, 7, 11]]
    return TensorData(torch.arange(3).repeat_interleave(4), batches, features=features)


def clustered_pixels(seed: int = 0, size: int | None = None) -> Tensor:
    """Twelve noisy pictures around three."""
    generator = torch.Generator().manual_seed(seed)
    size = size or tiny_backbone().preprocessing.size
    centres = 2 * torch.randn(3, 3, 8, 8, generator=generator).repeat_interleave(4, dim=0)
    noise = torch.randn(12, 3, size, size, generator=generator)
    return torch.nn.functional.interpolate(centres, size=(size, size)) + 0.3 * noise


def data_for(method: Method, order: list[int] | None = None) -> TensorData:
    """Clustered data in the form a method takes; `order` says which class each old one becomes."""
    known = clustered_data(width=method.reader.joint_width)
    labels = known.labels if order is None else torch.tensor([order.index(int(label)) for label in known.labels])
    if method.image_path(method.config) == "trained":
        pixels = clustered_pixels(size=method.reader.preprocessing.size)
        return TensorData(labels, known._batches, pixels=pixels, views=dict.fromkeys(method.extra_views, pixels))
    features = known.train_features()
    views = dict.fromkeys(method.extra_views, features)
    return TensorData(labels, known._batches, features=features, views=views)


def scores(method: Method) -> Tensor:
    """Scores of the clustered images."""
    with torch.no_grad():
        if method.image_path(method.config) == "trained":
            return method.logits(method.encode_images(clustered_pixels(size=method.reader.preprocessing.size)))
        return method.logits(clustered_data(width=method.reader.joint_width).train_features())


@pytest.mark.parametrize("name", METHODS)
def test_training_twice_with_one_seed_gives_one_result(
    name: str, disc_set: ImageSet, trained: Callable[[str], Shared], tmp_path: Path
) -> None:
    first = trained(name).run
    second = quick_train(disc_set, name, tmp_path)
    assert first.record["metrics"] == second.record["metrics"]
    assert first.predictions == second.predictions


@pytest.mark.parametrize("name", METHODS)
def test_a_loaded_model_answers_like_the_trained_one(
    name: str, disc_set: ImageSet, trained: Callable[[str], Shared]
) -> None:
    run = trained(name).run
    loaded = load_model(run.record["model"], backbone=tiny_backbone())
    paths = [image.path for image in disc_set.part("test")]
    for found, known in zip(loaded.predict(paths), run.predictions, strict=True):
        assert found["label"] == known["predicted"]
        assert found["probabilities"] == pytest.approx(known["probabilities"], abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_the_record_has_every_promised_name(name: str, trained: Callable[[str], Shared]) -> None:
    record = trained(name).run.record
    promised = "method backbone variant classes shots seed options epochs steps seconds n_train n_val n_test metrics "
    assert {*promised.split(), "descriptions", "model"} <= set(record)
    assert list(record["metrics"]) == ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"]
    assert (record["method"], record["n_train"], record["n_val"], record["n_test"]) == (name, 9, 9, 18)
    assert record["classes"] == list(CLASSES)
    assert record["descriptions"] == "templates"


@pytest.mark.parametrize("name", METHODS)
def test_the_backbone_stays_as_it_was(name: str, trained: Callable[[str], Shared]) -> None:
    assert trained(name).changed == []
    assert not any(p.requires_grad or p.grad is not None for p in tiny_backbone().model.parameters())
    assert not tiny_backbone().model.training


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls(name: str) -> None:
    if not get_method(name).trains_by_steps:
        pytest.skip(f"{name} is not trained by steps")
    # with dropout a model this small falls or rises by the seed
    rate = min(0.05, 50 * get_method(name).Config().learning_rate)
    method = build(name, epochs=15, learning_rate=rate, **without_dropout(name))
    losses: list[float] = []
    fit(method, data_for(method), seed=0, on_step=lambda step, terms: losses.append(terms["cross_entropy"]))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


@pytest.mark.parametrize("name", METHODS)
def test_reordered_classes_reorder_the_scores(name: str) -> None:
    order = [2, 0, 1]
    swapped = tuple(CLASSES[i] for i in order)
    steady = without_dropout(name)
    plain, other = build(name, **steady), build(name, swapped, **steady)
    fit(plain, data_for(plain), seed=0)
    fit(other, data_for(other, order), seed=0)
    torch.testing.assert_close(scores(other), scores(plain)[:, order], atol=1e-2, rtol=1e-2)


VARIANTS = [(name, variant) for name in METHODS for variant in get_method(name).variants]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_trains_two_steps_and_gives_scores(name: str, variant: str) -> None:
    quick = quick_options(name) | ({"epochs": 1} if get_method(name).trains_by_steps else {})
    method = build(name, **get_method(name).variants.get(variant, {}) | quick)
    given = data_for(method)
    two_steps = TensorData(
        given.labels,
        [[0, 4, 8, 1], [5, 9, 2, 6]],
        features=given._features,
        pixels=given._pixels,
        views=given._views,
        validation_features=given._features,
        validation_labels=given.labels if given._features is not None else None,
    )
    assert fit(method, two_steps, seed=0).steps == (2 if method.trains_by_steps else 0)
    method.tune(two_steps)
    found = scores(method)
    assert found.shape == (12, 3)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("name", METHODS)
def test_a_variant_sets_options_to_other_values_than_the_default(name: str) -> None:
    kind = get_method(name).Config
    for variant, values in get_method(name).variants.items():
        assert kind.from_values(values) != kind(), variant


def without_dropout(name: str) -> dict[str, bool]:
    """Options that switch off what draws random numbers while training."""
    return {field.name: False for field in dataclasses.fields(get_method(name).Config) if "dropout" in field.name}


@pytest.mark.parametrize("name", METHODS)
def test_a_prediction_does_not_depend_on_its_neighbours(
    name: str, disc_set: ImageSet, trained: Callable[[str], Shared]
) -> None:
    model = trained(name).run.model
    paths = [image.path for image in disc_set.part("test")][:3]
    together = model.predict(paths)
    for path, row in zip(paths, together, strict=True):
        # rounding of features, which sums of other lengths change, is multiplied by the logit scale
        assert model.predict([path])[0]["probabilities"] == pytest.approx(row["probabilities"], abs=1e-4)


def takes(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", METHODS)
def test_scores_come_from_the_picture_alone_and_nothing_takes_labels(name: str) -> None:
    kind = get_method(name)
    assert takes(kind.encode_images) == ["self", "pixels"]
    assert takes(kind.logits) == ["self", "features"]
    assert takes(kind.visual_tokens) == takes(kind.class_features) == ["self"]
    method = build(name)
    fit(method, data_for(method), seed=0)
    size = method.reader.preprocessing.size
    features = frozen_features(method, torch.zeros(2, 3, size, size))
    assert predict_logits(method, features).shape == (2, 3)


def test_the_ways_to_a_prediction_take_pictures_and_no_labels() -> None:
    assert takes(predict_logits) == ["method", "features"]
    assert takes(frozen_features) == ["method", "pixels"]
    assert takes(Classifier.predict) == ["self", "paths"]
    assert takes(Classifier.probabilities) == takes(Classifier.features) == ["self", "images"]
    assert takes(Classifier.logits_from_pixels) == ["self", "pixels"]


@pytest.mark.parametrize("name", METHODS)
def test_an_interrupted_training_ends_like_an_unbroken_one(
    name: str, disc_set: ImageSet, trained: Callable[[str], Shared], tmp_path: Path
) -> None:
    if not get_method(name).trains_by_steps:
        pytest.skip(f"{name} is not trained by steps")
    whole = trained(name).run

    def stop(progress: Progress) -> None:
        if progress.stage == "training" and progress.epoch == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        quick_train(disc_set, name, tmp_path, out=tmp_path / "x", checkpoint_dir=tmp_path / "c", progress=stop)
    epochs: list[int | None] = []
    resumed = quick_train(
        disc_set,
        name,
        tmp_path,
        out=tmp_path / "resumed",
        checkpoint_dir=tmp_path / "c",
        progress=lambda p: epochs.append(p.epoch) if p.stage == "training" else None,
    )
    # what was reported before the interruption is said again, since its listener may have died before writing it down
    assert epochs == [1, 2, 3]
    for key, value in whole.model.method.learned_state().items():
        assert torch.equal(resumed.model.method.learned_state()[key], value), key


def test_a_training_with_other_texts_does_not_go_on_from_a_checkpoint(disc_set: ImageSet, tmp_path: Path) -> None:
    epochs: list[int | None] = []
    for word in ("plain", "other"):
        texts = DescriptionSet({name: (f"{word} {name}",) for name in disc_set.classes}, "test")
        quick_train(
            disc_set,
            "biomedcoop",
            tmp_path,
            out=tmp_path / word,
            descriptions=texts,
            checkpoint_dir=tmp_path / "c",
            progress=lambda p: epochs.append(p.epoch) if p.stage == "training" else None,
        )
    assert epochs == [1, 2, 3, 1, 2, 3]


def test_a_run_says_that_its_views_were_used_more_than_once(disc_set: ImageSet, tmp_path: Path) -> None:
    said = [
        [note for note in quick_train(disc_set, "coop", tmp_path, options=options).record["notes"] if "views" in note]
        for options in ({"epochs": 3, "views": 2}, {"epochs": 3, "views": 3}, {"epochs": 3, "augmentation": "center"})
    ]
    assert said == [
        [
            "Each image was seen in 2 augmented views, used in turn; the published protocol draws a new one in each of "
            "the 3 epochs."
        ],
        [],
        [],
    ]


@pytest.mark.parametrize("name", METHODS)
def test_every_sentence_among_the_options_is_checked(name: str) -> None:
    kind: type[Options] = get_method(name).Config
    sentences = [row["name"] for row in kind.schema() if row["name"].endswith("template")]
    assert sentences
    for option in sentences:
        for wrong in ("{} and {}", "{name}", "a {"):
            with pytest.raises(
                InvalidOption, match=rf"'{option}' is a sentence with {{}} where the class name goes; f"
            ):
                kind.from_values({option: wrong})


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_help_and_keeps_its_bounds(name: str) -> None:
    kind: type[Options] = get_method(name).Config
    for row in kind.schema():
        assert row["help"]
        if row["bounds"]:
            with pytest.raises(InvalidOption, match=f"'{row['name']}' lies between"):
                kind.from_values({row["name"]: row["bounds"][1] + 1})
        if row["choices"]:
            with pytest.raises(InvalidOption, match=f"'{row['name']}' is one of"):
                kind.from_values({row["name"]: "none of these"})


@pytest.mark.parametrize("name", METHODS)
def test_learned_numbers_count_what_is_trained_and_what_is_fitted(name: str, trained: Callable[[str], Shared]) -> None:
    run = trained(name).run
    kind = get_method(name)
    learned = {key: value.numel() for key, value in run.model.method.learned_state().items()}
    counted = run.record["trainable_parameters"]
    if kind.trains_by_steps:
        assert counted == sum(p.numel() for p in run.model.method.parameters() if p.requires_grad) > 0
    else:
        assert counted == sum(learned[key] for key in kind.fitted if key in learned)
    assert (counted == 0) == kind.trains.startswith("nothing")


@pytest.mark.parametrize("name", METHODS)
def test_the_card_says_where_the_method_comes_from(name: str) -> None:
    card = get_method(name).card()
    assert {"name", "title", "paper", "licence", "needs", "trains", "image_path"} <= set(card)
    assert card["name"] == name
    assert all(card[key] for key in ("title", "summary", "paper", "licence", "trains", "notes"))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("towers", [towers for towers in TOWERS if towers != "timm-bert"])
def test_the_method_runs_on_other_towers(name: str, towers: str) -> None:
    built = build(name, towers=towers)
    size = built.reader.preprocessing.size
    pixels = torch.randn(4, 3, size, size)
    with torch.no_grad():
        features = built.encode_images(pixels)
    labels = torch.tensor([0, 1, 2, 0])
    trained = built.image_path(built.config) == "trained"
    given: dict[str, Any] = {"pixels": pixels} if trained else {"features": features}
    given["views"] = dict.fromkeys(built.extra_views, pixels if trained else features)
    fit(built, TensorData(labels, [[0, 1, 2, 3]], **given), seed=0)
    with torch.no_grad():
        assert built.logits(features).shape == (4, 3)


@pytest.mark.parametrize("name", METHODS)
def test_pictures_kept_part_way_train_like_pixels(name: str) -> None:
    whole, part = (build(name, **without_dropout(name)) for _ in range(2))
    if whole.image_path(whole.config) != "trained":
        pytest.skip(f"{name} keeps features")
    if (layer := part.steady_layers()) is None:
        pytest.skip(f"{name} reads the pixels themselves")
    pixels, given = clustered_pixels(), data_for(whole)
    kept = part.backbone.encode_part(pixels, layer, part.visual_tokens())
    fit(whole, given, seed=0)
    fit(
        part, TensorData(given.labels, given._batches, pixels=kept, views=dict.fromkeys(part.extra_views, kept)), seed=0
    )
    torch.testing.assert_close(scores(part), scores(whole), atol=1e-2, rtol=1e-3)


def test_a_store_gives_back_what_was_put_in(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features.sqlite")
    vector = torch.tensor([1.5, -2.0])
    store.put({address("a", 1): vector})
    assert torch.equal(FeatureStore(tmp_path / "features.sqlite").get([address("a", 1)])[address("a", 1)], vector)
    assert store.get([address("a", 2)]) == {}


@pytest.mark.parametrize("name", METHODS)
def test_a_fitted_method_takes_new_names_or_says_why_not(name: str, tmp_path: Path) -> None:
    method = build(name)
    fit(method, data_for(method), seed=1)
    known = method.learned_state()
    others = ("bright ring", "dark ring", "no ring", "square")
    if not get_method(name).renames_classes:
        with pytest.raises(ClassMismatch, match="cannot name new ones"):
            rename_classes(method, others, template_descriptions(others), tmp_path)
        return
    renamed = rename_classes(method, others, template_descriptions(others), tmp_path)
    assert renamed.task.classes == others
    assert scores(renamed).shape == (12, 4)
    assert all(torch.equal(value, known[key]) for key, value in method.learned_state().items())
    # what was learned is what answers: with the old names again the scores are the old ones
    back = rename_classes(renamed, CLASSES, template_descriptions(CLASSES), tmp_path)
    assert torch.equal(scores(back), scores(method))


def test_a_context_of_each_class_cannot_name_new_ones(tmp_path: Path) -> None:
    with pytest.raises(ClassMismatch, match="cannot name new ones"):
        rename_classes(build("coop", per_class=True), ("a", "b"), template_descriptions(("a", "b")), tmp_path)
