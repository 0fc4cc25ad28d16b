"""Published numbers stand beside rows that they are like, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.evaluation.published import compare_to_published
from core.evaluation.published_beside import Ours, Place, beside, is_like, mean_overlap

PRINT = "a" * 64


def record(**changes: Any) -> dict[str, Any]:
    values = {"id": "1", "method": "coop", "data_set": "BTMRI", "image_set": None, "fingerprint": None}
    values |= {"metric": "accuracy", "value": 0.724, "decimals": 1, "part": "test", "protocol": "few-shot", "shots": 16}
    values |= {"share": None, "seeds": 3, "n_test": 236, "backbone": None, "whose": "authors", "run_by": None}
    return values | {"source": "P", "place": "T3", "h_definition": None, "deviations": None} | changes


def place(**changes: Any) -> Place:
    values = {"method": "coop", "image_set": "bt-mri", "fingerprint": PRINT, "protocol": "few-shot", "shots": 16}
    return Place(**{"share": None, "backbone": "embedded", **values, **changes})


def found(published: dict[str, Any], ours: Ours | None = None, where: Place | None = None) -> Any:
    own = ours or Ours(0.741, 236)
    return beside([published], where or place(), lambda part: own)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "maple"},
        {"shots": 8},
        {"shots": None},
        {"protocol": "full", "shots": None, "share": 1.0},
        {"protocol": "base-to-novel", "part": "base"},
        {"metric": "auroc"},
    ],
)
def test_another_method_protocol_number_of_shots_or_metric_is_not_like(change: dict[str, Any]) -> None:
    assert is_like(record(), place())
    assert not is_like(record(**change), place())


def test_all_shots_and_all_labels_are_the_same() -> None:
    full = record(protocol="full", shots=None, share=1.0)
    assert is_like(full, place(shots=None))
    assert is_like(full, place(protocol="full", shots=None, share=1.0))
    assert not is_like(full, place(protocol="full", shots=None, share=0.1))


@pytest.mark.parametrize("protocol", ["realistic", "cross-set"])
def test_protocols_that_nobody_publishes_alike_have_nothing_beside_them(protocol: str) -> None:
    assert not is_like(record(), place(protocol=protocol))


def test_what_learns_nothing_is_like_at_any_number_of_shots() -> None:
    assert is_like(record(shots=0), place(shots=4, learns=False))
    assert not is_like(record(protocol="base-to-novel", part="base"), place(learns=False))


def test_the_same_test_images_are_found_under_any_name() -> None:
    ((shown,), left) = found(record(data_set="Brain", fingerprint=PRINT, n_test=None))
    assert (shown["matched"], shown["n"], left) == ("images", 236, [])
    assert "The same test images." in shown["notes"]
    assert found(record(data_set="bt-mri", fingerprint="b" * 64)) == ([], [])


def test_a_name_counts_with_the_number_of_test_images_only() -> None:
    ((shown,), _) = found(record())
    assert shown["matched"] == "name"
    assert any("whether they are the same is not known" in note for note in shown["notes"])
    assert found(record(data_set="BUSI")) == ([], [])
    (nothing, (why,)) = found(record(n_test=None))
    assert nothing == []
    assert why == (
        "Published 72.4 % (its authors, P) is not compared: on how many test images it was measured is not known; "
        "`published match` says so."
    )
    (nothing, (why,)) = found(record(n_test=100))
    assert (nothing, "it is of 100 test images, ours of 236" in why) == ([], True)


def test_what_somebody_said_counts_on_the_fewer_images() -> None:
    ((shown,), _) = found(record(data_set="other", image_set="bt-mri", n_test=100))
    assert (shown["matched"], shown["n"]) == ("said", 100)
    assert found(record(image_set="elsewhere")) == ([], [])


def test_the_range_and_its_sentence_are_those_of_the_formula() -> None:
    ((shown,), _) = found(record(), Ours(0.741, 236, rho=0.8))
    known = compare_to_published(0.741, 0.724, 236, 0.8)
    assert (shown["low"], shown["high"], shown["mark"]) == (known.low, known.high, known.at_overlap)
    assert shown["better"] == "ours"
    assert shown["sentence"].startswith(
        "Published 72.4 (its authors), ours 74.1 on 236 images: the order is wrong with"
    )
    assert shown["sentence"].endswith("at the overlap of our own runs. Spread over draws is not in this.")


def test_a_re_run_names_who_ran_it_and_unlike_encoders_are_told() -> None:
    ((shown,), _) = found(
        record(whose="re-run", run_by="somebody", backbone="clip-vit-b-16", seeds=None, deviations="x")
    )
    assert shown["whose"] == "run again by somebody"
    assert shown["notes"][1:] == [
        "On how many draws the published number is the mean is not known.",
        "Published with the encoder clip-vit-b-16, ours with embedded.",
        "In the published run: x.",
    ]


def test_numbers_that_are_equal_as_printed_make_no_order() -> None:
    ((shown,), _) = found(record(), Ours(0.7243, 236, rho=0.5))
    assert (shown["better"], shown["ours"]) == ("equal", 0.7243)
    assert "equal, so neither is better" in shown["sentence"]


def test_an_overlap_that_these_two_numbers_cannot_have_is_the_least_they_can() -> None:
    ((shown,), _) = found(record(value=0.99), Ours(0.98, 236, rho=-5.0))
    assert shown["mark"] == pytest.approx(shown["high"])


def test_of_a_harmonic_mean_nothing_is_said() -> None:
    where, part = place(protocol="base-to-novel"), {"protocol": "base-to-novel", "part": "harmonic mean"}
    ((shown,), _) = found(record(**part, fingerprint=PRINT, h_definition="H1"), Ours(0.7, None), where)
    assert (shown["low"], shown["high"], shown["mark"], shown["n"]) == (None, None, None, None)
    assert "no share of images" in shown["sentence"]
    assert shown["notes"][-1] == "Its harmonic mean: H1."


def test_a_part_of_which_we_have_nothing_is_left_out() -> None:
    assert beside([record()], place(), lambda part: None) == ([], [])


def test_overlap_is_averaged_over_pairs_of_runs() -> None:
    a, b, c = (np.array(row, dtype=bool) for row in ([1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]))
    assert mean_overlap([a, b]) == pytest.approx(1.0)
    assert mean_overlap([a, b, c]) == pytest.approx(1 / 3)
    assert mean_overlap([a]) is None
