"""Operations that an answer about one more image takes."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.tuning.contract import Method


def gflops_per_image(method: Method) -> float:
    """Thousand million floating-point operations of one more image, texts that are made for each image included.

    A multiply-add counts as two, as torch counts. Taken is the difference between two images and one: what is done
    once for all images, such as texts that depend on none, drops out. Matrix products and convolutions are counted.
    """
    return (_operations(method, 2) - _operations(method, 1)) / 1e9


def _operations(method: Method, images: int) -> int:
    reader = method.reader
    size = reader.preprocessing.size
    pixels = torch.zeros(images, 3, size, size, device=reader.device)
    # fused attention is one operation, which not every device's count knows
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        method.logits(method.encode_images(pixels))
    return int(counter.get_total_flops())
