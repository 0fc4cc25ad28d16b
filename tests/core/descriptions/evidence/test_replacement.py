"""The replacement test: its p values, the correction, and verdicts in drawn worlds where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstest
from statsmodels.stats.multitest import multipletests

from core.descriptions.evidence import replacement
from core.descriptions.evidence.random_words import VOCABULARIES, Frame
from core.descriptions.evidence.replacement import FIRST, benjamini_hochberg, replacement_tests
from core.descriptions.evidence.scores import Place
from core.descriptions.evidence.sentences import summary_of, weigh_sentences
from core.errors import InvalidOption
from tests.core.descriptions.evidence.worlds import World, anywhere

WORLD = World(noise=2.5)
MIXED = {f"class {c}": [f"about {c} {i}" for i in range(3)] + [f"word {c} {i}" for i in range(3)] for c in range(3)}


def test_the_correction_equals_that_of_other_software() -> None:
    for seed in range(20):
        p = np.random.default_rng(seed).beta(0.4, 1, 30).round(2)
        assert benjamini_hochberg(p.tolist()) == pytest.approx(false_discovery_control(p).tolist())
        assert benjamini_hochberg(p.tolist()) == pytest.approx(multipletests(p, method="fdr_bh")[1].tolist())


def test_p_counts_random_sentences_that_do_as_well() -> None:
    scores = WORLD.scores(MIXED)
    found = replacement_tests(scores, anywhere, replacements=150)
    for place, tested in zip(scores.places, found, strict=True):
        frame = Frame.of(scores.text(place), scores.classes[place.label])
        counts = [
            (scores.replaced(place, anywhere(frame, v, 150)) >= scores.log_likelihood).sum() for v in VOCABULARIES
        ]
        if tested.count == 150:
            assert tested.p_help == pytest.approx((1 + max(counts)) / 151)
    assert {tested.count for tested in found} >= {150}


def test_only_extraordinary_sentences_are_held_against_more() -> None:
    found = replacement_tests(WORLD.scores(MIXED), anywhere, replacements=999)
    counts = {tested.count for tested in found}
    assert FIRST in counts
    assert max(counts) >= 999
    assert all(tested.is_extreme is False for tested in found if tested.count == FIRST)


def test_progress_counts_sentences_that_are_settled() -> None:
    heard: list[tuple[int, int]] = []
    replacement_tests(WORLD.scores(MIXED), anywhere, progress=lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert heard[-1] == (18, 18)
    assert {total for _, total in heard} == {18}


@pytest.mark.parametrize("wrong", [0, 98, 100_000])
def test_too_few_and_too_many_replacements_are_refused(wrong: int) -> None:
    with pytest.raises(InvalidOption, match=f"found {wrong}"):
        replacement_tests(WORLD.scores(MIXED), anywhere, wrong)


def test_true_sentences_help_and_those_of_another_class_harm() -> None:
    rows = []
    for seed in range(6):
        sentences = {f"class {c}": [f"about {c} {seed} {i}" for i in range(3)] + [f"word {seed} {c}"] for c in range(3)}
        sentences["class 0"][1] = f"about 1 planted {seed}"
        rows += weigh_sentences(World(noise=2.5, seed=seed).scores(sentences), anywhere)
    verdicts = {kind: [row.verdict for row in rows if kind_of(row.sentence) == kind] for kind in KINDS}
    assert verdicts["planted"].count("harmful") >= 5
    assert verdicts["about"].count("helpful") >= 30
    assert verdicts["about"].count("harmful") == 0
    assert verdicts["word"].count("helpful") <= 1
    assert {row.closest_class for row in rows if kind_of(row.sentence) == "planted"} == {"class 1"}
    assert all(row.effect > 0 for row in rows if row.verdict == "helpful")


KINDS = ("planted", "about", "word")


def kind_of(sentence: str) -> str:
    return next(kind for kind in KINDS if kind in sentence)


def test_p_of_nonsense_is_uniform_at_every_stage() -> None:
    """Nonsense is one draw among its replacements, so that its p is below a in at most a share a of cases."""
    found = []
    for seed in range(12):
        world = World(noise=2.5, seed=seed)
        sentences = {f"class {c}": [f"nonsense {seed} {c} {i}" for i in range(8)] for c in range(3)}
        found += replacement_tests(world.scores(sentences), anywhere, 499)
    for tally in (0, 1):
        p = [tested.tallies[tally].p(tested.tallies[tally].better) for tested in found]
        assert kstest(p, "uniform").pvalue > 0.01
        assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert np.mean([tested.p_harm <= 0.05 for tested in found]) <= 0.05


def test_one_seed_gives_one_result() -> None:
    first, second = (weigh_sentences(WORLD.scores(MIXED), anywhere) for _ in range(2))
    assert [row.as_dict() for row in first] == [row.as_dict() for row in second]


def test_a_sentence_that_is_only_the_name_cannot_be_told() -> None:
    rows = weigh_sentences(WORLD.scores({name: [f"{name}.", f"about {name[-1]}"] for name in WORLD.names}), anywhere)
    assert [row.verdict for row in rows if row.sentence.endswith(".")] == ["cannot_tell"] * 3
    assert all(row.p_help == 1.0 for row in rows if row.sentence.endswith("."))


def test_the_only_sentence_of_a_class_has_no_effect_but_may_have_a_verdict() -> None:
    sentences = {"class 0": ["about 0"], "class 1": ["about 1", "word a"], "class 2": ["about 2", "word b"]}
    row = weigh_sentences(WORLD.scores(sentences), anywhere)[0]
    assert (row.effect, row.low, row.accuracy_change) == (None, None, None)
    assert row.interval == "none: the only sentence of its class"
    assert row.verdict == "helpful"


def test_below_six_groups_there_is_no_verdict() -> None:
    groups = [f"patient {i % 5}" for i in range(WORLD.labels.size)]
    rows = weigh_sentences(WORLD.scores(MIXED, groups), anywhere)
    assert {row.verdict for row in rows} == {"cannot_tell"}
    assert rows[0].reason == "Fewer than 6 groups: 5."
    assert (rows[0].p_help, rows[0].p_adjusted, rows[0].smallest_effect) == (None, None, None)


def test_a_class_of_one_patient_has_no_verdict() -> None:
    groups = ["one" if label == 2 else f"patient {i}" for i, label in enumerate(WORLD.labels)]
    rows = weigh_sentences(WORLD.scores(MIXED, groups), anywhere)
    assert rows[0].reason == "'class 2' is held by 1 of the groups; 2 are needed."
    assert rows[0].interval == "none: 10 groups of each class are needed, one has 1"


def test_repeated_images_of_one_patient_change_nothing_but_the_number_of_images() -> None:
    """Ten copies of each image, each ten one patient: the same effect and interval as from one image each."""
    single = weigh_sentences(WORLD.scores(MIXED), anywhere, 199)
    many = World(noise=2.5)
    many.features, many.labels = np.repeat(WORLD.features, 10, axis=0), np.repeat(WORLD.labels, 10)
    copies = many.scores(MIXED, [f"patient {i // 10}" for i in range(many.labels.size)])
    for one, ten in zip(single, weigh_sentences(copies, anywhere, 199), strict=True):
        assert (ten.effect, ten.low, ten.high) == pytest.approx((one.effect, one.low, one.high))
        assert (ten.verdict, ten.p_help) == (one.verdict, one.p_help)


def test_the_summary_counts_verdicts_and_names_the_smallest_visible_effect() -> None:
    scores = WORLD.scores(MIXED)
    rows = weigh_sentences(scores, anywhere)
    found = summary_of(rows, scores)
    assert found["helpful"] + found["harmful"] + found["cannot_tell"] == found["sentences"] == 18
    assert (found["n_images"], found["n_groups"], found["groups"]) == (60, 60, "images")
    assert found["smallest_effect"] == pytest.approx(np.median([row.smallest_effect for row in rows]))


def test_smallest_effect_is_the_95th_percentile_among_replacements() -> None:
    scores, place = WORLD.scores(MIXED), Place(1, 4)
    row = weigh_sentences(scores, anywhere, 199)[10]
    frame = Frame.of(scores.text(place), "class 1")
    rest = scores.log_likelihood_without(place)
    sizes = [np.abs(scores.replaced(place, anywhere(frame, v, row.replacements)) - rest) for v in VOCABULARIES]
    assert (row.index, row.class_name) == (4, "class 1")
    assert row.smallest_effect == pytest.approx(max(np.quantile(size, 0.95) for size in sizes))


def test_enough_replacements_for_the_correction_to_pass_any() -> None:
    assert replacement._enough(200, 4, 999) == 3999
    assert replacement._enough(200, 1, 999) == 9999
    assert replacement._enough(20, 10, 999) == 999
