"""A map is held against random placements of itself, with the model's own worth beside it."""

import numpy as np
import pytest
import torch

from core.explain.hiding import covered, hidden_scores, probe, squares_over
from core.explain.trust import LEVEL, Compared, ShownMap, compare, examine, sentence, state_of
from tests.core.explain.towers import spot_picture

GOOD, GUESSING, UNKNOWN = {"above_chance": True}, {"above_chance": False}, {"above_chance": None}
SPOT = np.arange(64.0).reshape(8, 8) == 41


def no_step():
    return None


def found(drop, random):
    return Compared((0.0, drop, 0.0), drop, np.asarray(random, dtype=float), (1, 3, 6))


def spot(classifier, values):
    pixels = classifier.backbone.preprocess(spot_picture())[None]
    shown = ShownMap("hires_cam", "HiResCAM for 'bright'", 1, values)
    return ["dark", "bright"], shown, probe(classifier, pixels, no_step)


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
        "Hiding squares where it marks most lowers the log-odds of 'bright' by 2.00 on average; none of 50 random maps "
        "as smooth do at least as much (p = 0.02). It follows what this model uses in this image."
    )
    assert sentence(found(2.0, random), "bright", GUESSING, False).endswith("so what it follows may be chance.")
    assert sentence(found(2.0, random), "bright", UNKNOWN, False).endswith("on test images is not known.")
    assert sentence(found(2.0, random), "bright", GOOD, True).endswith("it may show the picture's structure.")
    assert sentence(found(0.5, random), "bright", GOOD, False).endswith("Whether it follows the model cannot be told.")
    worse = sentence(found(-0.001, random + 1), "bright", GOOD, False)
    assert (
        "leaves the log-odds of 'bright' as they are on average; none of 50 random maps as smooth do as little" in worse
    )
    assert worse.endswith("do not use it.")


def test_hiding_the_one_bright_patch_beats_hiding_it_anywhere_else(spot_classifier):
    asked = spot(spot_classifier, bright_cell(spot_classifier).astype(float))
    told = examine(*asked, GOOD)
    assert (told["state"], told["random_maps"]) == ("follows", 8 * 64 - 1)
    assert 1 / 512 <= told["p"] <= LEVEL
    assert [step["patches"] for step in told["steps"]] == [1, 1, 1], "only what is above 0 is marked"
    assert told["drop"] == pytest.approx(np.mean([step["drop"] for step in told["steps"]]))
    assert told["drop"] > told["random_drop"]
    assert examine(*asked, GOOD) == told


def test_squares_are_a_quarter_wide_and_cover_every_patch():
    for cells, side in ((14, 4), (24, 6), (8, 2), (7, 2), (3, 1)):
        squares = squares_over((cells, cells))
        assert squares.any(axis=0).all()
        assert len(squares) == {14: 36, 24: 36, 8: 49, 7: 36, 3: 9}[cells]
        assert {int(square.sum()) for square in squares} == {side**2}
    squares = squares_over((14, 14))
    assert np.argwhere(squares[7])[[0, -1]].tolist() == [[2, 2], [5, 5]]
    for top in range(12):
        for left in range(12):
            assert squares[:, top : top + 3, left : left + 3].all(axis=(1, 2)).any(), "3 patches are hidden as a whole"


def test_drops_are_log_odds_of_classification_averaged_over_the_squares_on_a_patch(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    probed = probe(spot_classifier, pixels, no_step)
    scores = spot_classifier.logits_from_pixels(pixels)[0].detach().double()
    assert probed.whole[1] == pytest.approx(float(scores[1] - scores[0]), rel=1e-4)
    over = [number for number, square in enumerate(probed.squares) if square[4, 4]]
    hidden = hidden_scores(spot_classifier, pixels, probed.squares[over], no_step)
    expected = float(scores[1] - scores[0]) - (hidden[:, 1] - hidden[:, 0]).mean()
    assert probed.drops(1)[4, 4] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_random_maps_of_no_use_get_a_small_p_as_often_as_the_level_says(spot_classifier):
    _, _, probed = spot(spot_classifier, SPOT.astype(float))
    rng = np.random.default_rng(5)
    small = [compare(rng.normal(size=(8, 8)), probed.drops(1)).p <= LEVEL for _ in range(400)]
    assert sum(small) <= 34  # 20 expected; more than 34 of 400 has a probability below 0.2 %


def test_what_is_hidden_shows_its_surroundings_and_no_edge():
    pixels = torch.linspace(0, 1, 224).expand(1, 3, 224, 224).clone()
    marked = torch.zeros(1, 1, 224, 224, dtype=torch.bool)
    marked[..., 96:128, 96:128] = True
    slope = pixels.clone()
    pixels[marked.expand_as(pixels)] = 9.0
    found = covered(pixels, marked)
    assert torch.equal(found[~marked.expand_as(found)], pixels[~marked.expand_as(found)])
    inside = (found - slope)[marked.expand_as(found)]
    assert float(inside.abs().max()) < 0.1, "nothing of the 9 shines through"


def test_a_flat_or_unpainted_map_is_not_tested(spot_classifier):
    asked = spot(spot_classifier, np.ones((8, 8)))
    assert examine(*asked, GOOD)["sentence"] == "The map marks nothing: all its values are 1."
    classes, shown, probed = asked
    against = ShownMap(shown.kind, shown.title, 1, -np.arange(64.0).reshape(8, 8))
    assert examine(classes, against, probed, GOOD)["sentence"] == "The map marks nothing: no value is above 0."
    told = examine(*asked, GOOD, unpainted="No patch speaks for it.")
    assert (told["state"], told["sentence"]) == ("not tested", "No patch speaks for it.")
