"""CoCoOp's worked numbers."""

from __future__ import annotations

import pytest
import torch

from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, clustered_data


def test_a_silent_network_leaves_coop() -> None:
    method, images = build("cocoop"), clustered_data().train_features()
    with torch.no_grad():
        method.meta_net.linear2.weight.zero_()
        method.meta_net.linear2.bias.zero_()
        torch.testing.assert_close(method.logits(images), build("coop").logits(images), atol=1e-4, rtol=0)


def test_every_context_vector_is_shifted_by_the_same_vector_of_the_image() -> None:
    method, images = build("cocoop"), clustered_data().train_features()[:2]
    net = method.meta_net
    with torch.no_grad():
        hidden = (images @ net.linear1.weight.T + net.linear1.bias).clamp(min=0)
        shift = hidden @ net.linear2.weight.T + net.linear2.bias
        for image, moved, row in zip(images, shift, method.logits(images), strict=True):
            texts = method.context.features(method.context.vectors + moved)
            torch.testing.assert_close(row, tiny_backbone().logit_scale * texts @ image, atol=1e-4, rtol=0)


def test_the_parameters_are_context_and_two_layers() -> None:
    joint, width = tiny_backbone().joint_width, tiny_backbone().text_width
    hidden = joint // 16
    expected = 4 * width + joint * hidden + hidden + hidden * width + width
    assert sum(p.numel() for p in build("cocoop").parameters()) == expected


def test_the_published_size_for_biomedclip_follows_from_its_widths() -> None:
    # 4 x 768 context, 512 -> 32 -> 768 with biases: the number the reference prints
    assert pytest.approx(44_832) == 4 * 768 + 512 * 32 + 32 + 32 * 768 + 768
