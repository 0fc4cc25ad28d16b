"""TCP's worked numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.methods.tcp import match_length
from core.tuning.contract import Batch
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import build, clustered_data


@pytest.mark.parametrize(("text_width", "expected"), [(512, 331_904), (768, 465_024)])
def test_the_published_widths_give_the_published_size(text_width: int, expected: int) -> None:
    kind = type(build("tcp"))
    method = kind(kind.Config(), wide_task(text_width=text_width, joint_width=512))
    assert sum(p.numel() for p in method.parameters()) == expected


def test_without_the_injected_words_it_is_kgcoop() -> None:
    data = clustered_data()
    batch = Batch(data.labels, features=data.train_features())
    with torch.no_grad():
        plain = build("tcp", inject=False, random_start=False).loss_terms(batch)
        known = build("kgcoop").loss_terms(batch)
    assert {name: float(value) for name, value in plain.items()} == pytest.approx(
        {name: float(value) for name, value in known.items()}, abs=1e-6
    )


@pytest.mark.parametrize("towers", ["timm-bert", "clip-causal"])
def test_words_equal_to_those_in_place_change_nothing(towers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = build("tcp", towers=towers, inject_norm="none")
    seen: list[Tensor] = []

    def keep(layer: int, hidden: Tensor) -> Tensor:
        if layer == method._layer:
            seen.append(hidden[:, 1 : 1 + method.context.n])
        return hidden

    with torch.no_grad():
        plain = torch.nn.functional.normalize(method.context.raw_features(before_layer=keep), dim=-1)
        changed = method.class_features()
        monkeypatch.setattr(method, "class_words", lambda: seen[0])
        same = method.class_features()
    torch.testing.assert_close(same, plain, atol=1e-6, rtol=0)
    assert float((changed - plain).abs().max()) > 1e-3


def test_the_words_enter_two_thirds_up_the_tower() -> None:
    assert build("tcp")._layer == 2
    assert build("tcp", inject_layer=1)._layer == 1


def test_matched_words_are_as_long_as_those_they_replace() -> None:
    words, replaced = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]]), torch.tensor([[[0.0, 6.0], [12.0, 0.0]]])
    # 5 and 1 are 3 on average, 6 and 12 are 9: three times as long
    assert match_length(words, replaced).tolist() == [[[9.0, 12.0], [0.0, 3.0]]]


def test_every_learned_part_gets_a_gradient() -> None:
    method, data = build("tcp"), clustered_data()
    method.backward(method.loss_terms(Batch(data.labels, features=data.train_features())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())
