"""Hidden states of a tiny language model with random weights, and of the backbone's own text layers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from core import load_model, train
from core.errors import InvalidInput, NotFound, Unavailable
from core.images.image_set import ImageSet
from core.language_models.folder import find_language_model
from core.language_models.loading import encode_messages
from core.methods.cilmp import STAND_IN
from core.tuning import hidden_states
from core.tuning.feature_store import FeatureStore
from core.tuning.hidden_states import ANSWER_TOKENS, LanguageModel, text_tower_states
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import quick_train

LAYERS, WIDTH = 4, 16
WORDS = [
    "in",
    "an",
    "image",
    ",",
    "describe",
    "the",
    "distinctive",
    "visual",
    "features",
    "of",
    ".",
    "user",
    "bright",
    "dark",
    "no",
    "disc",
]
CPU = torch.device("cpu")


def build_language_model(folder: Path, seed: int = 0, chat: bool = False) -> Path:
    """A GPT-2 of 4 layers and width 16 that knows a handful of words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<unk>", "<end>", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.normalizer, inner.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="<end>")
    if chat:
        tokenizer.chat_template = "{% for message in messages %}user {{ message['content'] }}{% endfor %}"
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=256,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=2,
        eos_token_id=1,
        bos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_language_model(tmp_path_factory.mktemp("language-model"))


@pytest.mark.usefixtures("short_answers")
def test_each_class_has_one_state_per_layer_and_other_texts_other_states(folder: Path, tmp_path: Path) -> None:
    states = LanguageModel(str(folder), tmp_path, CPU).states(["bright disc", "no disc"], FeatureStore())
    assert list(states) == ["bright disc", "no disc"]
    assert {tuple(found.shape) for found in states.values()} == {(LAYERS, WIDTH)}
    assert {found.dtype for found in states.values()} == {torch.float32}
    assert float((states["bright disc"] - states["no disc"]).abs().max()) > 1e-3


def test_states_are_those_of_the_end_token_after_question_and_greedy_answer(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer("In an image, describe the distinctive visual features of dark disc.")["input_ids"]
    question = len(ids)
    with torch.no_grad():
        # greedy by hand, one word at a time, without the cache of keys
        while len(ids) < question + ANSWER_TOKENS and (len(ids) == question or ids[-1] != 1):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        ids = ids if ids[-1] == 1 else [*ids, 1]
        layers = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    assert len(layers) == LAYERS + 1  # the embedding is dropped
    expected = torch.stack([layer[0, -1] for layer in layers[1:]])
    found = LanguageModel(str(folder), tmp_path, CPU).states(["dark disc"], FeatureStore())["dark disc"]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("short_answers")
def test_known_classes_are_answered_without_loading_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(tmp_path / "features.sqlite")
    reports: list[tuple[int, int]] = []
    first = LanguageModel(str(folder), tmp_path, CPU).states(
        ["bright disc", "no disc"], store, lambda *report: reports.append(report)
    )
    assert reports == [(0, 2), (1, 2)]

    def refuse(*_: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(hidden_states, "load_language_model", refuse)
    again = LanguageModel(str(folder), tmp_path, CPU).states(["no disc", "bright disc"], store)
    assert all(torch.equal(again[name], first[name]) for name in first)
    with pytest.raises(AssertionError, match="the model was loaded"):
        LanguageModel(str(folder), tmp_path, CPU).states(["dark disc"], store)


@pytest.mark.usefixtures("short_answers")
def test_another_model_is_another_checksum_with_other_states(folder: Path, tmp_path: Path) -> None:
    other = build_language_model(tmp_path / "other", seed=1)
    one, two = LanguageModel(str(folder), tmp_path, CPU), LanguageModel(str(other), tmp_path, CPU)
    assert one.checksum != two.checksum
    store = FeatureStore()
    first, second = one.states(["no disc"], store)["no disc"], two.states(["no disc"], store)["no disc"]
    assert float((first - second).abs().max()) > 1e-3


def test_a_chat_model_is_asked_in_its_own_format(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(build_language_model(tmp_path / "chat", chat=True))
    assert (
        tokenizer.decode(encode_messages(tokenizer, [{"role": "user", "content": "describe the image"}])[0])
        == "user describe the image"
    )


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(NotFound, match="The folder of a language model; '/nowhere/at all' is none"):
        find_language_model("/nowhere/at all")


def test_a_hub_name_that_was_not_fetched_says_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="Run `hf download nobody/nothing` on a machine with network"):
        find_language_model("nobody/nothing")


def test_a_folder_without_a_model_or_with_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="must hold a causal language model in the format of transformers"):
        find_language_model(str(tmp_path / "empty"))
    encoder = Path(shutil.copytree(folder, tmp_path / "encoder"))
    config = json.loads((encoder / "config.json").read_text("utf-8"))
    (encoder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}), "utf-8")
    with pytest.raises(InvalidInput, match=r"causal one.; .* holds a BertModel"):
        find_language_model(str(encoder))
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "model.safetensors").rename(bare / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match="weights come as safetensors"):
        find_language_model(str(bare))


@pytest.mark.parametrize("towers", ["timm-bert", "clip-causal"])
def test_text_layers_end_in_the_hidden_state_the_tower_reads(towers: str) -> None:
    tower, texts = tiny_backbone(towers), ("a bright disc", "one dark disc on a grey ground")
    states = text_tower_states(tower, [texts[:1], texts[1:]])
    assert states.shape == (2, tower.text_layers, tower.text_width)
    with torch.no_grad():
        torch.testing.assert_close(tower.project_text(states[:, -1]), tower.encode_texts(texts), atol=1e-5, rtol=0)
    torch.testing.assert_close(text_tower_states(tower, [texts])[0], states.mean(dim=0), atol=1e-5, rtol=0)


@pytest.mark.usefixtures("short_answers")
def test_a_model_trained_with_a_language_model_works_where_there_is_none(
    folder: Path, disc_set: ImageSet, tmp_path: Path
) -> None:
    copied = shutil.copytree(folder, tmp_path / "language-model")
    run = quick_train(disc_set, "cilmp", tmp_path / "home", options={"language_model": str(copied)})
    shutil.rmtree(copied)
    loaded = load_model(run.record["model"], backbone=tiny_backbone(), home=tmp_path / "elsewhere")
    assert loaded.method.states.shape == (3, LAYERS, WIDTH)
    paths = [image.path for image in disc_set.part("test")]
    for found, known in zip(loaded.predict(paths), run.predictions, strict=True):
        assert found["probabilities"] == pytest.approx(known["probabilities"], abs=1e-5)
    notes = run.record["notes"]
    assert STAND_IN not in notes
    assert any(note.startswith(f"Hidden states come from the language model '{copied}'") for note in notes)


def test_a_run_without_one_says_that_the_text_layers_stand_in(disc_set: ImageSet, tmp_path: Path) -> None:
    run = quick_train(disc_set, "cilmp", tmp_path)
    assert STAND_IN in run.record["notes"]
    assert STAND_IN in (Path(run.record["model"]) / "README.md").read_text("utf-8")


def test_a_missing_language_model_ends_a_training_before_it_begins(disc_set: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="The folder of a language model"):
        train(disc_set, "cilmp", backbone=tiny_backbone(), shots=2, home=tmp_path, options={"language_model": "/none"})
