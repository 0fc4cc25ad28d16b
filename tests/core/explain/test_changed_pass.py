"""Passes with something changed: the worked numbers, and agreement with the tower's own passes."""

import pytest
import torch

from core.backbones.changeable_block import changeable
from core.backbones.contract import LayerTokens
from core.explain.attention import class_token_rows
from core.explain.changed_pass import Change, RegisterShift, change_of_units, observe
from tests.core.explain.worked import PIXELS, WorkedBackbone


@pytest.fixture(params=["timm", "open_clip"])
def worked(request):
    return WorkedBackbone(request.param)


def zeros(k, mode="insert", layers=2, width=3, start=-1):
    return LayerTokens.zeros(k, width, layers, mode, 1 if mode == "replace" else start)


def test_the_worked_tower_gives_its_logits_and_rows(worked):
    found = observe(worked, PIXELS, Change(), 0)
    assert worked.logits(found.features)[0].tolist() == pytest.approx([-3.6293, -2.2004], abs=5e-5)
    assert found.class_token[0].tolist() == pytest.approx([0.3122, 0.2894], abs=5e-5)
    assert found.attention[0, 0].tolist() == pytest.approx([0.3281, 0.3597], abs=5e-5)
    assert found.attention[0, 1].tolist() == pytest.approx([0.3465, 0.3641], abs=5e-5)


def test_one_zero_vector_draws_the_worked_shares(worked):
    plain, found = observe(worked, PIXELS, Change(), 0), observe(worked, PIXELS, Change(zeros(1)), 0)
    assert worked.logits(found.features)[0].tolist() == pytest.approx([-3.4397, -2.4186], abs=5e-5)
    assert found.vectors[0].tolist() == pytest.approx([0.1734, 0.1712], abs=5e-5)
    before, after = (each.attention / each.attention.sum(dim=-1, keepdim=True) for each in (plain, found))
    assert before[0, 0].tolist() == pytest.approx([0.4770, 0.5230], abs=5e-5)
    assert after[0, 0].tolist() == pytest.approx(before[0, 0].tolist(), abs=1e-6)
    assert before[0, 1].tolist() == pytest.approx([0.4876, 0.5124], abs=5e-5)
    assert after[0, 1].tolist() == pytest.approx([0.4824, 0.5176], abs=5e-5)


def test_two_inserted_and_one_replacing_draw_the_worked_shares(worked):
    two, one = observe(worked, PIXELS, Change(zeros(2)), 0), observe(worked, PIXELS, Change(zeros(1, "replace")), 0)
    assert two.vectors[0].tolist() == pytest.approx([0.2956, 0.2971], abs=5e-5)
    assert one.vectors[0].tolist() == pytest.approx([0.2379, 0.2574], abs=5e-5)
    assert one.cells.tolist() == [False, True]
    assert one.attention[0, :, 0].tolist() == [0, 0]


