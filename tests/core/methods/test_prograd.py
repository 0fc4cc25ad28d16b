"""ProGrad's worked numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from core.backbones import load_backbone
from core.descriptions.templates import template_descriptions
from core.methods.prograd import NEGLIGIBLE, project
from core.tuning.contract import Batch, Task
from core.tuning.loop import fit
from core.tuning.registry import get_method
from tests.builders import session_folder, tiny_backbone_folder
from tests.core.tuning.test_every_method import build, clustered_data, unit_vectors


def test_the_part_against_the_guide_is_taken_out() -> None:
    guide = torch.tensor([-1.0, 1.0])
    found = project(torch.tensor([1.0, 0.0]), guide, 1.0)
    assert found.tolist() == [0.5, 0.5]
    assert float(found @ guide) == 0.0
    assert project(torch.tensor([1.0, 0.0]), guide, 0.5).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_of_an_opposing_gradient_is_orthogonal_to_the_guide(seed: int) -> None:
    gradient, guide = torch.randn(2, 4, 768, generator=torch.Generator().manual_seed(seed))
    guide = -guide * (gradient * guide).sum().sign()
    along = float((gradient * guide).sum())
    found = project(gradient, guide, 1.0)
    assert along < 0
    assert float((found * guide).sum()) == pytest.approx(0, abs=1e-6 * float(gradient.norm() * guide.norm()))
    # what was taken out lies along the guide
    torch.testing.assert_close(gradient - found, along / guide.square().sum() * guide, atol=1e-6, rtol=1e-4)


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


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("towers", ["timm-bert", "clip-causal"])
def test_a_student_that_teaches_itself_gives_a_second_gradient_of_rounding_alone(towers: str, seed: int) -> None:
    method = build("prograd", towers=towers, teacher="student", teacher_template="scan of {}")
    images = unit_vectors(24, method.backbone.joint_width, seed)
    terms = method.loss_terms(Batch(torch.arange(24) % 3, features=images))
    own, guide = (
        torch.autograd.grad(terms[name], method.context.vectors, retain_graph=True)[0].norm()
        for name in ("cross_entropy", "teacher")
    )
    assert float(guide) < 1e-6 * float(own)


def test_the_teacher_term_is_the_cross_entropy_of_the_softened_scores() -> None:
    method, data = build("prograd", teacher_template="scan of {}", temperature=2.0), clustered_data()
    images = data.train_features()
    with torch.no_grad():
        terms = method.loss_terms(Batch(data.labels, features=images))
        teacher = (method.backbone.logit_scale * images @ method._teacher.T / 2).softmax(-1)
        student = (method.logits(images) / 2).log_softmax(-1)
    assert float(terms["teacher"]) == pytest.approx(float(-(teacher * student).sum(-1).mean() * 4), rel=1e-5)


@pytest.mark.parametrize(("teacher", "corrected"), [("zero_shot", True), ("student", False)])
def test_only_the_frozen_teacher_corrects_a_step(teacher: str, corrected: bool) -> None:
    # the labels are what the plain sentences hold least likely, so that learning them opposes the teacher
    images = clustered_data().train_features()
    method = build("prograd", teacher=teacher, teacher_template="scan of {}")
    with torch.no_grad():
        labels = (images @ method._teacher.T).argmin(dim=-1)
    terms = method.loss_terms(Batch(labels, features=images))
    (own,) = torch.autograd.grad(terms["cross_entropy"], method.context.vectors, retain_graph=True)
    (guide,) = torch.autograd.grad(terms["teacher"], method.context.vectors, retain_graph=True)
    method.backward(terms)
    found = method.context.vectors.grad
    if corrected:
        assert float((own * guide).sum()) < 0
        assert float((found * guide).sum()) == pytest.approx(0, abs=1e-4 * float(own.norm() * guide.norm()))
    else:
        torch.testing.assert_close(found, own, atol=0, rtol=0)


def first_guide(precision: str, **options: Any) -> Tensor:
    """The guide's gradient in the first step, as the loop computes it."""
    folder, home = tiny_backbone_folder(), session_folder() / "home"
    backbone = load_backbone(folder, device="cpu", precision=precision, home=home)
    kind = get_method("prograd")
    classes = ("bright disc", "dark disc", "no disc")
    method = kind(kind.Config.from_values(options), Task(backbone, classes, template_descriptions(classes))).train()
    data = clustered_data()
    with method.step_passes():
        terms = method.loss_terms(Batch(data.labels, features=data.train_features()))
    (guide,) = torch.autograd.grad(terms["teacher"], method.context.vectors)
    return guide.flatten()


@pytest.mark.parametrize(
    "options",
    [
        {"template": "a scan of a {}."},
        {"template": "a scan of a {}.", "teacher_template": "a photo of a {}."},
        {"random_start": True},
    ],
    ids=["one sentence", "another sentence", "random start"],
)
def test_in_bf16_the_guide_points_where_it_points_in_fp32(options: dict[str, Any]) -> None:
    short, exact = first_guide("bf16", **options), first_guide("fp32", **options)
    assert float(exact.norm()) > 0
    assert float(torch.cosine_similarity(short, exact, dim=0)) > 0.99


@pytest.mark.parametrize("name", ["prograd", "kgcoop"])
def test_the_teachers_sentence_is_the_template_unless_one_is_given(name: str) -> None:
    task = build(name).task
    for options, sentence in (
        ({"template": "a scan of a {}."}, "a scan of a {}."),
        ({"template": "a scan of a {}.", "teacher_template": ""}, "a scan of a {}."),
        ({"template": "a scan of a {}.", "teacher_template": "one {}"}, "one {}"),
    ):
        assert torch.equal(build(name, **options)._teacher, task.template_features(sentence))


def test_the_published_teacher_makes_it_coop() -> None:
    contexts = []
    for name, options in (("prograd", {"teacher": "student", "teacher_template": "scan of {}"}), ("coop", {})):
        method = build(name, **options)
        fit(method, clustered_data(), seed=0)
        contexts.append(method.context.vectors.detach())
    torch.testing.assert_close(contexts[0], contexts[1], atol=1e-6, rtol=0)
