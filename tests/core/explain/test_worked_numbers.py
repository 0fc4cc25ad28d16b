"""Every explainer gives the numbers worked out by hand for a tower of width 3 with two patches."""

import numpy as np
import pytest
import torch

from core.backbones.contract import LayerTokens
from core.errors import FlatMap
from core.explain.captured import capture
from core.explain.explainers.rise import weigh
from core.explain.registry import get_explainer
from tests.core.explain.little import little_classifier, little_pixels

EXACT = 6e-5
"""The numbers are written with four decimals."""


@pytest.fixture(scope="module")
def found():
    return capture(little_classifier(), little_pixels())


def zeros(n, mode):
    return LayerTokens.zeros(n, 3, 2, mode)


def maps_of(found, name, index=0, **options):
    explainer = get_explainer(name).with_options(options)
    return explainer.map_set(found, [index]).maps[0, 0]


def test_scores_and_probabilities(found):
    assert found.logits.tolist() == pytest.approx([-3.6293, -2.2004], abs=EXACT)
    assert float(found.probabilities[0]) == pytest.approx(0.3286, abs=EXACT)


def test_attention_of_both_blocks(found):
    rows = found.attention.weights[:, 0, 0, 0]
    assert rows[0].tolist() == pytest.approx([0.3122, 0.3281, 0.3597], abs=EXACT)
    assert rows[1].tolist() == pytest.approx([0.2894, 0.3465, 0.3641], abs=EXACT)
    assert maps_of(found, "attention", last=1) == pytest.approx([0.3465, 0.3641], abs=EXACT)


def test_gradients_of_attention(found):
    first, last = (layer[0, 0, 0].tolist() for layer in found.attention_gradients([0]).values())
    assert first == pytest.approx([-2.7180, 1.0369, 0.7808], abs=2e-4)
    assert last == pytest.approx([-2.5083, 0.1986, 0.0321], abs=EXACT)
    assert found.last_gradients([0]).weights[0, 0].tolist() == pytest.approx(last, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("rollout", {}, [0.2750, 0.2831]),
        ("rollout", {"residual": 0}, [0.4256, 0.4085]),
        ("rollout", {"discard": 0.5}, [0.0542, 0.3338]),
        ("rollout", {"discard": 0.5, "discard_axis": "reference"}, [0.0474, 0.2924]),
        ("relevance", {"layers": "last"}, [0.0688, 0.0117]),
        ("relevance", {"layers": "all"}, [0.4090, 0.2925]),
        ("legrad", {}, [0.3679, 0.1685]),
        ("grad_eclip", {}, [0.0, 0.0321]),
        ("grad_eclip", {"looseness": "none"}, [0.1986, 0.0321]),
        ("grad_eclip", {"looseness": "attention"}, [0.0688, 0.0117]),
        ("grad_cam", {}, [0.2517, 0.2059]),
        ("hires_cam", {}, [0.2653, 0.1897]),
        ("score_cam", {}, [0.1223, 0.1386]),
    ],
)
def test_maps(found, name, options, expected):
    assert maps_of(found, name, **options) == pytest.approx(expected, abs=EXACT)


def test_legrad_layer_by_layer(found):
    legrad = get_explainer("legrad")()
    layers = [legrad._layer(found, layer, [0])[0, 1:].tolist() for layer in range(2)]
    assert layers[0] == pytest.approx([0.3017, 0.1579], abs=EXACT)
    assert layers[1] == pytest.approx([0.0662, 0.0107], abs=EXACT)


def test_legrad_by_the_mean_of_tokens_has_nothing_to_show_for_one_class(found):
    explainer = get_explainer("legrad").with_options({"pool": "mean"})
    with pytest.raises(FlatMap, match="LeGrad for 'first' has none"):
        explainer.maps(found, [0])
    assert explainer._layer(found, 1, [1])[0, 1:].tolist() == pytest.approx([0.0131, 0.0137], abs=EXACT)


def test_the_gradient_of_what_attention_mixed(found):
    mixed = found.last_gradients([0]).mixed[0, 0].tolist()
    assert mixed == pytest.approx([0.9246, 0.1161, -1.0407], abs=EXACT)


