"""Recipes: the published tables as data, their hashes, and what a run says of the one it follows."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from core import train
from core.descriptions.description_set import DescriptionSet
from core.descriptions.templates import template_descriptions
from core.errors import InvalidOption, NotFound
from core.images.image_set import ImageSet
from core.tuning.contract import LoopConfig
from core.tuning.presets import resolve_config
from core.tuning.recipe import (
    Recipe,
    deviations,
    get_recipe,
    list_recipes,
    read_recipes,
    recipe_names,
    recipe_record,
    recipe_sentence,
    recipe_sets,
)
from core.tuning.registry import get_method, method_names
from tests.builders import tiny_backbone

FOLDER = files("core.tuning") / "recipes"
FILES = sorted(Path(str(FOLDER)).rglob("*.toml"))
KNOWN_KEYS = {
    "backbone",
    "seeds",
    "sentences_per_class",
    "to_be_given",
    "notes",
    "provenance",
    "options",
    "by_data_set",
    "protocols",
}
PROTOCOL_KEYS = {"shots", "data_sets", "options", "by_data_set", "notes", "sentences_per_class"}
WITH_LANGUAGE_MODEL = "cilmp/paper-2025/kvasir/full"
QUICK: dict[str, Any] = {"epochs": 2, "views": 2, "options": {"batch_size": 4}}


def option_of(recipe: str, *names: str) -> list[Any]:
    options = get_recipe(recipe).options
    return [options[name] for name in names]


def parsed(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_holds_known_keys_data_sets_and_options(path: Path) -> None:
    data, data_sets = parsed(path), recipe_sets()
    options = {row["name"] for row in get_method(path.parent.name).Config.schema()}
    assert set(data) <= KNOWN_KEYS
    assert set(data["provenance"]) == {"paper", "repository", "commit", "place"}
    assert set(data.get("to_be_given", ())) <= options - set(data["options"])
    for table in [data, *data["protocols"].values()]:
        assert set(table.get("options", {})) <= options
        for option, row in table.get("by_data_set", {}).items():
            assert option in options | {"notes"}
            assert set(row) <= set(data_sets)
    for table in data["protocols"].values():
        assert set(table) <= PROTOCOL_KEYS
        wanted = set(table.get("data_sets", data_sets))
        assert wanted <= set(data_sets)
        for option, row in table.get("by_data_set", {}).items():
            if option != "notes":
                assert set(row) == wanted, f"{option} is given for other data sets than the protocol has"


def test_every_recipe_has_values_that_its_method_takes() -> None:
    found = list_recipes()
    assert len({recipe.name for recipe in found}) == len(found) == len(recipe_names()) >= 302
    for recipe in found:
        config = recipe.config()
        assert {name: getattr(config, name) for name in recipe.options} == dict(recipe.options), recipe.name


def test_every_recipe_is_of_a_method_that_there_is() -> None:
    assert {recipe.method for recipe in list_recipes()} <= set(method_names())


def test_every_recipe_of_a_trained_method_states_what_the_training_depends_on() -> None:
    stated = {"epochs", "views", "batch_size", "learning_rate", "optimizer", "weight_decay", "schedule", "augmentation"}
    for recipe in list_recipes():
        if issubclass(get_method(recipe.method).Config, LoopConfig):
            assert stated <= set(recipe.options), recipe.name
            assert recipe.options["views"] == recipe.options["epochs"], recipe.name


def test_every_recipe_states_where_it_stands_between_paper_and_code() -> None:
    for recipe in list_recipes():
        changed = {option for values in get_method(recipe.method).variants.values() for option in values}
        assert changed <= set(recipe.options), recipe.name


@pytest.mark.parametrize(
    ("name", "options", "values"),
    [
        (
            "biomedcoop/paper-2025/btmri/few-shot",
            ["anchor_weight", "distillation_weight", "outlier_limit"],
            [0.5, 0.25, 1.5],
        ),
        (
            "biomedcoop/paper-2025/kneexray/few-shot",
            ["anchor_weight", "distillation_weight", "outlier_limit"],
            [5, 20, 1.75],
        ),
        (
            "biomedcoop/paper-2025/covid_19/base-to-novel",
            ["anchor_weight", "distillation_weight", "outlier_limit"],
            [20, 1, 1.25],
        ),
        (
            "biomedcoop/paper-2025/retina/base-to-novel",
            ["anchor_weight", "outlier_limit", "epochs"],
            [5, 2, 50],
        ),
        (
            "biomed_dpt/paper-2025/covid_19/few-shot",
            ["anchor_weight", "distillation_weight", "context_length", "epochs", "views", "batch_size"],
            [65, 2.5, 6, 100, 100, 4],
        ),
        (
            "biomed_dpt/paper-2025/retina/few-shot",
            ["anchor_weight", "context_length", "template"],
            [10.5, 4, "a photo of a {} presented in image."],
        ),
        (
            "biomed_dpt/paper-2025/kneexray/base-to-novel",
            ["anchor_weight", "distillation_weight", "text_dropout", "position"],
            [23, 4.5, True, "end"],
        ),
        (
            "biomedap/code/kneexray/base-to-novel",
            ["anchor_weight", "distillation_weight", "plain_weight"],
            [27.2, 1.7, 7.8],
        ),
        (
            "biomedap/code/dermamnist/few-shot",
            ["anchor_weight", "distillation_weight", "plain_weight"],
            [25, 20, 15],
        ),
        ("prograd/biomedcoop-2025/busi/few-shot", ["temperature", "learning_rate", "batch_size"], [0.25, 0.002, 128]),
        ("prograd/biomedcoop-2025/btmri/base-to-novel", ["temperature", "learning_rate"], [1, 0.0015]),
        ("kgcoop/biomedcoop-2025/dermamnist/few-shot", ["knowledge_weight", "epochs"], [8, 100]),
        ("kgcoop/biomedcoop-2025/kneexray/few-shot", ["knowledge_weight", "batch_size"], [4, 128]),
        ("kgcoop/biomedcoop-2025/btmri/base-to-novel", ["knowledge_weight", "epochs"], [8, 50]),
        ("cocoop/biomedcoop-2025/btmri/base-to-novel", ["epochs", "batch_size", "learning_rate"], [10, 1, 0.001]),
        ("clip_adapter/biomedcoop-2025/busi/few-shot", ["ratio", "unit_norm", "augmentation"], [0.5, False, "mild"]),
        ("biovlm/paper-2026/btmri/few-shot", ["epochs", "prompts", "augmentation"], [50, 10, "crop_flip"]),
        ("cilmp/paper-2025/kvasir/full", ["batch_size", "rank", "gpa", "learning_rate"], [64, 8, "tokens", 0.0025]),
        (
            "tip_adapter_f/biomedcoop-2025/btmri/few-shot",
            ["train_alpha", "train_alpha_search", "support_view", "support_views"],
            [1, "fresh", "mild", 1],
        ),
        ("zero_shot/biomedcoop-2025-ensemble/busi/few-shot", ["ensemble"], [True]),
        (
            "clip_svd/paper-2025/ctkidney/few-shot",
            ["learning_rate", "epochs", "views", "schedule", "template"],
            [0.001, 200, 200, "cosine_swing", "a photo of a {}."],
        ),
        ("clip_svd/paper-2025/covid_19/few-shot", ["learning_rate", "template"], [5e-4, "a chest xray of {}."]),
        ("maple/biomedap-code/btmri/few-shot", ["depth", "batch_size", "learning_rate"], [1, 32, 0.002]),
    ],
)
def test_values_are_those_of_the_published_tables(name: str, options: list[str], values: list[Any]) -> None:
    assert option_of(name, *options) == values


def test_base_to_novel_trains_on_the_first_half_of_the_classes_rounded_up() -> None:
    halves = {
        recipe.data_set: (len(recipe.classes), len(recipe.novel_classes))
        for recipe in list_recipes("biomed_dpt")
        if recipe.protocol == "base-to-novel"
    }
    assert halves["btmri"] == (2, 2)
    assert halves["busi"] == (2, 1)
    assert halves["chmnist"] == (4, 4)
    assert halves["dermamnist"] == (4, 3)
    assert halves["kneexray"] == (3, 2)
    assert get_recipe("biomed_dpt/paper-2025/btmri/base-to-novel").novel_classes == ("pituitary tumor", "normal brain")


def test_a_hash_names_the_values_and_not_their_wording() -> None:
    recipe = get_recipe("biomed_dpt/paper-2025/btmri/few-shot")
    assert recipe.hash == "f034756574eba1518b913572ea59d774414407894593811cdd4ff08a28d4e76e"
    path = Path(str(FOLDER)) / "biomed_dpt" / "paper-2025.toml"
    data, data_sets = parsed(path), recipe_sets()

    def again() -> Recipe:
        return next(iter(read_recipes("biomed_dpt", "paper-2025", data, data_sets)))

    data["notes"], data["provenance"]["paper"] = ["reworded"], "reworded"
    assert again().hash == recipe.hash
    data["options"]["momentum"] = 0.8
    assert again().hash != recipe.hash


def test_what_is_to_be_given_is_part_of_the_hash() -> None:
    recipe = get_recipe(WITH_LANGUAGE_MODEL)
    assert replace(recipe, to_be_given=()).hash != recipe.hash


def test_hashes_differ_between_recipes() -> None:
    hashes = [recipe.hash for recipe in list_recipes()]
    assert len(set(hashes)) == len(hashes)


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"Did you mean 'coop/biomedcoop-2025/btmri/few-shot'\?"):
        get_recipe("coop/biomedcoop-2025/btmri/fewshot")


def follow(recipe: Recipe, **more: Any) -> list[str]:
    """Deviations of a run that follows the recipe but for `more`, as sentences."""
    config, _ = resolve_config(get_method(recipe.method), "embedded", recipe=recipe, options=more.pop("options", None))
    published = {"shots": 16, "seed": 1, "classes": recipe.classes, "backbone": recipe.backbone}
    return [str(found) for found in deviations(recipe, config, **(published | more))]


def test_a_run_that_does_what_is_published_deviates_nowhere() -> None:
    recipe = get_recipe("coop/biomedcoop-2025/busi/few-shot")
    assert follow(recipe) == []
    assert recipe_sentence(recipe_record(recipe, [])) == (
        f"Follows recipe coop/biomedcoop-2025/busi/few-shot (hash {recipe.hash[:8]}) without deviation."
    )


def test_everything_done_otherwise_is_named_with_both_values() -> None:
    recipe = get_recipe("coop/biomedcoop-2025/busi/few-shot")
    found = follow(
        recipe, options={"views": 8, "momentum": 0.5}, shots=5, seed=7, classes=("a", "b"), backbone="embedded"
    )
    assert found == [
        "momentum 0.5 instead of 0.9",
        "views 8 instead of 100",
        "shots 5 instead of 1, 2, 4, 8, 16",
        "seed 7 instead of 1, 2, 3",
        "classes a, b instead of benign tumor, malignant tumor, normal scan",
        "backbone embedded instead of biomedclip",
    ]
    assert follow(recipe, shots=None) == ["shots all instead of 1, 2, 4, 8, 16"]


def test_sentences_are_counted_where_a_recipe_uses_them() -> None:
    recipe = get_recipe("biomedap/code/busi/few-shot")
    own = DescriptionSet(dict.fromkeys(recipe.classes, ("one",) * 40), "mine")
    assert follow(recipe, descriptions=own) == []
    fewer = DescriptionSet({name: ("one",) * n for name, n in zip(recipe.classes, (3, 40, 3), strict=True)}, "mine")
    assert follow(recipe, descriptions=fewer) == ["sentences per class 3, 40 instead of 40"]
    templates = template_descriptions(recipe.classes)
    assert follow(recipe, descriptions=templates) == ["sentences per class templates instead of 40"]


def test_what_is_to_be_given_deviates_where_it_is_left_empty() -> None:
    recipe = get_recipe(WITH_LANGUAGE_MODEL)
    assert recipe.as_dict()["to_be_given"] == ["language_model"]
    published = {"shots": None, "backbone": "clip-vit-b-16"}
    assert follow(recipe, options={"language_model": "models/llama"}, **published) == []
    for empty in ("", " "):
        sentences = follow(recipe, options={"language_model": empty}, **published)
        assert sentences == ["language_model empty instead of 'one to be named'"]


def test_notes_of_a_data_set_and_of_one_of_its_protocols_add_up() -> None:
    path = Path(str(FOLDER)) / "biomed_dpt" / "paper-2025.toml"
    data, data_sets = parsed(path), recipe_sets()
    data["notes"], data["by_data_set"]["notes"] = ["all"], {"busi": ["the set"]}
    for protocol in data["protocols"].values():
        protocol["notes"] = []
    found = {recipe.protocol: recipe.notes for recipe in read_recipes("m", "s", data, {"busi": data_sets["busi"]})}
    assert found["few-shot"] == ("all", "the set")
    one_novel = "One class is novel, so novel accuracy is 100 % by construction: leave it out of means."
    assert found["base-to-novel"] == ("all", "the set", one_novel)


def test_a_recipe_stands_without_the_preset_of_the_backbone() -> None:
    kind, recipe = get_method("coop"), get_recipe("coop/biomedcoop-2025/busi/few-shot")
    plain, _ = resolve_config(kind, "embedded")
    followed, notes = resolve_config(kind, "embedded", recipe=recipe)
    assert plain.as_dict()["learning_rate"] != 0.002
    assert followed.as_dict()["learning_rate"] == 0.002
    assert notes == []


def test_what_a_person_gives_wins_over_the_recipe() -> None:
    kind, recipe = get_method("biomed_dpt"), get_recipe("biomed_dpt/paper-2025/busi/few-shot")
    config, _ = resolve_config(
        kind, "embedded", variant="paper", recipe=recipe, options={"momentum": 0.1}, epochs=3, template="a {}."
    )
    used = config.as_dict()
    assert (used["momentum"], used["epochs"], used["template"], used["anchor_weight"]) == (0.1, 3, "a {}.", 18.75)
    assert used["zero_vector_mode"] == "replace"


def test_a_recipe_of_another_method_is_refused() -> None:
    sentence = "The recipe 'coop/biomedcoop-2025/busi/few-shot' is one of coop; the method asked for is kgcoop."
    with pytest.raises(InvalidOption, match=sentence):
        resolve_config(get_method("kgcoop"), "embedded", recipe=get_recipe("coop/biomedcoop-2025/busi/few-shot"))


def test_the_record_and_the_card_say_which_recipe_was_followed(disc_set: ImageSet, tmp_path: Path) -> None:
    name = "coop/biomedcoop-2025/busi/few-shot"
    backbone = tiny_backbone()
    run = train(disc_set, recipe=name, backbone=backbone, shots=3, home=tmp_path, modality="drawing", **QUICK)
    kept = run.record["recipe"]
    assert (run.record["method"], kept["name"], kept["hash"]) == ("coop", name, get_recipe(name).hash)
    changed = {each["name"]: (each["recipe"], each["used"]) for each in kept["deviations"]}
    assert changed == {
        "epochs": (100, 2),
        "views": (100, 2),
        "batch_size": (32, 4),
        "shots": ([1, 2, 4, 8, 16], 3),
        "classes": (["benign tumor", "malignant tumor", "normal scan"], list(disc_set.classes)),
        "backbone": ("biomedclip", backbone.name),
    }
    assert run.record["options"]["template"] == "a photo of a {}."
    assert run.model.card["recipe"] == kept
    assert f"Follows recipe {name} (hash " in (Path(run.record["model"]) / "README.md").read_text("utf-8")


def test_a_run_without_a_recipe_says_so(disc_set: ImageSet, tmp_path: Path) -> None:
    record = train(disc_set, backbone=tiny_backbone(), shots=3, home=tmp_path, **QUICK).record
    assert record["recipe"] is None
    assert record["method"] == "coop"
