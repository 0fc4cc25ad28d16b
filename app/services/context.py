"""What every use case needs: settings, database, image store, and the few classifiers kept loaded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from app.services.line import Lines
from app.services.timings import Timings
from core.images.store import FileStore
from core.records.session import BUSY_TIMEOUT_S, Database
from core.scratch import process_folder
from core.settings import Settings

if TYPE_CHECKING:
    from core.descriptions.ready_images import KeptImages
    from core.tuning.classifier import Classifier

CLASSIFIERS_KEPT = 2
ACTOR = "owner"
"""Who the audit trail says has done it: a home folder has one owner."""


class LoadedClassifiers:
    """The classifiers used last, ready in memory. One computation at a time: two would only share the same device.

    Keyed by model id and weight checksum, so that a folder that changed under an id is loaded again.
    """

    def __init__(self, load: Callable[[Path], Classifier], keep: int = CLASSIFIERS_KEPT) -> None:
        self._load, self._keep = load, keep
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, str], Classifier] = OrderedDict()

    @contextmanager
    def using(self, model_id: str, weights_sha256: str, folder: Path) -> Iterator[Classifier]:
        """The classifier of a model, for this thread alone until the block ends."""
        key = (model_id, weights_sha256)
        with self._lock:
            if key not in self._loaded:
                self._make_room()
                self._loaded[key] = self._load(folder)
            self._loaded.move_to_end(key)
            yield self._loaded[key]

    def forget(self, model_id: str) -> None:
        """Drop a deleted model."""
        with self._lock:
            for key in [key for key in self._loaded if key[0] == model_id]:
                del self._loaded[key]

    def _make_room(self) -> None:
        while len(self._loaded) >= self._keep:
            self._loaded.popitem(last=False)


@dataclass
class Context:
    """Settings, database and files of one home folder; made once per process and passed to every service."""

    settings: Settings
    db: Database
    store: FileStore
    classifiers: LoadedClassifiers
    lines: Lines = field(default_factory=Lines)
    timings: Timings = field(default_factory=Timings)

    @cached_property
    def ready_images(self) -> KeptImages:
        """Training images that sentences were tried on last, ready in memory."""
        from core.descriptions.ready_images import KeptImages  # loads torch: only where sentences are tried

        return KeptImages(self.home, folders=self.settings.allow_folders)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.settings.home

    @property
    def uploads_dir(self) -> Path:
        """Where uploads lie while they are read; emptied after each request."""
        return self.settings.cache_dir / "uploads"

    @property
    def drafts_dir(self) -> Path:
        """Where maps lie until their explanation is recorded."""
        return self.settings.cache_dir / "drafts"

    @property
    def doubts_dir(self) -> Path:
        """Notes on files whose recording or removal is under way; see `app.services.contents`."""
        return self.home / "in-doubt"

    @property
    def thumbnails_dir(self) -> Path:
        """Small pictures, made when first asked for."""
        return self.settings.cache_dir / "thumbnails"

    def thumbnail_file(self, sha256: str, size_px: int) -> Path:
        """Where the small picture of a content lies; another place where decoding would give another picture."""
        from core.images.decode import DECODING_RULES

        return self.thumbnails_dir / sha256[:2] / f"{sha256}-{size_px}-{DECODING_RULES}.png"

    def thumbnail_files(self, sha256: str) -> list[Path]:
        """All small pictures of a content, those of earlier decoding rules among them."""
        return sorted((self.thumbnails_dir / sha256[:2]).glob(f"{sha256}-*.png"))

    @property
    def explanations_dir(self) -> Path:
        """Maps and arrays of explanations, one folder each."""
        return self.settings.home / "explanations"

    @property
    def servers_dir(self) -> Path:
        """One folder for each process that answers requests, held while it lives."""
        return self.settings.cache_dir / "servers"

    def server_folder(self) -> Path:
        """That of this process."""
        return process_folder(self.servers_dir)

    def close(self) -> None:
        """Stop heavy work and give up database connections."""
        self.lines.close()
        self.timings.close()
        self.db.close()


def open_context(settings: Settings, db: Database | None = None, wait_s: float = BUSY_TIMEOUT_S) -> Context:
    """The context of a home folder, which is made (for its owner alone) if there is none. Migrates nothing.

    wait_s: how long to wait for a database that another writer holds.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(folder: Path) -> Classifier:
        from core.tuning.classifier import load_model  # loads torch: only where a model is used

        return load_model(folder, home=settings.home, folders=settings.allow_folders)

    db = db or Database(settings.database, wait_s)
    return Context(settings, db, FileStore(settings.images_dir), LoadedClassifiers(load))