def test_score_cam_weights_with_channels_left_out(found):
    kind = get_explainer("score_cam")
    scores = torch.tensor([-4.9131, -4.9131], dtype=torch.float64)
    excluded = kind.with_options({"channels": 2})._weights(scores, 0.0, 3)
    reference = kind.with_options({"channels": 2, "unscored": "reference"})._weights(scores, 0.0, 3)
    assert excluded.tolist() == pytest.approx([0.5, 0.5], abs=EXACT)
    assert reference.tolist() == pytest.approx([0.0072, 0.0072], abs=EXACT)
    assert maps_of(found, "score_cam", channels=2) == pytest.approx([-0.2235, -0.2707], abs=1e-4)


def test_rise_over_all_four_masks():
    masks = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    classifier = little_classifier()
    answers = torch.cat(
        [classifier.probabilities_from_pixels(little_pixels(*(m * torch.tensor([1, 2])).tolist())) for m in masks]
    ).double()[:, :1]
    assert weigh(masks, answers, 0.5, "official")[0].tolist() == pytest.approx([0.2107, 0.2457], abs=EXACT)
    assert weigh(masks, answers, 0.5, "centred")[0].tolist() == pytest.approx([0.1057, 0.1757], abs=EXACT)


def test_one_zero_vector_inserted():
    found = capture(little_classifier(zeros(1, "insert")), little_pixels())
    assert found.logits.tolist() == pytest.approx([-3.4397, -2.4186], abs=EXACT)
    rows = found.attention.weights[:, 0, 0, 0].double()
    assert rows[:, 1].tolist() == pytest.approx([0.1734, 0.1712], abs=EXACT)
    shares = rows[:, 2:] / rows[:, 2:].sum(dim=1, keepdim=True)
    assert shares[0].tolist() == pytest.approx([0.4770, 0.5230], abs=EXACT)
    assert shares[1].tolist() == pytest.approx([0.4824, 0.5176], abs=EXACT)


@pytest.mark.parametrize(("n", "mode", "shares"), [(2, "insert", [0.2956, 0.2971]), (1, "replace", [0.2379, 0.2574])])
def test_the_share_of_other_zero_vectors(n, mode, shares):
    attention = capture(little_classifier(zeros(n, mode)), little_pixels()).attention
    assert attention.weights[:, 0, 0, 0, list(attention.extra)].sum(dim=1).tolist() == pytest.approx(shares, abs=EXACT)


def test_rollout_throws_away_what_stood_in_a_vector_that_is_set_anew():
    found = capture(little_classifier(zeros(1, "insert")), little_pixels())
    drawn = get_explainer("rollout")().map_set(found, [0])
    assert drawn.maps[0, 0] == pytest.approx([0.2080, 0.2170], abs=EXACT)
    assert drawn.facts["vectors_share"] == pytest.approx(0.1697, abs=EXACT)


def test_rollout_follows_a_vector_that_is_left_to_evolve():
    found = capture(little_classifier(LayerTokens((torch.zeros(1, 3),), "insert")), little_pixels())
    mixed = [(weights[0, 0].double() + torch.eye(4)) / 2 for weights in found.attention.weights]
    expected = (mixed[1] @ mixed[0])[0]
    drawn = get_explainer("rollout")().map_set(found, [0])
    assert drawn.maps[0, 0] == pytest.approx(expected[2:].tolist(), abs=1e-7)
    reset = capture(little_classifier(zeros(1, "insert")), little_pixels())
    assert np.abs(drawn.maps - get_explainer("rollout")().map_set(reset, [0]).maps).max() > 1e-3


def test_the_value_of_a_zero_vector_is_not_nothing():
    classifier = little_classifier(zeros(1, "insert"))
    found = capture(classifier, little_pixels())
    for layer, expected in enumerate([0.1222, 0.1209]):
        output = classifier.backbone.attention_output(layer)
        written = found.tower.blocks[layer].value[0, 0].detach() @ (output.scale[:, None] * output.weight).T
        lengths = written.norm(dim=-1)
        assert float(lengths[1] / lengths[[0, 2, 3]].mean()) == pytest.approx(expected, abs=EXACT)
