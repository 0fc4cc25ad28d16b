"""Operations that an answer about one more image takes."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.tuning.contract import Method

PLAIN: WeakKeyDictionary[object, dict[int, tuple[Tensor, int]]] = WeakKeyDictionary()
"""What a tower without anything added gives for so many empty pictures, and the operations it took: the same for all
methods that leave it as it is."""


def gflops_per_image(method: Method) -> float:
    """Thousand million floating-point operations of one more image, texts that are made for each image included.

    A multiply-add counts as two, as torch counts. Taken is the difference between two images and one: what is done
    once for all images, such as texts that depend on none, drops out. Matrix products and convolutions are counted.
    """
    return (_operations(method, 2) - _operations(method, 1)) / 1e9


def _operations(method: Method, images: int) -> int:
    encoded, tower = _encoded(method, images)
    # fused attention is one operation, which not every device's count knows
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        method.logits(encoded)
    return tower + int(counter.get_total_flops())


def _encoded(method: Method, images: int) -> tuple[Tensor, int]:
    is_plain = method.image_path(method.config) == "frozen" and type(method).encode_images is Method.encode_images
    known = PLAIN.setdefault(method.backbone, {}) if is_plain else {}
    if images not in known:
        reader = method.reader
        size = reader.preprocessing.size
        pixels = torch.zeros(images, 3, size, size, device=reader.device)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            known[images] = method.encode_images(pixels), int(counter.get_total_flops())
    return known[images]
