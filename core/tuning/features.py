"""Frozen features of pictures and texts: computed once, read from the store ever after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import Backbone, LayerTokens, PictureReader
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
    reader: PictureReader,
    images: Sequence[LabelledImage],
    store: FeatureStore,
    *,
    tokens: LayerTokens | None = None,
    augmentation: str = CENTER,
    views: Sequence[int] = (0,),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Features (images, views, joint_width) of the gradient-free tower with constant tokens, a backbone's of unit norm.

    tokens: constant visual tokens, part of the address. progress: called with (done, total) passes of one picture.
    """
    tower, key = tower_facts(reader), tokens.key() if tokens else PLAIN
    jobs = [(image, view) for image in images for view in views]
    addresses = [
        picture_address(tower, key, view_address(augmentation, seed, view), image.sha256) for image, view in jobs
    ]
    known = store.get(addresses)
    missing = {a: job for a, job in zip(addresses, jobs, strict=True) if a not in known}
    if progress:
        progress(len(jobs) - len(missing), len(jobs))
    started = time.monotonic()
    for chunk, pixels in _passes(reader, missing, augmentation, seed):
        fresh = dict(zip(chunk, frozen_pass(reader, pixels, tokens).cpu(), strict=True))
        store.put(fresh)
        known.update(fresh)
        if progress:
            progress(len(set(addresses) & known.keys()), len(set(addresses)))
    if missing:
        store.computed += Computed(time.monotonic() - started, len(missing))
    # every size is named: of an empty table none could be worked out
    table = _stacked([known[a] for a in addresses], reader)
    return table.view(len(images), len(views), reader.joint_width).to(reader.device)


def frozen_pass(reader: PictureReader, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
    """Features (batch, joint_width) of model input as they are kept."""
    found = reader.encode_images_frozen(pixels.to(reader.device), tokens).float()
    return functional.normalize(found, dim=-1) if reader.unit_features else found


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


def view_pixels(
    reader: PictureReader, images: Sequence[LabelledImage], augmentation: str, view: int, seed: int
) -> Tensor:
    """Model input (images, 3, size, size) of one view of each picture."""
    if not images:
        return torch.empty(0, 3, reader.preprocessing.size, reader.preprocessing.size)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        return torch.stack(list(pool.map(lambda image: _draw(reader, image, augmentation, view, seed), images)))


def _stacked(rows: list[Tensor], reader: PictureReader) -> Tensor:
    """Rows (n, joint_width), of none as well."""
    return torch.stack(rows) if rows else torch.empty(0, reader.joint_width)


def tower_facts(reader: PictureReader) -> tuple[str, ...]:
    """What features depend on beside picture, view and tokens: three texts."""
    return reader.checksum, reader.precision, str(reader.preprocessing)


def picture_address(tower: Sequence[str], tokens: str, view: str, sha256: str) -> str:
    """Where the features of a view of a picture are kept. tokens: their key, or PLAIN. view: see `view_address`."""
    return address(*tower, tokens, f"decoding-{DECODING_RULES}", view, sha256)


def _passes(
    reader: PictureReader, missing: dict[str, Job], augmentation: str, seed: int
) -> Iterator[tuple[list[str], Tensor]]:
    """Addresses and pixels, pass by pass; the next pass is decoded while the tower works on this one."""
    order = list(missing)
    chunks = [order[start : start + PICTURES_PER_PASS] for start in range(0, len(order), PICTURES_PER_PASS)]
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        load = lambda a: _draw(reader, missing[a][0], augmentation, missing[a][1], seed)  # noqa: E731
        ahead = [pool.submit(load, a) for a in chunks[0]] if chunks else []
        for number, chunk in enumerate(chunks):
            pixels = torch.stack([future.result() for future in ahead])
            following = chunks[number + 1] if number + 1 < len(chunks) else []
            ahead = [pool.submit(load, a) for a in following]
            yield chunk, pixels


def _draw(reader: PictureReader, image: LabelledImage, augmentation: str, view: int, seed: int) -> Tensor:
    with opened_picture(image.path) as picture:
        return draw_view(picture.rgb(), reader, augmentation, seed, image.sha256, view)
