from __future__ import annotations

import pytest
import torch
from torch import nn

from core.backbones.attention import drop
from core.backbones.low_precision import PackedLinear, can_pack, shorten

CPU = torch.device("cpu")
needs_packing = pytest.mark.skipif(
    not can_pack(torch.bfloat16, CPU), reason="this build of PyTorch packs no matrices in bf16"
)


def linear(bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(48, 32, bias=bias).requires_grad_(False)


@needs_packing
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 48), (2, 3, 48), (300, 48)])
def test_a_packed_layer_gives_what_the_layer_gives_in_value_and_gradient(bias, shape):
    plain = linear(bias)
    packed = PackedLinear(plain, torch.empty(48 * 32, dtype=torch.bfloat16))
    x = torch.randn(shape)
    results = []
    for layer, input_ in ((packed, x), (plain.to(torch.bfloat16), x.bfloat16())):
        input_ = input_.clone().requires_grad_()
        found = layer(input_)
        found.float().square().sum().backward()
        results.append((found.float(), input_.grad.float()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.02)


@needs_packing
def test_packing_leaves_the_original_blocks_alone():
    block = nn.Sequential(linear(), nn.LayerNorm(32))
    before = block[0].weight.clone()
    (copy,) = shorten([block], torch.bfloat16, packed=True)
    assert (type(copy[0]), type(block[0])) == (PackedLinear, nn.Linear)
    assert torch.equal(block[0].weight, before)
    assert copy[1].weight is block[1].weight


def test_only_a_processor_packs_and_only_bf16():
    assert not can_pack(torch.float16, CPU)
    assert not can_pack(torch.bfloat16, torch.device("cuda"))


def test_dropout_sets_its_share_to_zero_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(500, 401, requires_grad=True)
    found = drop(x, 0.1, active=True)
    kept = found != 0
    # 200,500 draws: four standard deviations of the share are 0.0027
    assert float(kept.float().mean()) == pytest.approx(0.9, abs=0.0027)
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / 0.9))
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())


def test_dropout_follows_the_seed_and_is_off_unless_asked_for():
    x = torch.randn(7, 13)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(drop(x, 0.5, active=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert drop(x, 0.5, active=False) is x
