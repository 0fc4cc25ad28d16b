"""Description files in every layout: what comes back is what was written, and hostile files end in a sentence."""

from __future__ import annotations

import json
import time

import pytest

from core.descriptions.files import descriptions_text, layout_of, parse_descriptions
from core.descriptions.layouts.catalogue import layouts
from core.errors import InvalidOption, PromptoscopeError

TABLE = {
    "normal brain": ["Clear 'sulci', a \"quoted\" word, a \\ and 100 %.", "=1+1, like a formula", "Ünïcode – 健康."],
    "glioma tumor": ["[not a list], {not: a dict}", "# not a comment", "the same", "the same"],
}

PYTHON = '''
# Where the templates come from
import os
os.system("touch /tmp/never")  # must not run

CUSTOM_TEMPLATES = {"BTMRI": "a photo of a {}."}
SHORT: dict = {"glioma": ["one"]}

"""A text: WRONG = {"glioma": ["no"]}"""

def load():
    return {"glioma": [1]}

BIOMEDCOOP_TEMPLATES = {
    "normal brain": [
        "First " "and joined.",  # a comment, with "quotes" and ]
        'Single \\'quoted\\' and \\u00e9.',
        """Over
        two lines.""",
        r"raw \\d",
    ],
    'glioma tumor': (
      "In a tuple.",
    ),
}
OTHER = {"a": ["1", "2", "3", "4", "5", "6", "7"]}
'''


@pytest.mark.parametrize("layout", list(layouts()))
def test_what_was_written_comes_back(layout: str) -> None:
    name = f"bank{layouts()[layout].suffix}"
    found = parse_descriptions(descriptions_text(TABLE, layout), name, layout)
    assert {label: list(texts) for label, texts in found.sentences.items()} == TABLE
    assert list(found.sentences) == list(TABLE)
    assert found.source == f"file:{name}"
    again = {label: list(texts) for label, texts in found.sentences.items()}
    assert descriptions_text(again, layout) == descriptions_text(TABLE, layout)


def test_a_python_file_is_read_as_data() -> None:
    found = parse_descriptions(PYTHON, "prompt_templates.py")
    assert {label: list(texts) for label, texts in found.sentences.items()} == {
        "normal brain": ["First and joined.", "Single 'quoted' and é.", "Over two lines.", "raw \\d"],
        "glioma tumor": ["In a tuple."],
    }


def test_a_written_python_file_is_python() -> None:
    for layout in layouts().values():
        if layout.assigned:
            space: dict[str, object] = {}
            exec(descriptions_text(TABLE, layout.name), space)  # our own text
            assert space[layout.assigned] == TABLE


def test_the_name_of_the_repository_is_read_first() -> None:
    text = "A = {'x': ['1', '2', '3']}\nBIOMEDDPT_TEMPLATES = {'y': ['1']}\nBIOMEDCOOP_TEMPLATES = {'z': ['1']}\n"
    by_layout = {name: list(parse_descriptions(text, "p.py", name).sentences) for name in ("biomedcoop", "biomedap")}
    assert by_layout == {"biomedcoop": ["z"], "biomedap": ["y"]}
    assert list(parse_descriptions("A = {'x': ['1']}\nB = {'y': ['1', '2']}", "p.py").sentences) == ["y"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.py", "X = {'a': [__import__('os').getcwd()]}", "'a.py' has none"),
        ("a.py", "X = {'a': [f'{1}']}", "'a.py' has none"),
        ("a.py", "X = {'a': [b'bytes']}", "'a.py' has none"),
        ("a.py", "X = {'a': ['x' * 1000000000]}", "'a.py' has none"),
        ("a.py", "X = {'a': ['x'", "'a.py' has none"),
        ("a.py", "X = " + "{" * 100_000, "'a.py' has none"),
        ("a.py", "X = {'a': [" + "[" * 100_000, "'a.py' has none"),
        ("a.py", "X = {'a': ['\\N{NOT A NAME}']}", "'a.py' has none"),
        ("a.py", "X = {'a': ['x'], 'a': ['y']}", "'a' stands twice"),
        ("a.py", "X = {'a': ['x\\0y']}", "without control characters"),
        ("a.py", "X = {'a': ['\\ud800']}", "without control characters"),
        ("a.json", '{"a": [NaN]}', "JSON of another shape"),
        ("a.json", '{"a": ["x"], "a": ["y"]}', "'a' stands twice"),
        ("a.json", "[" * 100_000, "nested far deeper"),
        ("a.json", '{"a": ' * 100_000, "nested far deeper"),
        ("a.json", '{"a": "x"}', "JSON of another shape"),
        ("a.json", '{"a": ["x"', "is no JSON"),
        ("a.json", '{"a": [""]}', "holds no sentence"),
        ("a.json", '{"\\u0000": ["x"]}', "without control characters"),
        ("a.json", json.dumps({"a": ["x" * 2001]}), "at most 2000 characters"),
        ("a.json", json.dumps({"a" * 201: ["x"]}), "at most 200 characters"),
        ("a.json", json.dumps({"a": ["x"] * 20_001}), "At most 20000 sentences"),
        ("a.csv", "label,text\na,b\n", "has the columns label, text"),
        ("a.csv", "class,sentence\na," + "x" * 200_000, "is no CSV"),
        ("a.csv", "class,sentence\n,x\n", "holds no sentence"),
        ("a.csv", "", "has the columns"),
    ],
)
def test_hostile_files_end_in_a_sentence(name: str, text: str, told: str) -> None:
    begun = time.monotonic()
    with pytest.raises(PromptoscopeError, match=told):
        parse_descriptions(text, name)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("name", ["a.py", "a.json", "a.csv"])
@pytest.mark.parametrize("piece", ["x", "'", '"', "\\", "{", "A = {", "A = {'a': ['b'],", '"""', "\n", "# ", "a,b\n"])
def test_ten_megabytes_of_anything_end_soon(name: str, piece: str) -> None:
    begun = time.monotonic()
    with pytest.raises(PromptoscopeError):
        parse_descriptions((piece * (10_000_000 // len(piece)))[:9_999_999], name)
    assert time.monotonic() - begun < 15


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(InvalidOption, match="A layout of json, csv, biomedcoop"):
        parse_descriptions("{}", "a.json", "yaml")
    assert [layout_of(name) for name in ("a.JSON", "a.py", "a.csv", "a.txt")] == ["json", "biomedcoop", "csv", "json"]
