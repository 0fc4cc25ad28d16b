"""Attention shares, maps and rollout."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.backbones.contract import ImageAttention, LayerTokens
from core.errors import InvalidInput
from core.explain.attention import attention_map, layer_shares, mean_shares
from core.explain.redistribution import attend_with
from core.explain.registry import get_explainer
from tests.core.explain.towers import head_classifier

MODES = [("replace", 1), ("insert", 1), ("insert", -1), ("insert", 0)]


def known_attention() -> ImageAttention:
    """One layer, two heads, tokens (class, vector, patch, patch), the first cell of a 1 x 3 grid replaced."""
    first = torch.full((4, 4), 0.25)
    second = torch.tensor([[0.5, 0.1, 0.1, 0.3]]).repeat(4, 1)
    return ImageAttention(torch.stack([first, second])[None, None], 0, (1,), (2, 3), (1, 2), (1, 3))


def test_shares_are_means_over_heads_and_entropy_is_in_nats():
    (row,) = layer_shares(known_attention())
    assert row["class_token"] == pytest.approx(0.375)
    assert row["zero_vectors"] == pytest.approx(0.175)
    assert row["patches"] == pytest.approx(0.45)
    p = np.array([0.375, 0.175, 0.175, 0.275])
    assert row["entropy"] == pytest.approx(-(p * np.log(p)).sum())


def test_map_leaves_replaced_cells_empty():
    found = attention_map(known_attention())
    assert np.isnan(found[0, 0])
    assert found[0, 1:] == pytest.approx([0.175, 0.275])


def rollout(attention: ImageAttention) -> np.ndarray:
    """By the explainer, of a pass whose vectors are set anew at each layer."""
    tower = SimpleNamespace(reset_at=lambda layer: attention.extra)
    return get_explainer("rollout")().map_set(SimpleNamespace(attention=attention, tower=tower), [0]).maps[0]


def test_rollout_of_one_layer_halves_the_attention():
    assert rollout(known_attention())[0, 1:] == pytest.approx([0.0875, 0.1375])


def test_nothing_flows_through_vectors_set_anew_at_each_layer():
    # The class token looks only at the vector, which looks only at a patch: no patch reaches the class token.
    layer = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    attention = ImageAttention(layer.expand(2, 1, 1, 3, 3), 0, (1,), (2,), (1,), (1, 2))
    assert rollout(attention)[0, 1] == 0.0


@pytest.mark.parametrize(("mode", "start"), MODES)
def test_shares_of_each_layer_sum_to_one(backbone, pixels, mode, start):
    tokens = LayerTokens.zeros(3, backbone.image_width, backbone.image_layers, mode, start)
    layers = layer_shares(backbone.image_attention(pixels, tokens))
    assert len(layers) == backbone.image_layers
    for row in layers:
        assert row["zero_vectors"] + row["class_token"] + row["patches"] == pytest.approx(1, abs=1e-5)
        assert 0 < row["zero_vectors"] < 1
    assert mean_shares(layers)["patches"] == pytest.approx(np.mean([row["patches"] for row in layers]))


@pytest.mark.parametrize(("mode", "start"), MODES)
def test_a_pass_that_scores_too_gives_the_same_attention(backbone, pixels, mode, start):
    tokens = LayerTokens.zeros(3, backbone.image_width, backbone.image_layers, mode, start)
    expected = backbone.image_attention(pixels, tokens)
    found, _ = attend_with(head_classifier(backbone), pixels, tokens)
    assert torch.equal(found.weights, expected.weights)
    for name in ("class_token", "extra", "patches", "patch_index", "grid"):
        assert getattr(found, name) == getattr(expected, name), name


def test_the_map_of_the_last_layers_is_their_mean(backbone, pixels):
    attention = backbone.image_attention(pixels)
    two = attention_map(attention, last=2)
    assert two.shape == backbone.patch_grid
    assert two == pytest.approx((attention_map(attention, layer=-1) + attention_map(attention, layer=-2)) / 2)


def test_a_layer_that_does_not_exist_is_refused(backbone, pixels):
    with pytest.raises(InvalidInput, match="found layer 99"):
        attention_map(backbone.image_attention(pixels), layer=99)