def test_written_is_attention_times_the_length_of_what_the_head_writes(worked):
    found = observe(worked, PIXELS, Change(), 0)
    tower = worked.image_tower
    parts = changeable(tower.blocks[0])
    with torch.no_grad():
        _, _, value = parts.qkv(parts.norm(tower.norm_first(tower.embed(PIXELS))))
    expected = found.attention[0, 0] * (0.5 * value[0, 0, 1:]).norm(dim=-1)
    assert found.written[0, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_blocks_taken_apart_give_what_they_give(backbone, pixels):
    hidden = torch.randn(2, 7, backbone.image_width, generator=torch.Generator().manual_seed(0))
    for block in backbone.image_blocks():
        parts = changeable(block)
        with torch.no_grad():
            expected = block(hidden)
            assert torch.allclose(parts.run(hidden), expected, atol=1e-5)
            assert torch.allclose(parts.run(hidden, change_hidden=lambda units: units), expected, atol=1e-5)


@pytest.mark.parametrize(("mode", "start"), [("replace", 1), ("insert", 1), ("insert", -1)])
def test_shares_and_features_are_those_of_the_towers_own_pass(backbone, pixels, mode, start):
    tokens = LayerTokens.zeros(3, backbone.image_width, backbone.image_layers, mode, start)
    own, found = backbone.image_attention(pixels, tokens), observe(backbone, pixels, Change(tokens), 0)
    heads = own.weights.shape[2]
    attention = found.attention[0].unflatten(0, (-1, heads)).mean(dim=1)
    rows = class_token_rows(own)[:, 0]
    assert torch.allclose(attention[:, list(own.patch_index)], rows[:, list(own.patches)], atol=1e-6)
    vectors = found.vectors[0].unflatten(0, (-1, heads)).mean(dim=1)
    assert torch.allclose(vectors, rows[:, list(own.extra)].sum(dim=1), atol=1e-6)
    features = torch.nn.functional.normalize(backbone.encode_images(pixels, tokens), dim=-1)
    assert torch.allclose(found.features, features, atol=1e-5)
    sums = found.attention.sum(dim=-1) + found.vectors + found.class_token
    assert torch.allclose(sums, torch.ones_like(sums))


def test_any_inserted_vector_leaves_the_first_block_as_it_was_within_each_head(backbone, pixels):
    vector = torch.randn(4, backbone.image_width, generator=torch.Generator().manual_seed(3)) * 5
    tokens = LayerTokens((vector,) * backbone.image_layers, "insert", -1)
    plain, found = observe(backbone, pixels, Change(), 0), observe(backbone, pixels, Change(tokens), 0)
    heads = changeable(backbone.image_blocks()[0]).heads
    before, after = (each.attention[:, :heads] for each in (plain, found))
    before, after = (each / each.sum(dim=-1, keepdim=True) for each in (before, after))
    assert torch.allclose(before, after, atol=1e-6)
    assert float(found.vectors[:, :heads].min()) > 0


def test_vectors_without_values_dilute_and_nothing_else(worked):
    own, silent = (observe(worked, PIXELS, Change(zeros(1), values=v), 0) for v in ("own", "none"))
    assert silent.vectors[0, 0] == pytest.approx(float(own.vectors[0, 0]))
    plain = observe(worked, PIXELS, Change(), 0)
    assert not torch.allclose(silent.features, own.features, atol=1e-3)
    assert not torch.allclose(silent.features, plain.features, atol=1e-3)


def test_the_constant_alone_leaves_the_attention_of_the_first_block(worked):
    plain, only = observe(worked, PIXELS, Change(), 0), observe(worked, PIXELS, Change(zeros(1), values="only"), 0)
    assert only.attention[0, 0].tolist() == pytest.approx(plain.attention[0, 0].tolist())
    assert only.vectors[0].tolist() == [0, 0]
    # by hand: each token's update is the attention of the plain pass plus the drawn share of the vector's value
    once = Change(LayerTokens((torch.zeros(1, 3), None), "insert", -1), values="only", only_block=0)
    found = observe(worked, PIXELS, once, 0)
    tower, (first, second) = worked.image_tower, (changeable(block) for block in worked.image_tower.blocks)
    with torch.no_grad():
        hidden = torch.cat([tower.embed(PIXELS), torch.zeros(1, 1, 3)], dim=1)
        query, key, value = first.qkv(first.norm(hidden))
        scores = (query @ key.transpose(-2, -1) * 3**-0.5)[0, 0, :3]
        drawn, free = scores.softmax(-1)[:, 3:], scores[:, :3].softmax(-1)
        constant = torch.tensor([0.0, 0.1, 0.0])
        after = hidden[0, :3] + 0.5 * (free @ value[0, 0, :3] + drawn * value[0, 0, 3]) + constant
        query, key, _ = second.qkv(second.norm(after[None]))
        row = (query @ key.transpose(-2, -1) * 3**-0.5).softmax(-1)[0, 0, 0]
    assert found.attention[0, 1].tolist() == pytest.approx(row[1:].tolist(), abs=1e-6)


def test_zeros_at_one_block_are_gone_after_it(backbone, pixels):
    at, layers, width = 1, backbone.image_layers, backbone.image_width
    vectors = tuple(torch.zeros(2, width) if layer == at else None for layer in range(layers))
    found = observe(backbone, pixels, Change(LayerTokens(vectors, "insert", -1), only_block=at), 0)
    drawn = found.vectors[0].unflatten(0, (layers, -1)).mean(dim=1)
    assert [bool(share > 0) for share in drawn] == [layer == at for layer in range(layers)]


def test_dropped_cells_are_missing_and_the_rest_sums_to_one(backbone, pixels):
    found = observe(backbone, pixels, Change(dropped=(0, 5)), 0)
    assert not found.cells[[0, 5]].any()
    assert found.attention[..., [0, 5]].sum() == 0
    sums = found.attention.sum(dim=-1) + found.class_token
    assert torch.allclose(sums, torch.ones_like(sums))
    nothing = observe(backbone, pixels, Change(dropped=()), 0)
    assert torch.allclose(nothing.features, observe(backbone, pixels, Change(), 0).features)


def test_a_shift_moves_the_largest_value_of_each_unit_onto_the_register(backbone):
    hidden = torch.zeros(1, 5, 4)
    hidden[0, :, 2] = torch.tensor([1.0, -7.0, 3.0, 2.0, 0.5])
    hidden[0, :, 0] = 1.0
    moved = change_of_units(RegisterShift({1: (2,)}), 1, prefix=1)(hidden)
    assert moved[0, :, 2].tolist() == [1.0, 0, 0, 0, -7.0]
    assert torch.equal(moved[0, :, 0], hidden[0, :, 0])
    assert change_of_units(RegisterShift({1: (2,)}), 0, prefix=1) is None
