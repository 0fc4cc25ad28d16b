"""BiomedCoOp's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.methods.biomedcoop import keep_inliers
from core.tuning.contract import Batch
from core.tuning.losses import divergence
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data

# scores and the mask that the official code gave for them (limit 1.5); it standardises twice, which changes nothing
SCORES = torch.tensor([0.7859606742858887, -0.36091452836990356, -0.6791045665740967, -1.4233454465866089])
MORE = torch.tensor([-1.4388716220855713, -2.0590145587921143])


def test_the_z_score_keeps_what_the_official_code_kept() -> None:
    kept = keep_inliers(torch.cat([SCORES, MORE]), 1.5, "z_score")
    assert kept.tolist() == [False, True, True, True, True, True]


@pytest.mark.parametrize("limit", [1.0, 1.25, 1.5, 1.75, 2.0])
def test_the_z_score_keeps_what_standardised_distances_from_the_median_would(limit: float) -> None:
    # the published way: distance from the median over the median absolute deviation, then standardised once more
    lost = 0
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        # in float64 no score lies within rounding of the limit
        scores = 85 * torch.randn(3 + seed % 48, generator=generator, dtype=torch.float64).abs()
        robust = (scores - scores.median()) / (scores - scores.median()).abs().median()
        standardised = (robust - robust.mean()) / robust.std()
        kept = keep_inliers(scores, limit, "z_score")
        assert kept.tolist() == (standardised.abs() <= limit).tolist()
        lost += int((~kept).sum())
    assert lost > 300


def test_the_announced_median_test_is_offered_beside_it() -> None:
    # median 2, median absolute deviation 1: 9 lies 7 away
    assert keep_inliers(torch.tensor([1.0, 2.0, 3.0, 9.0]), 2.0, "mad").tolist() == [True, True, True, False]


def test_scores_without_spread_leave_nothing_out() -> None:
    assert keep_inliers(torch.ones(4), 1.5, "mad").all()
    assert keep_inliers(torch.ones(1), 1.5, "z_score").all()


def test_the_loss_is_cross_entropy_plus_squared_distance_plus_divergence() -> None:
    method = build("biomedcoop", text_dropout=False, anchor_weight=2.0, distillation_weight=0.3)
    data, scale = clustered_data(), tiny_backbone().logit_scale
    images, labels = data.train_features()[:4], data.labels[:4]
    with torch.no_grad():
        terms = method.loss_terms(Batch(labels, features=images))
        texts, anchors = method.class_features(), method.task.description_anchors()
        teacher = scale * images @ method.selected_anchors(images).T
        expected = 0.3 * divergence(scale * images @ texts.T, teacher)
    assert float(terms["anchor"]) == pytest.approx(2 * float((texts - anchors).square().mean()), rel=1e-4)
    assert float(terms["distillation"]) == pytest.approx(float(expected), rel=1e-4)


def test_distances_per_class_and_image_are_larger_by_width_and_classes() -> None:
    data = clustered_data()
    batch = Batch(data.labels, features=data.train_features())
    found = {}
    for how in ("element", "sample"):
        with torch.no_grad():
            found[how] = build("biomedcoop", text_dropout=False, loss_reduction=how).loss_terms(batch)
    assert float(found["sample"]["anchor"] / found["element"]["anchor"]) == pytest.approx(tiny_backbone().joint_width)
    assert float(found["sample"]["distillation"] / found["element"]["distillation"]) == pytest.approx(3)
    assert torch.equal(found["sample"]["cross_entropy"], found["element"]["cross_entropy"])
