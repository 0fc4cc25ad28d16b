"""ProGrad's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.methods.prograd import NEGLIGIBLE, project
from core.tuning.contract import Batch
from tests.core.tuning.test_every_method import build, clustered_data


def test_the_part_against_the_guide_is_taken_out() -> None:
    guide = torch.tensor([-1.0, 1.0])
    found = project(torch.tensor([1.0, 0.0]), guide, 1.0)
    assert found.tolist() == [0.5, 0.5]
    assert float(found @ guide) == 0.0
    assert project(torch.tensor([1.0, 0.0]), guide, 0.5).tolist() == [0.75, 0.25]


def test_a_gradient_that_goes_along_is_left_as_it_is() -> None:
    gradient = torch.tensor([1.0, 0.0])
    assert project(gradient, torch.tensor([1.0, 1.0]), 1.0) is gradient


def test_with_the_student_as_teacher_the_second_gradient_vanishes() -> None:
    # the teacher's sentence is the student's start, so the divergence is at its minimum
    method, data = build("prograd"), clustered_data()
    terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
    own, guide = (
        torch.autograd.grad(terms[name], method.context.vectors, retain_graph=True)[0].norm()
        for name in ("cross_entropy", "teacher")
    )
    assert float(guide) < NEGLIGIBLE * float(own)


def test_the_teacher_term_is_the_cross_entropy_of_the_softened_scores() -> None:
    method, data = build("prograd", teacher_template="scan of {}", temperature=2.0), clustered_data()
    images = data.train_features()
    with torch.no_grad():
        terms = method.loss_terms(Batch(data.labels, features=images))
        teacher = (method.backbone.logit_scale * images @ method._teacher.T / 2).softmax(-1)
        student = (method.logits(images) / 2).log_softmax(-1)
    assert float(terms["teacher"]) == pytest.approx(float(-(teacher * student).sum(-1).mean() * 4), rel=1e-5)
