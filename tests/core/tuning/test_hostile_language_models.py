"""The folder of a language model is data, too: nothing in it is run or fetched, and a damaged one is named."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import InvalidInput, NotAllowed, NotFound
from core.language_models.folder import find_language_model
from core.tuning.classifier import load_model
from core.tuning.feature_store import FeatureStore
from core.tuning.hidden_states import LanguageModel
from tests.builders import tiny_backbone
from tests.core.backbones.hostile import change, plant_code, watched
from tests.core.tuning.test_every_method import quick_train
from tests.core.tuning.test_hidden_states import build_language_model

CPU = torch.device("cpu")
AUTO = {"AutoTokenizer": ["evil.EvilTokenizer", None], "AutoConfig": "evil.EvilConfig",
        "AutoModelForCausalLM": "evil.EvilModel"}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return build_language_model(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def own(file, **values):
    return lambda folder: change(folder / file, lambda found: found.update(values))


ATTACKS = {
    "auto map": (own("config.json", auto_map=AUTO), "'auto_map' asks for code to be run"),
    "unknown kind": (own("config.json", model_type="evil", auto_map=AUTO), "'auto_map' asks for code to be run"),
    "unknown kind alone": (own("config.json", model_type="evil"), 'the kind of model "evil" is not known'),
    "tokenizer": (own("tokenizer_config.json", auto_map=AUTO, tokenizer_class="EvilTokenizer"), "'auto_map' asks"),
    "vocabulary": (own("tokenizer_config.json", vocab_file="/etc/passwd"), "'vocab_file' in .* must not name a file"),
    "attention": (own("config.json", attn_implementation="kernels/evil"), "must be eager or sdpa"),
    "attention, inside": (own("config.json", _attn_implementation="kernels/evil"), "must be eager or sdpa"),
    "packages": (own("config.json", quantization_config={"quant_method": "evil"}), "found 'quantization_config'"),
    "other weights": (own("config.json", transformers_weights="../evil.safetensors"), "found 'transformers_weights'"),
    "timm inside": (own("config.json", more={"model_type": "timm_wrapper"}), 'the kind of model "timm_wrapper"'),
    "hub inside": (own("config.json", more={"name": "hf-hub:evil/model"}), "must not name another place"),
    "adapter": (own("adapter_config.json", base_model_name_or_path="/evil"), "an adapter of another one"),
    "far too large": (own("config.json", n_embd=8192), "the files hold fewer"),
    "endless": (own("config.json", n_layer=10**9), "gives 1000000000 as 'n_layer', more than 1000"),
    "experts": (own("config.json", num_experts=10**6), "gives 1000000 as 'num_experts', more than 1000"),
    "experts inside": (own("config.json", text={"n_routed_experts": 2000}), "gives 2000 as 'n_routed_experts'"),
    "experts of all layers": (own("config.json", n_layer=900, num_experts=900), "900 experts in each of 900 layers"),
    "growing text": (
        own(
            "tokenizer.json",
            normalizer={
                "type": "Sequence",
                "normalizers": [
                    {"type": "Replace", "pattern": {"String": letter}, "content": letter * 10} for letter in "aaaa"
                ],
            },
        ),
        "may make a text 4096 times as long; those of its normalizer and pre_tokenizer lengthen it without end",
    ),
    "other files": (
        own("model.safetensors.index.json", weight_map={"a": "../../x.safetensors"}),
        "names files that are not there",
    ),
    "pickle": (own("model.safetensors.index.json", weight_map={"a": "x.bin"}), "names files that are not there"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_language_model_runs_code_or_reaches_the_network(name, folder, tmp_path, monkeypatch):
    attack, sentence = ATTACKS[name]
    mark = plant_code(folder)
    attack(folder)
    with watched(folder, monkeypatch) as seen, pytest.raises(InvalidInput, match=sentence):
        LanguageModel(str(folder), tmp_path, CPU).states(["disc"], FeatureStore())
    assert (seen, mark.exists()) == ([], False)


@pytest.mark.usefixtures("short_answers")
def test_code_and_wishes_beside_a_whole_model_change_nothing(whole, folder, tmp_path, monkeypatch):
    mark = plant_code(folder)
    own("generation_config.json", penalty_alpha=0.6, top_k=4, num_beam_groups=3, custom="x")(folder)
    with watched(folder, monkeypatch) as seen:
        found = LanguageModel(str(folder), tmp_path, CPU).states(["disc"], FeatureStore())["disc"]
    expected = LanguageModel(str(whole), tmp_path, CPU).states(["disc"], FeatureStore())["disc"]
    assert torch.equal(found, expected)
    assert (seen, mark.exists()) == ([], False)


def test_links_out_of_the_folder_are_refused(folder, tmp_path):
    (folder / "config.json").rename(tmp_path / "outside")
    (folder / "config.json").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidInput, match="must lie in its own folder; it is a link to a place outside"):
        find_language_model(str(folder))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda state: state.pop(sorted(state)[0]), "the weights do not hold"),
        (lambda state: [value.fill_(math.nan) for value in state.values()], "states must be finite numbers"),
    ],
)
def test_weights_that_are_not_whole_are_refused(folder, tmp_path, edit, sentence):
    state = load_file(str(folder / "model.safetensors"))
    edit(state)
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=sentence):
        LanguageModel(str(folder), tmp_path, CPU).states(["disc"], FeatureStore())


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"model_type": 3}', '{"architectures": 3}'])
def test_a_damaged_configuration_is_named(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(InvalidInput, match=str(folder)):
        find_language_model(str(folder))


def test_names_that_are_no_names_are_not_found():
    for name in ("", "../x", "a/b/c", "a b", "x" * 5000, "a\0b", "-x", "a--b", "a..b"):
        with pytest.raises(NotFound, match="The folder of a language model"):
            find_language_model(name or "local-dir:/none")


def test_a_model_card_does_not_lead_the_site_into_a_folder(disc_set, tmp_path):
    run = quick_train(disc_set, "zero_shot", tmp_path)
    assert load_model(run.record["model"], home=tmp_path).backbone.checksum == tiny_backbone().checksum
    card = json.loads((Path(run.record["model"]) / "adapter_config.json").read_text())
    assert card["backbone"].startswith("local-dir:")
    with pytest.raises(NotAllowed, match="A backbone must be named, not given as a folder of this machine"):
        load_model(run.record["model"], home=tmp_path, folders=False)
