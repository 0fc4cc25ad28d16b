"""A map is held against random placements of itself, with the model's own worth beside it."""

import numpy as np
import pytest

from core.explain.captured import capture
from core.explain.hiding import hidden_log_odds
from core.explain.trust import LEVEL, Hidden, ShownMap, examine, hide, sentence, state_of
from tests.core.explain.towers import spot_picture

GOOD, GUESSING, UNKNOWN = {"above_chance": True}, {"above_chance": False}, {"above_chance": None}
SPOT = np.arange(64.0).reshape(8, 8) == 41


def no_step():
    return None


def found(drop, random):
    return Hidden(np.array([0.0, drop, 0.0]), np.asarray(random, dtype=float), (1, 3, 6), 1)


def spot(classifier, values):
    pixels = classifier.backbone.preprocess(spot_picture())[None]
    return capture(classifier, pixels), ShownMap("hires_cam", "HiResCAM for 'bright'", 1, values)


def bright_cell(classifier):
    """The grid cell of the one bright patch, as a map."""
    pixels = classifier.backbone.preprocess(spot_picture())[None]
    grey = pixels.mean(dim=1)[0].reshape(8, pixels.shape[-1] // 8, 8, -1).mean(dim=(1, 3)).numpy()
    return grey == grey.max()


def test_p_counts_the_map_itself_among_the_random_ones():
    assert found(2.0, np.arange(50) / 50).p == pytest.approx(1 / 51)
    assert found(0.9, np.arange(50) / 50).p == pytest.approx(6 / 51)
    assert found(-1.0, np.arange(50) / 50).p_worse == pytest.approx(1 / 51)


@pytest.mark.parametrize(
    ("drop", "model", "unmoved", "state"),
    [
        (2.0, GOOD, False, "follows"),
        (2.0, GOOD, None, "follows"),
        (2.0, GOOD, True, "cannot tell"),
        (2.0, GUESSING, False, "cannot tell"),
        (2.0, UNKNOWN, False, "cannot tell"),
        (0.5, GOOD, False, "cannot tell"),
        (-2.0, GOOD, False, "worse than random"),
        (-2.0, GUESSING, False, "worse than random"),
    ],
)
def test_a_map_follows_only_with_a_small_p_and_a_model_that_beats_guessing(drop, model, unmoved, state):
    assert state_of(found(drop, np.arange(50) / 50), model["above_chance"], unmoved) == state


def test_a_map_whose_hiding_raises_the_odds_never_follows():
    raising = found(-0.5, np.full(50, -1.0))
    assert raising.p <= LEVEL
    assert state_of(raising, True) == "cannot tell"
    said = sentence(raising, "bright", GOOD, False)
    assert "raises the log-odds of 'bright' by 0.50" in said
    assert "lowers" not in said
    assert said.endswith("so it is no evidence for the class.")


def test_sentences_say_what_was_found():
    random = np.arange(50) / 50
    assert sentence(found(2.0, random), "bright", GOOD, False) == (
        "Hiding the 5% of patches that it marks most lowers the log-odds of 'bright' by 2.00; none of 50 random maps "
        "as smooth do at least as much (p = 0.02). It follows what this model uses in this image."
    )
    assert sentence(found(2.0, random), "bright", GUESSING, False).endswith("so what it follows may be chance.")
    assert sentence(found(2.0, random), "bright", UNKNOWN, False).endswith("on test images is not known.")
    assert sentence(found(2.0, random), "bright", GOOD, True).endswith("it may show the picture's structure.")
    assert sentence(found(0.5, random), "bright", GOOD, False).endswith("Whether it follows the model cannot be told.")
    worse = sentence(found(-0.001, random + 1), "bright", GOOD, False)
    assert "leaves the log-odds of 'bright' as they are; none of 50 random maps as smooth do as little" in worse
    assert worse.endswith("do not use it.")


def test_hiding_the_one_bright_patch_beats_hiding_it_anywhere_else(spot_classifier):
    captured, shown = spot(spot_classifier, bright_cell(spot_classifier).astype(float))
    told = examine(captured, shown, GOOD, no_step)
    assert (told["state"], told["random_maps"]) == ("follows", 50)
    assert 1 / 51 <= told["p"] <= LEVEL
    assert [step["patches"] for step in told["steps"]] == [1, 3, 6]
    assert told["drop"] == told["steps"][1]["drop"] > told["random_drop"]
    assert examine(captured, shown, GOOD, no_step) == told


def test_log_odds_are_those_of_classification_and_do_not_saturate(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    whole = np.zeros((1, 8, 8), dtype=bool)
    odds = hidden_log_odds(spot_classifier, pixels, whole, [1], no_step)
    scores = spot_classifier.logits_from_pixels(pixels)[0].detach().double()
    assert odds[0] == pytest.approx(float(scores[1] - scores[0]), rel=1e-4)


def test_random_maps_of_no_use_are_told_apart_from_chance_as_often_as_the_level_says(spot_classifier):
    captured, _ = spot(spot_classifier, SPOT.astype(float))
    rng = np.random.default_rng(5)
    small = [
        hide(captured, ShownMap("x", "x", 1, rng.normal(size=(8, 8))), no_step, seed=turn, n=19).p <= LEVEL
        for turn in range(60)
    ]
    assert sum(small) <= 8  # 3 expected; more than 8 of 60 has a probability below 0.5 %


def test_a_flat_or_unpainted_map_is_not_tested(spot_classifier):
    captured, shown = spot(spot_classifier, np.ones((8, 8)))
    assert examine(captured, shown, GOOD, no_step)["sentence"] == "The map marks nothing: all its values are 1."
    told = examine(captured, shown, GOOD, no_step, unpainted="No patch speaks for it.")
    assert (told["state"], told["sentence"]) == ("not tested", "No patch speaks for it.")
