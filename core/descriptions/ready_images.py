"""Training images that are ready to be held against sentences: drawn, encoded, their backbone kept loaded.

Once it is ready a changed sentence costs one encoded text, so that its effect is there while somebody waits for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.backbones.catalogue import find_folder
from core.backbones.loading import file_checksum, find_weights, load_backbone
from core.descriptions.evidence.images import EvidenceImages
from core.images.image_set import ImageSet
from core.images.leakage import find_leaks
from core.images.shots import draw_shots
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features, text_features

if TYPE_CHECKING:
    from core.backbones.contract import Backbone

MOST_SHOTS = 16
KEPT = 4
"""Draws whose image features are kept; a few megabytes each."""


@dataclass(frozen=True)
class Draw:
    """Which training images: `shots` of each class of an image set, as a training with this seed draws them.

    image_set: its fingerprint, so that another set's images are never taken for them.
    """

    image_set: str
    backbone: str
    shots: int
    seed: int


@dataclass(frozen=True)
class ReadyImages:
    """Drawn training images with their features, and the encoder for sentences.

    classes: names in label order. leaks: how many images or groups of the set stand in its test part as well.
    """

    draw: Draw
    classes: tuple[str, ...]
    images: EvidenceImages
    backbone: Backbone
    store: FeatureStore
    leaks: int

    @property
    def scale(self) -> float:
        """The backbone's factor on cosines."""
        return float(self.backbone.logit_scale)

    def as_dict(self) -> dict[str, Any]:
        """Which images these are: backbone, shots, seed, n_images, unit ("images" or "groups"), n_units, n_leaks."""
        return {
            "backbone": self.draw.backbone,
            "shots": self.draw.shots,
            "seed": self.draw.seed,
            "n_images": len(self.images),
            "unit": self.images.units.kind,
            "n_units": self.images.n_units,
            "n_leaks": self.leaks,
        }

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit features (texts, width); texts that were met before are not encoded again."""
        return text_features(self.backbone, texts, self.store).cpu().numpy().astype(np.float64)


class KeptImages:
    """The images used last, ready in memory. One computation at a time; one backbone is kept loaded.

    home: where the feature cache and fetched backbones lie. folders: whether a backbone may be a folder outside it.
    """

    def __init__(self, home: Path, *, folders: bool = True) -> None:
        self._home, self._folders = home, folders
        self._lock = threading.Lock()
        self._backbone: tuple[tuple[str, str], Backbone] | None = None
        self._ready: OrderedDict[tuple[str, Draw], ReadyImages] = OrderedDict()
        self._store: FeatureStore | None = None

    @contextmanager
    def using(self, draw: Draw, load: Callable[[], ImageSet]) -> Iterator[ReadyImages]:
        """Images of a draw, for this thread alone until the block ends.

        load: reads the image set, called where its images are not ready. Raises NotFound, Unavailable, NotAllowed for
        the backbone, and what `draw_shots` raises.
        """
        _, folder = find_folder(draw.backbone, self._home, folders=self._folders)
        checksum = file_checksum(find_weights(folder), self._home)
        with self._lock:
            key = (checksum, draw)
            if key not in self._ready:
                ready = self._prepare(draw, checksum, load())
                self._ready[key] = ready
                while len(self._ready) > KEPT:
                    self._ready.popitem(last=False)
            self._ready.move_to_end(key)
            yield self._ready[key]

    def _prepare(self, draw: Draw, checksum: str, image_set: ImageSet) -> ReadyImages:
        drawn = draw_shots(image_set, draw.shots, draw.seed).train
        encoder, store = self._loaded(draw.backbone, checksum), self._opened()
        features = image_features(encoder, drawn, store)[:, 0].cpu().numpy()
        images = EvidenceImages.of(
            features, [each.label for each in drawn], [each.group for each in drawn], len(image_set.classes)
        )
        return ReadyImages(draw, image_set.classes, images, encoder, store, len(find_leaks(image_set)))

    def _loaded(self, name: str, checksum: str) -> Backbone:
        if self._backbone is None or self._backbone[0] != (name, checksum):
            # the draws hold the encoder too: two large ones at once may be more than the machine has
            self._ready.clear()
            self._backbone = None
            self._backbone = ((name, checksum), load_backbone(name, home=self._home, folders=self._folders))
        return self._backbone[1]

    def _opened(self) -> FeatureStore:
        self._store = self._store or FeatureStore(self._home / "cache" / "features.sqlite")
        return self._store


def usual_shots(training_images: Sequence[int]) -> int:
    """As many shots as the smallest class has training images: at least 1, at most 16.

    training_images: how many each class has.
    """
    return max(1, min([MOST_SHOTS, *training_images]))
