"""Frozen features of pictures and texts: computed once, read from the store ever after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import Backbone, LayerTokens
from core.images.decode import DECODING_RULES, opened_picture
from core.images.labelled_image import LabelledImage
from core.tuning.feature_store import Computed, FeatureStore, address
from core.tuning.views import CENTER, draw_view, view_address

PICTURES_PER_PASS = 32
DECODING_THREADS = 2
TEXTS_PER_PASS = 64

PLAIN = "plain"
"""In the address of features: no visual tokens."""

Job = tuple[LabelledImage, int]
"""A picture and the number of one of its views."""


def image_features(
    backbone: Backbone,
    images: Sequence[LabelledImage],
    store: FeatureStore,
    *,
    tokens: LayerTokens | None = None,
    augmentation: str = CENTER,
    views: Sequence[int] = (0,),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Unit-norm features (images, views, joint_width) of the gradient-free tower with constant tokens.

    tokens: constant visual tokens, part of the address. progress: called with (done, total) passes of one picture.
    """
    tower, key = tower_facts(backbone), tokens.key() if tokens else PLAIN
    jobs = [(image, view) for image in images for view in views]
    addresses = [
        picture_address(tower, key, view_address(augmentation, seed, view), image.sha256) for image, view in jobs
    ]
    known = store.get(addresses)
    missing = {a: job for a, job in zip(addresses, jobs, strict=True) if a not in known}
    if progress:
        progress(len(jobs) - len(missing), len(jobs))
    started = time.monotonic()
    for chunk, pixels in _passes(backbone, missing, augmentation, seed):
        found = backbone.encode_images_frozen(pixels.to(backbone.device), tokens)
        fresh = dict(zip(chunk, functional.normalize(found.float(), dim=-1).cpu(), strict=True))
        store.put(fresh)
        known.update(fresh)
        if progress:
            progress(len(set(addresses) & known.keys()), len(set(addresses)))
    if missing:
        store.computed += Computed(time.monotonic() - started, len(missing))
    # every size is named: of an empty table none could be worked out
    table = _stacked([known[a] for a in addresses], backbone)
    return table.view(len(images), len(views), backbone.joint_width).to(backbone.device)


def text_features(backbone: Backbone, texts: Sequence[str], store: FeatureStore | None = None) -> Tensor:
    """Unit-norm features (texts, joint_width) of plain texts, dropout off."""
    store = store or FeatureStore()
    addresses = [address(*tower_facts(backbone), "text", text) for text in texts]
    known = store.get(addresses)
    missing = {a: text for a, text in zip(addresses, texts, strict=True) if a not in known}
    started = time.monotonic()
    # texts of like length share a pass, so that little is padded
    queue = sorted(missing, key=lambda a: len(missing[a]))
    for start in range(0, len(queue), TEXTS_PER_PASS):
        chunk = queue[start : start + TEXTS_PER_PASS]
        found = functional.normalize(backbone.encode_texts([missing[a] for a in chunk]).float(), dim=-1)
        fresh = dict(zip(chunk, found.cpu(), strict=True))
        store.put(fresh)
        known.update(fresh)
    if missing:
        store.computed += Computed(time.monotonic() - started)
    return _stacked([known[a] for a in addresses], backbone).to(backbone.device)


def view_pixels(backbone: Backbone, images: Sequence[LabelledImage], augmentation: str, view: int, seed: int) -> Tensor:
    """Model input (images, 3, size, size) of one view of each picture."""
    if not images:
        return torch.empty(0, 3, backbone.preprocessing.size, backbone.preprocessing.size)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        return torch.stack(list(pool.map(lambda image: _draw(backbone, image, augmentation, view, seed), images)))


def _stacked(rows: list[Tensor], backbone: Backbone) -> Tensor:
    """Rows (n, joint_width), of none as well."""
    return torch.stack(rows) if rows else torch.empty(0, backbone.joint_width)


def tower_facts(backbone: Backbone) -> tuple[str, ...]:
    """What features depend on beside picture, view and tokens: three texts."""
    return backbone.checksum, backbone.precision, str(backbone.preprocessing)


def picture_address(tower: Sequence[str], tokens: str, view: str, sha256: str) -> str:
    """Where the features of a view of a picture are kept. tokens: their key, or PLAIN. view: see `view_address`."""
    return address(*tower, tokens, f"decoding-{DECODING_RULES}", view, sha256)


def _passes(
    backbone: Backbone, missing: dict[str, Job], augmentation: str, seed: int
) -> Iterator[tuple[list[str], Tensor]]:
    """Addresses and pixels, pass by pass; the next pass is decoded while the tower works on this one."""
    order = list(missing)
    chunks = [order[start : start + PICTURES_PER_PASS] for start in range(0, len(order), PICTURES_PER_PASS)]
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        load = lambda a: _draw(backbone, missing[a][0], augmentation, missing[a][1], seed)  # noqa: E731
        ahead = [pool.submit(load, a) for a in chunks[0]] if chunks else []
        for number, chunk in enumerate(chunks):
            pixels = torch.stack([future.result() for future in ahead])
            following = chunks[number + 1] if number + 1 < len(chunks) else []
            ahead = [pool.submit(load, a) for a in following]
            yield chunk, pixels


def _draw(backbone: Backbone, image: LabelledImage, augmentation: str, view: int, seed: int) -> Tensor:
    with opened_picture(image.path) as picture:
        return draw_view(picture.rgb(), backbone, augmentation, seed, image.sha256, view)
