"""Maps of a tower that becomes random from its last block down; the shared tower is never written to."""

import threading

import numpy as np
import pytest
import torch

from core.explain.captured import capture
from core.explain.randomised import SEEDS, cascade, depths_of, likeness, redrawn_blocks, with_blocks
from core.explain.registry import get_explainer
from tests.core.explain.tasks import method_classifier
from tests.core.explain.test_captured import METHODS


def no_step():
    return None


def state_of(backbone):
    return [parameter.clone() for block in backbone.image_blocks() for parameter in block.parameters()]


def random_last(classifier, seed=0):
    return with_blocks(classifier, redrawn_blocks(classifier, seed), 1)


def drawn(name):
    return lambda captured: get_explainer(name)().map_set(captured, [0]).maps[0]


def test_depths_go_from_the_last_block_to_all():
    assert depths_of(12) == [1, 3, 6, 12]
    assert depths_of(2) == [1, 2]
    assert depths_of(1) == [1]


def test_likeness_is_the_absolute_rank_correlation():
    own = np.arange(6.0).reshape(2, 3)
    assert likeness(own, own**3) == likeness(own, -own) == pytest.approx(1)
    assert likeness(own, np.array([[0.0, 1, 2], [3, 5, 4]])) == pytest.approx(33 / 35)
    assert likeness(own, np.ones((2, 3))) is None
    holes = np.where(own == 2, np.nan, own)
    assert likeness(holes, own) == pytest.approx(1)


def test_the_cascade_is_repeatable_and_leaves_the_tower_as_it_was(backbone, classifier, pixels):
    before, answer = state_of(backbone), classifier.logits_from_pixels(pixels).detach()
    kinds = [drawn("hires_cam"), drawn("attention")]
    first, second = (cascade(capture(classifier, pixels), kinds, no_step, seed=7) for _ in range(2))
    assert first == second
    for rows in first:
        assert [row["blocks"] for row in rows] == depths_of(backbone.image_layers)
        assert all(0 <= row["low"] <= row["correlation"] <= row["high"] <= 1 and row["seeds"] == SEEDS for row in rows)
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(backbone), strict=True))
    assert torch.equal(classifier.logits_from_pixels(pixels).detach(), answer)
    assert not backbone.image_blocks()[-1]._forward_hooks


def test_a_map_of_the_picture_alone_stays_as_it_is(classifier, pixels):
    grid = classifier.backbone.patch_grid
    picture = np.arange(float(np.prod(grid))).reshape(grid)
    (rows,) = cascade(capture(classifier, pixels), [lambda captured: picture], no_step)
    assert [row["correlation"] for row in rows] == pytest.approx([1.0] * len(rows))


def test_redrawn_weights_keep_mean_and_deviation(backbone, classifier):
    for own, other in zip(backbone.image_blocks(), redrawn_blocks(classifier, 0), strict=True):
        for a, b in zip(own.parameters(), other.parameters(), strict=True):
            if a.ndim > 1:
                assert not torch.allclose(a, b)
                assert float(b.std()) == pytest.approx(float(a.std()), rel=0.15)


def test_the_randomised_blocks_change_the_answer_for_their_own_copy_only(classifier, pixels):
    answer, elsewhere = classifier.logits_from_pixels(pixels).detach(), []
    other = random_last(classifier)
    here = other.logits_from_pixels(pixels).detach()
    thread = threading.Thread(target=lambda: elsewhere.append(classifier.logits_from_pixels(pixels).detach()))
    thread.start()
    thread.join()
    assert not torch.allclose(here, answer)
    assert torch.equal(elsewhere[0], answer)
    assert other.method.task.classes == classifier.method.task.classes


@pytest.mark.parametrize("kind", METHODS)
def test_every_kind_of_image_path_goes_through_the_randomised_block(backbone, pixels, kind):
    name, options = METHODS[kind]
    tuned = method_classifier(backbone, name, **options)
    own, other = capture(tuned, pixels), capture(random_last(tuned), pixels)
    assert not torch.allclose(own.logits, other.logits)
    assert torch.equal(capture(tuned, pixels).logits, own.logits)
