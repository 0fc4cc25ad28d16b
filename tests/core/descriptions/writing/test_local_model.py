"""A language model on this machine as a writer: tiny ones, with random weights and with an answer learned by heart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from core.descriptions.writing.answers import UnusableAnswer
from core.descriptions.writing.budget import Budget, Caps, Reached
from core.descriptions.writing.local_model import LocalModel
from core.descriptions.writing.messages import ClassRequest
from core.descriptions.writing.writer import ClassWriting, Spent, Stopped, WriterAway, write_class
from core.errors import InvalidInput, NotAllowed
from core.settings import Settings
from tests.core.tuning.test_hidden_states import build_language_model

ASKED = ClassRequest(
    "bright disc",
    None,
    2,
    ({"role": "system", "content": "describe"}, {"role": "user", "content": "the image of bright disc"}),
)
LEARNED = '{ "class" : "bright disc" , "sentences" : [ "a bright disc is in the image" ] }'


def settings(**values: Any) -> Settings:
    return Settings(device="cpu", **({"llm_answer_tokens": 40, "llm_temperature": 0.0} | values))


def writer(folder: Path, caps: Caps | None = None, stopped: Any = lambda: False, **values: Any) -> LocalModel:
    return LocalModel(str(folder), settings(**values), Budget(caps or Caps(99, 10**6)), stopped=stopped)


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_language_model(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def model_by_heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 trained until it gives one answer to one question."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    question = "\n\n".join(each["content"] for each in ASKED.messages)
    words = list(dict.fromkeys(["<unk>", "<end>", *question.split(), *LEARNED.split()]))
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="<end>")
    asked, answer = (tokenizer(text).input_ids for text in (question, LEARNED))
    ids = torch.tensor([[*asked, *answer, 1]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=len(words), n_positions=128, n_embd=32, n_layer=2, n_head=2, eos_token_id=1)
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for _ in range(120):
            optimizer.zero_grad()
            model(ids, labels=ids).loss.backward()
            optimizer.step()
    folder = tmp_path_factory.mktemp("by-heart")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_that_answers_as_asked_gives_drafts(model_by_heart: Path) -> None:
    writing = ClassWriting()
    found = writer(model_by_heart)
    read = write_class(found, ASKED, writing)
    assert read.sentences == ("a bright disc is in the image",)
    assert writing.spent.requests == 1
    assert writing.spent.tokens_in == 6
    assert writing.spent.tokens_out == len(LEARNED.split()) + 1
    sums = [f"{file.name}={hashlib.sha256(file.read_bytes()).hexdigest()}" for file in sorted(model_by_heart.iterdir())]
    whole = hashlib.sha256("\n".join(sums).encode()).hexdigest()
    assert found.settings == {"local": True, "sha256": whole, "temperature": 0.0, "answer_tokens": 40, "seed": 1}
    assert found.model == model_by_heart.name


def test_a_model_that_says_nothing_of_use_is_asked_three_times_and_gives_nothing(random_model: Path) -> None:
    writing = ClassWriting()
    with pytest.raises(UnusableAnswer, match="it holds no JSON object"):
        write_class(writer(random_model), ASKED, writing)
    texts = [each["text"] for each in writing.unusable]
    assert len(set(texts)) == 3, "later answers draw other words"
    again = ClassWriting()
    with pytest.raises(UnusableAnswer):
        write_class(writer(random_model), ASKED, again)
    assert [each["text"] for each in again.unusable] == texts, "a seed gives the same answers"


def test_drawing_leaves_the_random_numbers_of_others_alone(random_model: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    writer(random_model, llm_temperature=1.0).ask(ASKED, 0, Spent())
    assert torch.equal(torch.rand(3), expected)


def test_a_stop_is_heard_between_words(random_model: Path) -> None:
    heard: list[int] = []

    def stopped() -> bool:
        heard.append(1)
        return len(heard) >= 3

    spent = Spent()
    with pytest.raises(Stopped):
        writer(random_model, stopped=stopped).ask(ASKED, 0, spent)
    assert spent.tokens_out == 3


def test_caps_hold_for_a_local_model_too(random_model: Path) -> None:
    with pytest.raises(Reached, match="At most 1 requests"):
        write_class(writer(random_model, Caps(1, 10**6)), ASKED, ClassWriting())


def test_a_question_longer_than_the_model_reads_is_named(random_model: Path) -> None:
    long = ClassRequest("x", None, 1, ({"role": "user", "content": "image " * 300},))
    with pytest.raises(WriterAway, match=r"it has 300 tokens, and .* reads 256"):
        writer(random_model).ask(long, 0, Spent())


def test_a_chat_format_is_used_and_one_without_system_messages_gets_both_in_one(random_model: Path) -> None:
    heard: list[str] = []
    found = writer(random_model)
    tokenizer, model = found._load()
    original = model.generate
    model.generate = lambda prompt, **options: heard.append(tokenizer.decode(prompt[0])) or original(prompt, **options)
    each = "{% for message in messages %}user {{ message['content'] }} {% endfor %}"
    tokenizer.chat_template = each
    found.ask(ASKED, 0, Spent())
    tokenizer.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + each
    found.ask(ASKED, 0, Spent())
    assert heard == ["user describe user the image of bright disc", "user describe the image of bright disc"]
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(InvalidInput, match="A chat format that takes a question"):
        found.ask(ASKED, 0, Spent())


def test_a_folder_is_refused_where_none_may_be_named(random_model: Path) -> None:
    with pytest.raises(NotAllowed):
        LocalModel(str(random_model), settings(), Budget(Caps(1, 1)), folders=False)


def test_what_is_learned_is_json(model_by_heart: Path) -> None:
    assert json.loads(writer(model_by_heart).ask(ASKED, 0, Spent()).text)["sentences"]
