"""The pictures whose features cells will have to compute, because no earlier cell or run has left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.errors import PromptoscopeError
from core.experiments.cells import Cell, cell_setup
from core.experiments.controlled import controlled_options
from core.experiments.protocols import Drawn, draw_cell
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.tuning.contract import Method, MethodConfig
from core.tuning.features import PLAIN, picture_address
from core.tuning.registry import get_method
from core.tuning.views import CENTER, ON_TOP, view_address

Kept = Callable[[list[str]], set[str]]
"""Which of some addresses the store holds, see `FeatureStore.holds`."""
Where = tuple[str, str, str]
"""Key of visual tokens, view, and content of a picture."""


def planned_config(spec: ExperimentSpec, cell: Cell, image_set: ImageSet, backbone: str) -> MethodConfig:
    """The options a cell will be trained with. Raises InvalidOption, NotFound."""
    forced = controlled_options(spec, backbone) if spec.controlled else {}
    config, _ = cell_setup(spec, cell, image_set, forced).config(backbone)
    return config


def unread_pictures(
    spec: ExperimentSpec,
    cells: Sequence[Cell],
    image_sets: Mapping[str, ImageSet],
    targets: Mapping[str, ImageSet],
    backbone: str,
    tower: Sequence[str] = (),
    kept: Kept | None = None,
) -> Counter[str]:
    """How many views of pictures have to pass the image tower, by image set and target.

    A view that several cells need counts once; those of methods that train inside the image tower are never kept and
    belong to their own time. tower: see `core.tuning.features.tower_facts`. kept: without it nothing
    is taken to be there already. Cells that cannot be drawn count nothing: they will say why.
    """
    wanted: dict[Where, str] = {}
    draws: dict[Any, Drawn] = {}
    for cell in cells:
        own = image_sets[cell.image_set]
        key = cell.image_set, cell.shots, cell.share, cell.seed
        try:
            drawn = draws[key] = draws.get(key) or draw_cell(spec, cell, own)
            config = planned_config(spec, cell, own, backbone)
        except PromptoscopeError:
            continue
        kind = get_method(cell.candidate.method)
        if kind.image_path(config) == "trained":
            continue
        tokens = _tokens(kind, config, cell)
        parts = [(cell.image_set, own.part("test"))]
        parts += [(name, found.part("test")) for name, found in targets.items()]
        for name, images in parts:
            wanted.update(((tokens, CENTER, image.sha256), name) for image in images)
        if kind.reads_unlabelled and not config.as_dict()["unlabelled"]:
            wanted.update(((tokens, CENTER, image.sha256), cell.image_set) for image in drawn.draw.rest)
        for view, image in _learned_from(kind, config, drawn, cell.seed):
            wanted.setdefault((tokens, view, image.sha256), cell.image_set)
    if kept is None:
        return Counter(wanted.values())
    addresses = {where: picture_address(tower, *where) for where in wanted}
    there = kept(list(addresses.values()))
    return Counter(name for where, name in wanted.items() if addresses[where] not in there)


def _tokens(kind: type[Method], config: MethodConfig, cell: Cell) -> str:
    """The key of the constant visual tokens, or a word that stands for one: they follow from options and seed."""
    is_plain = kind.image_path(config) == "frozen" and "encoder" not in kind.needs
    return PLAIN if is_plain else f"{cell.candidate.method} {config} {cell.seed}"


def _learned_from(
    kind: type[Method], config: MethodConfig, drawn: Drawn, seed: int
) -> Iterator[tuple[str, LabelledImage]]:
    """Views of the images that a cell trains on and chooses with."""
    yield from ((CENTER, image) for image in drawn.draw.validation)
    if kind.is_baseline:
        return
    for augmentation, views in _views(kind, config):
        for number in range(1 if augmentation == CENTER else views):
            view = view_address(augmentation, seed, number)
            yield from ((view, image) for image in drawn.draw.train)


def _views(kind: type[Method], config: MethodConfig) -> Iterator[tuple[str, int]]:
    """Augmentations and how many views of each: of the steps, and of the cache or the solved head."""
    options = config.as_dict()
    if kind.trains_by_steps:
        yield options["augmentation"], options["views"]
        for change in kind.extra_views.values():
            yield options["augmentation"] + ON_TOP + change, options["views"]
    if "support_view" in options or not kind.trains_by_steps:
        yield options.get("support_view", CENTER), options.get("support_views", 1)
