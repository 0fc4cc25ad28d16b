"""Sentences that lie nearer to another class or far from their own, by their features."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.closeness import closeness_findings
from core.descriptions.findings.deviation import robust_deviations
from core.errors import InvalidInput

SIZE = 12


def described(classes: int = 3) -> DescriptionSet:
    sentences = {f"class {c}": tuple(f"Sentence {i} of class {c}." for i in range(SIZE)) for c in range(classes)}
    return DescriptionSet(sentences, "me")


def clustered(spread: float = 0.05) -> torch.Tensor:
    """Features of three classes around three axes, the same at each call."""
    noise = torch.randn(3 * SIZE, 8, generator=torch.Generator().manual_seed(0))
    centres = torch.eye(8)[:3].repeat_interleave(SIZE, 0)
    return normalize(centres + spread * noise, dim=-1)


def test_sentences_among_their_own_are_not_found() -> None:
    assert [
        each for each in closeness_findings(described(), clustered(), clustered()) if each.finding == "near_other_class"
    ] == []


def test_a_sentence_of_another_class_is_nearer_to_that_one_and_an_outlier_of_its_own() -> None:
    features = clustered()
    features[4] = features[SIZE + 1]
    found = [
        each
        for each in closeness_findings(described(), features, features)
        if each.sentence == "Sentence 4 of class 0."
    ]
    assert [each.finding for each in found] == ["near_other_class", "outlier"]
    assert found[0].detail.startswith("lies nearer to what the others tell of 'class 1' (cosine 1.00, 0.0")


def test_a_class_whose_sentences_lie_nearer_to_others_is_not_judged() -> None:
    features = clustered()
    features[:SIZE] = clustered()[SIZE : 2 * SIZE].roll(1, 0)
    found = closeness_findings(described(), clustered(), features)
    assert [each for each in found if each.finding == "near_other_class" and each.class_name == "class 0"] == []


def test_nearness_goes_by_the_sentences_without_names() -> None:
    with_names, without = clustered(), clustered()
    without[4] = without[SIZE + 1]
    found = [each for each in closeness_findings(described(), with_names, without) if each.finding != "outlier"]
    assert [(each.sentence, each.finding) for each in found] == [("Sentence 4 of class 0.", "near_other_class")]


def test_a_sentence_far_from_all_is_an_outlier() -> None:
    features = clustered()
    features[SIZE] = torch.eye(8)[7]
    found = {(each.sentence, each.finding) for each in closeness_findings(described(), features, features)}
    assert ("Sentence 0 of class 1.", "outlier") in found


def test_deviations_are_counted_in_medians() -> None:
    # median 0.8, median absolute deviation 0.01, so 0.7 lies 0.1 / 0.014826 below
    found = robust_deviations([0.79, 0.8, 0.81, 0.8, 0.82, 0.7, 0.79])
    assert found[5] == pytest.approx(0.1 / 0.014826)
    assert robust_deviations([0.5] * 5) == [0.0] * 5


def test_classes_of_few_sentences_and_single_classes_are_not_judged() -> None:
    few = DescriptionSet({"a": ("One.", "Two."), "b": ("Three.", "Four.")}, "me")
    assert closeness_findings(few, torch.eye(4), torch.eye(4)) == []
    assert {each.finding for each in closeness_findings(described(1), clustered()[:SIZE], clustered()[:SIZE])} <= {
        "outlier"
    }


def test_another_number_of_features_is_refused() -> None:
    with pytest.raises(InvalidInput, match="One feature for each of the 36 sentences"):
        closeness_findings(described(), torch.eye(4), clustered())
    with pytest.raises(InvalidInput, match="found 4"):
        closeness_findings(described(), clustered(), torch.eye(4))
