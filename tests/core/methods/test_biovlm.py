"""BioVLM's worked numbers."""

from __future__ import annotations

import json
import math

import pytest
import torch

from core.descriptions.files import parse_descriptions
from core.methods.biovlm import entropy_of_mean, surest
from core.tuning.contract import Batch, Method, Task
from core.tuning.registry import get_method
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data


def batch() -> Batch:
    data = clustered_data()
    images = data.train_features()
    return Batch(data.labels, features=images, views={"strong": images, "weak": images})


def test_each_image_keeps_the_surer_half_of_the_prompts() -> None:
    unsure, sure = [0.0, 0.0], [5.0, 0.0]
    scores = torch.tensor([[unsure, sure], [sure, unsure], [unsure, unsure], [[4.0, 0.0], [0.0, 4.0]]])
    assert surest(scores).tolist() == [[sure, sure], [[4.0, 0.0], [0.0, 4.0]]]


def test_the_entropy_is_that_of_the_mean_distribution() -> None:
    certain = torch.tensor([[[100.0, 0.0]], [[0.0, 100.0]]])
    assert float(entropy_of_mean(certain)) == pytest.approx(math.log(2), abs=1e-6)
    assert float(entropy_of_mean(certain[:1])) == pytest.approx(0, abs=1e-6)


def test_the_bank_is_what_is_learned() -> None:
    shapes = [tuple(p.shape) for p in build("biovlm").parameters()]
    assert shapes == [(10, 1, 4, tiny_backbone().text_width)]


def test_the_entropy_term_reaches_the_prompts() -> None:
    method = build("biovlm")
    (gradient,) = torch.autograd.grad(method.loss_terms(batch())["entropy"], method.context.vectors)
    assert float(gradient.abs().sum()) > 0


def test_the_distillation_is_divided_by_images_prompts_and_classes() -> None:
    method = build("biovlm", similarity_weight=0.0)
    images = batch().features
    with torch.no_grad():
        term = method.loss_terms(batch())["distillation"]
        final = method.logits(images).log_softmax(-1)
        plain = method._scores(images, method._attributes)
        total = 0.0
        for bank in (plain, torch.cat([plain, plain])):
            teacher = surest(bank).mean(dim=0).log_softmax(-1)
            total += float((teacher.exp() * (teacher - final)).sum()) / (12 * 10 * 3)
    assert float(term) == pytest.approx(total, rel=1e-4)


def test_the_published_entropy_is_counted_and_not_trained() -> None:
    published, ours = (
        build("biovlm", entropy_gradient=wanted).loss_terms(batch())["entropy"] for wanted in (False, True)
    )
    assert float(published.detach()) == pytest.approx(float(ours.detach()), rel=1e-6)
    assert (published.requires_grad, ours.requires_grad) == (False, True)


def test_fixed_words_that_are_embedded_twice_have_been_through_the_embedding_block() -> None:
    plain, twice = build("biovlm"), build("biovlm", double_embedding=True)
    tower, context = tiny_backbone(), plain.context
    entering = []
    tower.text_tokens(
        context._embeds, context._mask, before_layer=lambda layer, hidden: entering.append(hidden) or hidden
    )
    torch.testing.assert_close(twice.context._embeds, entering[0])
    # learned words are raw in both
    assert torch.equal(twice.context.prompts()[0][:, 1:5], plain.context.prompts()[0][:, 1:5])
    with torch.no_grad():
        assert float((twice.prompt_features() - plain.prompt_features()).abs().max()) > 1e-3


def test_the_published_similarity_runs_over_classes() -> None:
    method = build("biovlm", similarity_over="classes", similarity_weight=0.5)
    with torch.no_grad():
        term = float(method.loss_terms(batch())["similarity"])
        texts, known = method.prompt_features(), method._attributes
        known = known[torch.arange(10) % len(known)]
        per_feature = (texts * known).sum(dim=1) / (texts.norm(dim=1) * known.norm(dim=1))
    assert per_feature.shape == (10, tiny_backbone().joint_width)
    assert term == pytest.approx(0.5 * (1 - float(per_feature.mean())), rel=1e-4)


def described(sentences: dict[str, list[str]]) -> Method:
    """The method with descriptions as a file of theirs gives them."""
    biovlm = get_method("biovlm")
    given = parse_descriptions(json.dumps(sentences), "attributes.json")
    return biovlm(biovlm.Config(), Task(tiny_backbone(), CLASSES, given))


def test_the_order_of_classes_in_the_descriptions_changes_nothing() -> None:
    sentences = {name: [f"{name}, {n} mm wide", f"{n} times {name}"] for n, name in enumerate(CLASSES)}
    turned = {name: sentences[name] for name in reversed(CLASSES)}
    exchanged = dict(zip(CLASSES, reversed(sentences.values()), strict=True))
    assert list(turned) == list(reversed(sentences))
    found = []
    for given in (sentences, turned, exchanged):
        method = described(given)
        terms = method.loss_terms(batch())
        method.backward(terms)
        losses = {name: term.detach() for name, term in terms.items()}
        logits = method.logits(batch().features).detach()
        found.append(losses | {"gradient": method.context.vectors.grad, "logits": logits})
    plain, other_order, other_classes = found
    assert all(torch.equal(other_order[name], value) for name, value in plain.items())
    # sentences that change places do change what is compared with them
    for name in ("distillation", "similarity", "gradient"):
        assert not torch.equal(other_classes[name], plain[name])


def test_the_similarity_is_the_mean_over_prompts_and_classes_of_cosines_over_features(monkeypatch) -> None:
    method = build("biovlm", prompts=3, similarity_weight=0.5)
    learned = [[[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0], [0.8, 0.6]], [[0.8, 0.6]] * 3]
    known = [[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [[0.6, 0.8], [0.0, 1.0], [0.8, 0.6]]]
    monkeypatch.setattr(method, "prompt_features", lambda: torch.tensor(learned))
    method._attributes = torch.tensor(known)
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    terms = method.loss_terms(Batch(torch.tensor([0, 1]), features=images, views={"strong": images, "weak": images}))
    # the first prompt meets the first attribute: 1, 0.8, 0.8; the second the second: 0.8, 0, 1; the third the first
    # again: 0.8, 0.6, 0.96
    assert float(terms["similarity"]) == pytest.approx(0.5 * (1 - (2.6 + 1.8 + 2.36) / 9), abs=1e-6)
