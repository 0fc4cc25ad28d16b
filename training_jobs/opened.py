"""An experiment opened for work: its images, wordings and backbone loaded once for all its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.descriptions.description_set import DescriptionSet
from core.errors import InvalidInput
from core.experiments.spec import Candidate, ExperimentSpec, spec_from_record
from core.images.image_set import ImageSet
from core.images.signature_store import kept_signatures
from core.records import experiments, image_sets
from core.records.session import Database
from core.settings import Settings
from core.tuning.method_cards import baseline_method
from training_jobs.patience import patiently

if TYPE_CHECKING:
    from core.experiments.cells import Cell
    from core.experiments.grid import Grid


@dataclass(frozen=True)
class Opened:
    """An experiment with its images, wordings and backbone loaded. sources: ids of image sets by their name in it."""

    id: str
    spec: ExperimentSpec
    sources: dict[str, dict[str, str]]
    versions: dict[tuple[str, str], str]
    grid: Grid

    def cell(self, place: Any) -> Cell:
        """The engine's cell for one of the records. Raises InvalidInput for a line the experiment does not have."""
        from core.experiments.cells import Cell

        line = self._line(place.line)
        return Cell(place.position, place.image_set, line, place.shots, place.share, place.seed, place.descriptions)

    def _line(self, label: str) -> Candidate:
        known = {line.label: line for line in self.spec.candidates}
        baseline = baseline_method()
        if label not in known and label != baseline:
            raise InvalidInput(
                "A cell of one of the experiment's lines", f"found '{label}'", "Make the experiment anew."
            )
        return known.get(label) or Candidate(baseline, label=baseline)


@contextmanager
def opened(database: Database, settings: Settings, experiment_id: str, *, folders: bool = True) -> Iterator[Opened]:
    """The experiment, ready to be worked on.

    folders: whether folders of this machine may stand for backbones and language models. Raises NotFound, Unavailable,
    NotAllowed, InvalidInput.
    """
    row = patiently(lambda: _find(database, experiment_id))
    versions = {
        (of, name): text["version_id"]
        for name, by_set in row.texts.items()
        for of, text in by_set.items()
        if text.get("version_id")
    }
    spec = spec_from_record(row.spec)
    with grid_of(database, settings, spec, row.sources, row.texts, folders=folders) as grid:
        yield Opened(row.id, spec, dict(row.sources), versions, grid)


@contextmanager
def grid_of(
    database: Database,
    settings: Settings,
    spec: ExperimentSpec,
    sources: Mapping[str, Mapping[str, str]],
    texts: Mapping[str, Mapping[str, Mapping[str, Any]]],
    *,
    folders: bool,
) -> Iterator[Grid]:
    """What the cells of an experiment share, loaded. sources, texts, folders, errors: as of `opened`."""
    from core.backbones.loading import load_backbone
    from core.experiments.controlled import PRECISION
    from core.experiments.grid import Grid

    loaded = patiently(lambda: _load_images(database, settings, sources))
    for line in spec.candidates:
        check_named_models(line.options, folders)
    backbone = load_backbone(
        spec.backbone, precision=PRECISION if spec.controlled else "auto", home=settings.home, folders=folders
    )
    described = {
        (of, name) if of else name: DescriptionSet(
            {label: tuple(own) for label, own in text["sentences"].items()}, text["source"]
        )
        for name, by_set in texts.items()
        for of, text in by_set.items()
    }
    grid = Grid(spec, backbone, loaded["images"], loaded["targets"], described, settings.home)
    try:
        with kept_signatures(settings.signatures_path):
            yield grid
    finally:
        grid.close()


def _find(database: Database, experiment_id: str) -> Any:
    with database.reading() as session:
        return experiments.find_experiment(session, experiment_id)


def _load_images(
    database: Database, settings: Settings, sources: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, ImageSet]]:
    with database.reading() as session:
        return {
            kind: {name: image_sets.load_image_set(session, own, settings.images_dir) for name, own in known.items()}
            for kind, known in sources.items()
        }


def check_named_models(options: Mapping[str, Any], folders: bool) -> None:
    """Raises NotAllowed where the options name a model or pictures by a folder and may not."""
    from core.backbones.encoder_loading import check_encoder_name
    from core.language_models.folder import check_name
    from core.tuning.unlabelled import check_unlabelled

    checks = {"language_model": check_name, "encoder": check_encoder_name, "unlabelled": check_unlabelled}
    for option, check in checks.items():
        if name := str(options.get(option) or "").strip():
            check(name, folders=folders)
