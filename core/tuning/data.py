"""The training data as methods see it: features or pixels of views, batches, and a validation part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from core.backbones.contract import Backbone, LayerTokens, PartlyEncoded, PictureReader
from core.images.labelled_image import LabelledImage
from core.images.shots import ShotDraw
from core.tuning.config import ImagePath, LoopConfig
from core.tuning.feature_store import FeatureStore
from core.tuning.features import PICTURES_PER_PASS, image_features, view_pixels
from core.tuning.training_data import Batch, TrainingData, epoch_generator, group_numbers
from core.tuning.views import CENTER, ON_TOP

KEPT_BYTES = 1 << 30  # of pictures part-way through a tower that is trained; beyond it they are drawn at each step
FLOAT_BYTES = 4


class ImageData(TrainingData):
    """Training data from drawn images: cached features for frozen towers, pixels for trained ones."""

    def __init__(
        self,
        backbone: Backbone,
        draw: ShotDraw,
        store: FeatureStore,
        *,
        seed: int,
        path: ImagePath = "frozen",
        tokens: LayerTokens | None = None,
        augmentation: str = CENTER,
        views: int = 1,
        extra_views: Mapping[str, str] | None = None,
        steady_layers: int | None = 0,
        reader: PictureReader | None = None,
        unlabelled: tuple[LabelledImage, ...] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._backbone, self._draw, self._store = backbone, draw, store
        self._reader = reader or backbone
        self._unlabelled = unlabelled
        self._steady_layers = steady_layers
        self._seed, self._path, self._tokens = seed, path, tokens
        # of the centre there is one view, of changes on top of it as many as of any other
        self._augmentation, self._views = augmentation, 1 if augmentation == CENTER and not extra_views else views
        self._extra = {name: augmentation + ON_TOP + change for name, change in (extra_views or {}).items()}
        self._progress = progress
        self._kept: dict[Any, Any] = {}
        self.labels = torch.tensor([i.label for i in draw.train], device=backbone.device)
        self.groups = group_numbers([i.group for i in draw.train]).to(backbone.device)
        self.validation_labels = torch.tensor(
            [i.label for i in draw.validation], dtype=torch.int64, device=backbone.device
        )

    def validation_pixels(self) -> Tensor:
        """Model input (validation, 3, size, size) of the centre views."""
        return view_pixels(self._reader, self._draw.validation, CENTER, 0, 0).to(self._backbone.device)

    def warm(self) -> None:
        """Compute what training will ask for, so that the time it takes is shown as its own stage."""
        augmentations = {self._augmentation, *self._extra.values()}
        if self._path != "trained":
            self.validation_features()
            for augmentation in augmentations:
                self._views_of(augmentation)
        elif self._keeps_parts():
            jobs = [(each, view) for each in augmentations for view in range(self._views_drawn(each))]
            for done, job in enumerate(jobs):
                self._parts_of(*job)
                if self._progress:
                    self._progress((done + 1) * self.n_train, len(jobs) * self.n_train)

    def train_features(self, augmentation: str = CENTER, view: int = 0) -> Tensor:
        if augmentation == self._augmentation and view < self._views and self._path != "trained":
            return self._views_of(augmentation)[:, view]
        return self._features("train", augmentation, (view,))[:, 0]

    def validation_features(self) -> Tensor:
        return self._features("validation", CENTER, (0,))[:, 0]

    def unlabelled_features(self) -> Tensor:
        return self._features("unlabelled", CENTER, (0,))[:, 0]

    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Batch]:
        order = torch.randperm(self.n_train, generator=epoch_generator(self._seed, epoch))
        for index in order.split(config.batch_size)[: self.steps_per_epoch(config)]:
            yield self._batch(index, epoch % self._views)

    def _batch(self, index: Tensor, view: int) -> Batch:
        where = index.to(self.labels.device)
        if self._path == "trained":
            pixels = self._pixels(index, self._augmentation, view)
            further = {name: self._pixels(index, augmentation, view) for name, augmentation in self._extra.items()}
            return Batch(self.labels[where], pixels=pixels, views=further, index=index)
        further = {name: self._views_of(augmentation)[where, view] for name, augmentation in self._extra.items()}
        features = self._views_of(self._augmentation)[where, view]
        return Batch(self.labels[where], features=features, views=further, index=index)

    def _views_of(self, augmentation: str) -> Tensor:
        found = self._features("train", augmentation, tuple(range(self._views_drawn(augmentation))))
        return found.expand(-1, self._views, -1)

    def _views_drawn(self, augmentation: str) -> int:
        return 1 if augmentation == CENTER else self._views

    def _features(self, part: str, augmentation: str, views: tuple[int, ...]) -> Tensor:
        key = (part, augmentation, views)
        if key not in self._kept:
            parts = {"train": self._draw.train, "validation": self._draw.validation, "unlabelled": self._unlabelled}
            self._kept[key] = image_features(
                self._reader,
                parts[part],
                self._store,
                tokens=self._tokens,
                augmentation=augmentation,
                views=views,
                seed=self._seed,
                progress=self._progress,
            )
        return self._kept[key]

    def _pixels(self, index: Tensor, augmentation: str, view: int) -> Tensor | PartlyEncoded:
        view %= self._views_drawn(augmentation)
        if self._keeps_parts():
            return self._parts_of(augmentation, view)[index.to(self.labels.device)]
        images = [self._draw.train[i] for i in index.tolist()]
        return view_pixels(self._reader, images, augmentation, view, self._seed).to(self._backbone.device)

    def _keeps_parts(self) -> bool:
        """Whether all views fit into memory part-way through the tower."""
        tower = self._backbone
        views = sum(map(self._views_drawn, {self._augmentation, *self._extra.values()}))
        hidden, pixels = (1 + math.prod(tower.patch_grid)) * tower.image_width, 3 * self._reader.preprocessing.size**2
        size = (pixels if self._steady_layers is None else hidden) * FLOAT_BYTES
        return self.n_train * views * size <= KEPT_BYTES

    def _parts_of(self, augmentation: str, view: int) -> Tensor | PartlyEncoded:
        """All training images of a view, or their pixels; computed whole, so that nothing depends on the batches."""
        key, tower = ("parts", augmentation, view), self._backbone
        if key not in self._kept:
            layer, chunks = self._steady_layers, range(0, self.n_train, PICTURES_PER_PASS)
            pixels = (
                view_pixels(self._reader, self._draw.train[at : at + PICTURES_PER_PASS], augmentation, view, self._seed)
                for at in chunks
            )
            if layer is None:
                self._kept[key] = torch.cat([part.to(tower.device) for part in pixels])
            else:
                hidden = torch.cat([tower.encode_part(part, layer, self._tokens).hidden for part in pixels])
                self._kept[key] = PartlyEncoded(hidden, layer)
        return self._kept[key]


class TensorData(TrainingData):
    """Training data from tensors with the batches given: for recorded traces and worked numbers."""

    def __init__(
        self,
        labels: Tensor,
        batches: list[list[int]],
        *,
        features: Tensor | None = None,
        pixels: Tensor | PartlyEncoded | None = None,
        views: Mapping[str, Tensor] | None = None,
        validation_features: Tensor | None = None,
        validation_labels: Tensor | None = None,
        groups: Tensor | None = None,
        unlabelled: Tensor | None = None,
    ) -> None:
        self.groups = torch.arange(len(labels)) if groups is None else groups
        self.labels, self._batches, self._features, self._pixels = labels, batches, features, pixels
        self._views, self._unlabelled = dict(views or {}), unlabelled
        self._validation = validation_features if validation_features is not None else torch.empty(0)
        self.validation_labels = (
            validation_labels if validation_labels is not None else torch.empty(0, dtype=torch.int64)
        )

    def train_features(self, augmentation: str = CENTER, view: int = 0) -> Tensor:
        assert self._features is not None, "this data was given as pixels"
        return self._features

    def validation_features(self) -> Tensor:
        return self._validation

    def unlabelled_features(self) -> Tensor:
        return super().unlabelled_features() if self._unlabelled is None else self._unlabelled

    def steps_per_epoch(self, config: LoopConfig) -> int:
        return len(self._batches)

    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Batch]:
        for rows in self._batches:
            index = torch.tensor(rows)
            yield Batch(
                self.labels[index],
                features=None if self._features is None else self._features[index],
                pixels=None if self._pixels is None else self._pixels[index],
                views={name: values[index] for name, values in self._views.items()},
                index=index,
            )
