"""Files of published numbers: what is read, and that every row that cannot be used is named."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput, UnreadableSource
from core.evaluation import metrics, published_file
from core.evaluation.published_file import parse_published, shipped_results

METHODS = ("coop", "zero_shot")
ROW = {"method": '"coop"', "data_set": '"BTMRI"', "value": '"82.10 %"', "shots": "16"}
ROW |= {"whose": '"authors"', "source": '"P"', "place": '"T3"'}
HEADER = "method,data_set,value,shots,whose,source,place"


def toml(**changes: str) -> str:
    """A file of one result with some keys changed; an empty text leaves a key out."""
    return "[[result]]\n" + "\n".join(f"{name} = {value}" for name, value in (ROW | changes).items() if value)


def test_a_toml_file_shares_what_stands_above_its_results() -> None:
    first, second = parse_published(
        'source = "A paper"\nplace = "Table 3"\nseeds = 3\nwhose = "authors"\n'
        '[[result]]\nmethod = "coop"\ndata_set = "BTMRI"\nshots = 16\nvalue = "82.1 %"\n'
        '[[result]]\nmethod = "zero_shot"\ndata_set = "BTMRI"\nshots = 0\nvalue = 0.567\nplace = "Table 4"\n',
        "numbers.toml",
        METHODS,
    )
    assert (first.value, first.decimals, first.shots, first.place, first.seeds) == (0.821, 1, 16, "Table 3", 3)
    assert (second.value, second.decimals, second.shots, second.place) == (0.567, 1, 0, "Table 4")


def test_a_csv_file_of_a_spreadsheet_is_read() -> None:
    text = f'\ufeff{HEADER},n_test\r\ncoop,"Set, with comma",82.10%,all,authors,P,T3,236\r\n,,,,,,,\r\n'
    (found,) = parse_published(text.encode(), "numbers.CSV", METHODS)
    assert (found.data_set, found.value, found.decimals) == ("Set, with comma", 0.821, 2)
    assert (found.shots, found.n_test) == (None, 236)


def test_every_row_that_is_wrong_is_named() -> None:
    rows = ["coop,BTMRI,82.1,16,authors,P,T3", "nope,BTMRI,82.1%,16,authors,P,T3", "coop,BTMRI,82.1%,16,authors,P,T3"]
    with pytest.raises(InvalidInput) as caught:
        parse_published("\n".join([HEADER, *rows, "coop,BTMRI,9%,sixteen,authors,P,T3"]), "a.csv", METHODS)
    assert caught.value.sentence == (
        "Every row of published numbers can be used; found 3 that cannot. Line 2: 'value' is a fraction such as 0.724, "
        "or a text in percent such as 72.4 %; found '82.1'. Line 3: 'method' is one of coop, zero_shot; found 'nope'. "
        "Line 5: 'shots' is a whole number of images per class, or all; found 'sixteen'. Nothing was kept; correct "
        "these and import again."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"value": "true"}, "'value' is a fraction"),
        ({"value": "nan"}, "'value' is a fraction"),
        ({"value": '"-1 %"'}, "'value' is a fraction"),
        ({"value": '"101 %"'}, "'value' is a fraction"),
        ({"value": ""}, "'value' is given; it is missing"),
        ({"metric": '"dice"'}, "'metric' is one of accuracy, balanced_accuracy"),
        ({"data_set": '"Average over 11 data sets"'}, "A published number is of one data set"),
        ({"data_set": "7"}, "'data_set' is text; found 7"),
        ({"shots": "1.5"}, "'shots' is a whole number"),
        ({"shots": "-1"}, "'shots' is a whole number"),
        ({"share": "0.1"}, "of the protocol full only; found 0.1 with few-shot"),
        ({"n_test": "0"}, "'n_test' is a whole number from 1; found 0"),
        ({"whose": '"re-run"'}, "'run_by' says who ran a method again"),
        ({"run_by": '"them"'}, "'run_by' says who ran a method again"),
        ({"part": '"base"'}, "'part' is base, novel or harmonic mean for base-to-novel"),
        ({"protocol": '"base-to-novel"'}, "'part' is base, novel or harmonic mean for base-to-novel"),
        ({"protocol": '"cross-set"'}, "'protocol' is one of few-shot, base-to-novel, full"),
        ({"h_definition": '"H2"'}, "'h_definition' stands with part = harmonic mean only"),
        ({"fingerprint": '"abc"'}, "'fingerprint' is 64 hex digits"),
        ({"page": "3"}, "found 'page'"),
        ({"place": '"a\\u0000b"'}, "'place' without control characters"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(changes: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidInput, match=r"Result 1: ") as caught:
        parse_published(toml(**changes), "a.toml", METHODS)
    assert told in caught.value.sentence


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"\xff\xfe", "a.csv", "is not UTF-8 text"),
        ("x = [", "a.toml", "is no TOML"),
        ("x = " + "[" * 5000, "a.toml", "is no TOML"),
        ("x = 1", "a.toml", "has none"),
        ("result = 3", "a.toml", "has none"),
        ("", "a.csv", "missing: method, data_set, value"),
        (HEADER.replace("place", "page"), "a.csv", "unknown: page"),
        (f"{HEADER},place", "a.csv", "one stands twice"),
        (f"{HEADER}\ncoop,BTMRI", "a.csv", "line 2 of 'a.csv' has 2 cells, the header 7"),
        (f'{HEADER}\n"coop', "a.csv", "is no CSV"),
        ("x" * (published_file.MOST_BYTES + 1), "a.csv", "larger than 5 MB"),
    ],
)
def test_files_of_another_shape_are_refused(content: str | bytes, name: str, told: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        parse_published(content, name, METHODS)
    assert told in caught.value.sentence


def test_a_file_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="found 0"):
        parse_published(HEADER, "a.csv", METHODS)


def test_the_metrics_are_those_of_the_evaluation() -> None:
    assert tuple(metrics.METRICS) == published_file.METRICS


def test_the_numbers_that_come_with_the_project_can_be_read_and_say_where_they_stand() -> None:
    found = shipped_results(("cilmp",))
    assert [(each.data_set, each.value, each.n_test) for each in found] == [
        ("Kvasir", 0.938, 800),
        ("APTOS 2019", 0.8543, 366),
        ("Derm7pt", 0.7267, None),
    ]
    assert {(each.whose, each.shots, each.share, each.seeds) for each in found} == {("re-run", None, 1.0, 3)}
    assert all("commit" in each.source and "table" in each.place for each in found)
