"""CILMP's worked numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.descriptions.templates import template_descriptions
from core.errors import InvalidInput, InvalidOption
from core.methods.cilmp import STAND_IN, averaging_weights
from core.tuning.contract import Batch, Method, Task
from core.tuning.loop import fit
from core.tuning.registry import get_method
from core.tuning.state_words import Intervention, StatesToWords
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data, data_for

LLM_WIDTH, CLIP_DEPTH, CLIP_IMAGE_WIDTH, CLIP_JOINT_WIDTH, RANK = 4096, 12, 768, 512, 8


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def with_states(layers: int, width: int = 6, **options: Any) -> Method:
    """The method on a language model of so many layers, whose states are random."""
    generator = torch.Generator().manual_seed(3)
    states = {name: torch.randn(layers, width, generator=generator) for name in CLASSES}
    kind = get_method("cilmp")
    task = Task(tiny_backbone(), CLASSES, template_descriptions(CLASSES), hidden_states=states)
    return kind(kind.Config.from_values(options), task)


@pytest.mark.parametrize(("text_width", "expected"), [(512, 3_846_528), (768, 3_883_392)])
def test_the_published_size_follows_from_the_widths(text_width: int, expected: int) -> None:
    # the paper prints 3.8 M for CLIP ViT-B/16, which only twelve independent sets give
    maps = StatesToWords(LLM_WIDTH, CLIP_JOINT_WIDTH, text_width, RANK)
    assert (count(maps.prefix), count(maps.suffix)) == (139_280, 139_280)
    tokens = 4 * text_width + 4 * CLIP_IMAGE_WIDTH
    assert CLIP_DEPTH * (count(maps) + tokens) == expected


def test_everything_that_is_learned_is_counted_and_gets_a_gradient() -> None:
    method, tower = with_states(10), tiny_backbone()
    maps = tower.text_layers * count(StatesToWords(6, tower.joint_width, tower.text_width, RANK))
    tokens = tower.text_layers * 4 * tower.text_width + tower.image_layers * 4 * tower.image_width
    assert count(method) == maps + tokens
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def test_subspaces_are_orthonormal_at_the_start() -> None:
    for maps in with_states(10, width=32).maps:
        for part in (maps.prefix, maps.suffix):
            torch.testing.assert_close(part.subspace.T @ part.subspace, torch.eye(RANK), atol=1e-5, rtol=0)


def test_a_change_of_zero_leaves_the_rows() -> None:
    part, states, images = Intervention(12, 5, 3), torch.randn(2, 4, 12), torch.randn(3, 5)
    with torch.no_grad():
        # the source says what the subspace already holds: Ws [h; r] + bs = h R, so delta = 0
        part.source.weight.copy_(torch.cat([part.subspace.T, torch.zeros(3, 12)], dim=1))
        part.source.bias.zero_()
        torch.testing.assert_close(part(states, images, 0.0), states.expand(3, -1, -1, -1))


def test_one_changed_row_by_hand() -> None:
    part = Intervention(2, 1, 1)
    with torch.no_grad():
        part.subspace.copy_(torch.tensor([[0.6], [0.8]]))
        part.source.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        part.source.bias.fill_(0.5)
        part.image_down.weight.fill_(2.0)
        part.image_down.bias.fill_(1.0)
        part.image_up.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        part.image_up.bias.copy_(torch.tensor([0.0, 2.0]))
        found = part(torch.tensor([[[5.0, 10.0]]]), torch.tensor([[0.5]]), 0.0)
    # rho = (2, 0), r = (10, 0); Ws [h; r] + bs = 5 + 20 + 30 + 0.5 = 55.5; h R = 11; delta = 44.5; h' = h + R delta
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([5 + 0.6 * 44.5, 10 + 0.8 * 44.5]))


def test_middle_rows_are_projected_as_they_are_and_outer_rows_depend_on_the_image() -> None:
    torch.manual_seed(0)
    maps, states, images = StatesToWords(12, 5, 7, 3), torch.randn(2, 6, 12), torch.randn(3, 5)
    with torch.no_grad():
        words = maps(states, images, rows=2, dropout=0.0)
        plain = states @ maps.down.weight.T @ maps.up.weight.T
    assert words.shape == (3, 2, 6, 7)
    torch.testing.assert_close(words[:, :, 2:4], plain[:, 2:4].expand(3, -1, -1, -1))
    for row in (0, 1, 4, 5):
        assert not torch.allclose(words[0, :, row], words[1, :, row], atol=1e-4)
        assert not torch.allclose(words[0, :, row], plain[:, row], atol=1e-4)


def test_dropout_hits_the_whole_state_and_keeps_its_mean() -> None:
    torch.manual_seed(0)
    part, states, images = Intervention(2000, 4, 2), torch.ones(1, 4, 2000), torch.zeros(1, 4)
    with torch.no_grad():
        plain, dropped = part(states, images, 0.0), part(states, images, 0.1)
    zeros = dropped == 0
    assert float(zeros.float().mean()) == pytest.approx(0.1, abs=0.02)
    torch.testing.assert_close(dropped[~zeros], plain[~zeros] / 0.9)


def test_prompts_hold_start_context_one_word_per_layer_and_the_name() -> None:
    method = with_states(10)
    images = clustered_data().train_features()[:2]
    plain, plain_mask = method.context.prompts()
    with torch.no_grad():
        words = method.maps[0](method.states, images, 4, 0.0)
        embeds, mask = method._prompts(words.flatten(0, 1), 2)
    assert embeds.shape[:2] == (6, plain.shape[1] + 10)
    assert mask.sum(dim=1).tolist() == (plain_mask.sum(dim=1) + 10).tolist() * 2
    torch.testing.assert_close(embeds[:, :5], plain[:, :5].repeat(2, 1, 1))
    torch.testing.assert_close(embeds[:, 5:15].unflatten(0, (2, 3)), words)
    torch.testing.assert_close(embeds[:, 15:], plain[:, 5:].repeat(2, 1, 1))


def test_deeper_text_layers_get_their_own_tokens_and_their_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    method, tower = with_states(10), tiny_backbone()
    images = clustered_data().train_features()[:2]
    seen: dict[int, Tensor] = {}
    encode = tower.encode_text

    def watched(embeds: Tensor, mask: Tensor, tokens: Any, dropout: bool) -> Tensor:
        def keep(layer: int, hidden: Tensor) -> Tensor:
            seen[layer] = hidden
            return hidden

        return encode(embeds, mask, tokens, keep, dropout=dropout)

    monkeypatch.setattr(tower, "encode_text", watched)
    with torch.no_grad():
        method.eval().logits(images)
        for layer in range(1, tower.text_layers):
            words = method.maps[layer](method.states, images, 4, 0.0).flatten(0, 1)
            torch.testing.assert_close(seen[layer][:, 1:5], method.deep[layer - 1].expand(6, -1, -1))
            torch.testing.assert_close(seen[layer][:, 5:15], words)


def test_visual_tokens_stand_behind_the_patches_in_every_layer() -> None:
    tokens, tower = build("cilmp").visual_tokens(), tiny_backbone()
    assert (tokens.mode, tokens.start, tokens.n, len(tokens.vectors)) == ("insert", -1, 4, tower.image_layers)


def test_averaging_weights_are_the_published_ones() -> None:
    weights = averaging_weights(100)
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[0]) == pytest.approx(1.1e-4, abs=0.05e-4)
    assert float(weights[-1]) == pytest.approx(0.026, abs=0.0005)
    assert float(weights[-30:].sum()) == pytest.approx(0.68, abs=0.005)
    assert float(weights[69] / weights[-1]) == pytest.approx(math.exp(-0.5))


def test_averaging_weights_keep_their_shape_at_other_lengths_unless_told_otherwise() -> None:
    assert float(averaging_weights(10)[6] / averaging_weights(10)[-1]) == pytest.approx(math.exp(-0.5))
    assert float(averaging_weights(10, 2.0)[7] / averaging_weights(10, 2.0)[-1]) == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize(("gpa", "tokens_move", "maps_move"), [("off", 0, 0), ("tokens", 1, 0), ("all", 1, 1)])
def test_the_average_replaces_what_the_option_names(gpa: str, tokens_move: int, maps_move: int) -> None:
    method = with_states(10, gpa=gpa, epochs=2, warmup_epochs=0, learning_rate=0.05, batch_size=4)
    history: list[dict[str, Tensor]] = []
    after = method.after_epoch

    def watched(epoch: int) -> None:
        after(epoch)
        history.append({name: value.detach().clone() for name, value in method.named_parameters()})

    method.after_epoch = watched  # type: ignore[method-assign]
    fit(method, data_for(method), seed=0)
    first, second = averaging_weights(2).tolist()
    for name, value in method.named_parameters():
        moves = maps_move if name.startswith("maps.") else tokens_move
        expected = first * history[0][name] + second * history[1][name] if moves else history[1][name]
        torch.testing.assert_close(value.detach(), expected, atol=1e-6, rtol=0)
        assert not torch.equal(history[0][name], history[1][name])


@pytest.mark.parametrize("orthogonal", [True, False])
def test_subspaces_stay_orthonormal_where_asked(orthogonal: bool) -> None:
    method = with_states(10, width=32, orthogonal=orthogonal, epochs=2, warmup_epochs=0, learning_rate=0.1, gpa="all")
    fit(method, data_for(method), seed=0)
    subspace = method.maps[0].prefix.subspace.detach()
    error = float((subspace.T @ subspace - torch.eye(RANK)).abs().max())
    assert (error < 1e-5) is orthogonal


def test_a_run_without_a_language_model_says_so() -> None:
    kind = get_method("cilmp")
    assert kind.notes(kind.Config()) == [STAND_IN]
    assert "not CILMP as published" in STAND_IN
    assert kind.notes(kind.Config(language_model="somewhere")) == []


def test_intervened_rows_that_would_meet_are_refused() -> None:
    assert with_states(10)._rows == 4
    assert with_states(7)._rows == 3
    with pytest.raises(InvalidOption, match="'intervened_rows' is at most half of the 6 layers"):
        with_states(6, intervened_rows=4)
    with pytest.raises(InvalidOption, match="Choose a model with more layers"):
        with_states(1)


def test_states_that_make_prompts_too_long_are_refused() -> None:
    limit = tiny_backbone().context_length
    with pytest.raises(InvalidInput, match=f"Class prompts of this backbone may have {limit} tokens"):
        with_states(limit - 5)


def test_a_class_without_states_is_named_as_missing() -> None:
    kind, states = get_method("cilmp"), {name: torch.zeros(8, 6) for name in CLASSES[:2]}
    task = Task(tiny_backbone(), CLASSES, template_descriptions(CLASSES), hidden_states=states)
    with pytest.raises(InvalidInput, match="2 of 3 classes have some"):
        kind(kind.Config(), task)
