"""Prompts are files of known shape, and messages hold what was given and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from core.descriptions.writing.messages import ClassRequest, class_request
from core.descriptions.writing.prompts import PLACE, list_prompts, prompt_names, read_prompt
from core.descriptions.writing.similarity import checked_choice, most_similar
from core.errors import InvalidInput, NotFound

SHIPPED = ["attributes", "contrast", "disease_relation", "visible_features"]
OWN = """
title = "Mine"
purpose = "A trial."
system = "You write."
text = "Say {n} things of {class} among {classes} on a {modality}.\\nWishes: {instructions}"
answer = 'JSON: {"class": "{class}", "sentences": []}'
"""


def own_prompt(home: Path, name: str, text: str = OWN) -> Path:
    (home / "prompts").mkdir(exist_ok=True)
    path = home / "prompts" / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_prompts_are_four_and_each_asks_for_the_same_answer() -> None:
    found = list_prompts()
    assert [row["name"] for row in found] == SHIPPED
    assert [row["name"] for row in found if row["needs_similar"]] == ["contrast"]
    assert {row["name"]: row["sentences"] for row in found if row["sentences"] != 30} == {"attributes": 10}
    for row in found:
        assert '{"class": "{class}", "sentences"' in row["answer"], row["name"]
        assert "{n}" in row["text"]
        assert "{instructions}" in row["text"]
        assert row["purpose"].endswith(".")


def test_messages_of_a_shipped_prompt_leave_no_place_open() -> None:
    for name in SHIPPED:
        asked = class_request(
            read_prompt(name), "melanoma", ["melanoma", "naevus"], n=5, modality="dermatoscopy", similar="naevus"
        )
        assert [each["role"] for each in asked.messages] == ["system", "user"]
        whole = "\n".join(each["content"] for each in asked.messages)
        assert PLACE.findall(whole) == []
        assert "melanoma" in whole
        assert "dermatoscopy" in whole
        assert "Further wishes" not in whole


def test_a_request_holds_exactly_what_was_given(tmp_path: Path) -> None:
    own_prompt(tmp_path, "mine")
    asked = class_request(read_prompt("mine", tmp_path), "a {n}", ["a {n}", "b"], n=3, instructions="Use\n{class}.")
    assert [dict(each) for each in asked.messages] == [
        {"role": "system", "content": "You write."},
        {
            "role": "user",
            "content": "Say 3 things of a {n} among a {n}, b on a medical image.\nWishes: Use\n{class}.\n\n"
            'JSON: {"class": "a {n}", "sentences": []}',
        },
    ]
    assert ClassRequest.from_dict(asked.as_dict()) == asked


def test_a_file_of_the_home_folder_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    path = own_prompt(tmp_path, "visible_features")
    found = read_prompt("visible_features", tmp_path)
    assert (found.title, found.own, found.sha256) == ("Mine", True, hashlib.sha256(path.read_bytes()).hexdigest())
    assert read_prompt("visible_features").title == "Visible features of each class"
    own_prompt(tmp_path, "another")
    own_prompt(tmp_path, "No Name")
    assert prompt_names(tmp_path) == ["another", *SHIPPED]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("title = ", "cannot be read"),
        (OWN.replace('title = "Mine"', "title = 3"), "'title' must be a text"),
        (OWN.replace("{modality}", "{modalty}"), "'text' names the unknown place {modalty}"),
        (OWN.replace("of {class} among", "of it among"), "'text' must say {class}"),
        (OWN + "sentences = 0", "'sentences' must be a whole number from 1 to 200"),
        (OWN + "sentences = true", "'sentences' must be a whole number from 1 to 200"),
        (OWN.replace("A trial.", "A \\u202Etrial."), "must hold no control characters"),
        ("x" * 60_000, "has more"),
        ("a = " + "[" * 5000, "cannot be read"),
    ],
)
def test_a_damaged_prompt_is_named_with_its_reason_and_hides_no_other(tmp_path: Path, text: str, found: str) -> None:
    own_prompt(tmp_path, "mine", text)
    with pytest.raises(InvalidInput) as error:
        read_prompt("mine", tmp_path)
    assert found in error.value.sentence
    assert "mine.toml" in error.value.sentence
    listed = {row["name"]: row["problem"] for row in list_prompts(tmp_path)}
    assert listed == dict.fromkeys(SHIPPED) | {"mine": error.value.sentence}


@pytest.mark.parametrize("name", ["missing", "../visible_features", "", "a/b"])
def test_an_unknown_prompt_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound, match="Known: attributes, contrast, disease_relation, visible_features"):
        read_prompt(name, tmp_path)


def test_contrast_without_another_class_says_what_is_needed() -> None:
    with pytest.raises(InvalidInput, match="An image set needs two classes for it"):
        class_request(read_prompt("contrast"), "melanoma", ["melanoma"], n=5)


@pytest.mark.parametrize("n", [0, 201])
def test_the_number_of_sentences_has_bounds(n: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 200 sentences for each class"):
        class_request(read_prompt("attributes"), "melanoma", ["melanoma"], n=n)


def test_the_most_similar_class_is_the_one_of_the_largest_cosine() -> None:
    directions = {"red": [1.0, 0.0, 0.0], "rose": [0.9, 0.1, 0.0], "blue": [0.0, 0.2, 1.0]}

    def encode(texts: object) -> torch.Tensor:
        assert isinstance(texts, list)
        rows = [next(torch.tensor(at) for name, at in directions.items() if name in text) for text in texts]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)

    assert most_similar(list(directions), encode) == {"red": "rose", "rose": "red", "blue": "rose"}
    assert most_similar(["red"], encode) == {}


def test_a_persons_pairs_are_checked() -> None:
    assert checked_choice({"a": "b"}, ["a", "b"]) == {"a": "b"}
    with pytest.raises(InvalidInput, match="'c' is none"):
        checked_choice({"a": "c"}, ["a", "b"])
    with pytest.raises(InvalidInput, match="'a' stands for both"):
        checked_choice({"a": "a"}, ["a", "b"])


@pytest.mark.parametrize("prompt", [name for name in SHIPPED if name != "contrast"])
def test_a_quotation_mark_in_a_class_name_leaves_the_example_json(prompt: str) -> None:
    name = 'the "ring" sign'
    asked = class_request(read_prompt(prompt), name, [name, "other"], n=5)
    question = asked.messages[1]["content"]
    assert name in question
    example = question[question.rindex('{"class"') :].replace(', "..."', "")
    assert json.loads(example)["class"] == name
