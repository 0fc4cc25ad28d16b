"""Files and the rows that refer to them, recorded and removed together, whatever else happens meanwhile.

New files wait in a scratch folder and move in the transaction of their rows; files are removed after the transaction
that deleted their rows, if still nobody needs them. Both happen under `core.records.contents.hold_contents`. Which
files a transaction is about stands in a note on disk until all is done, so that after a crash the next start looks at
exactly these.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from sqlalchemy.orm import Session

from app.services.context import Context
from core.disk import Reserve, told_when_full
from core.errors import DiskFull, Unavailable
from core.images.store import STAGING, Staging
from core.records.contents import hold_contents, unreferenced
from core.scratch import abandoned, scratch_folder, sweep
from core.tuning.model_folder import DRAFT

log = logging.getLogger(__name__)
T = TypeVar("T")
NOTE = "paths.json"
FILES_PER_TRANSACTION = 500
SMALLEST_RESERVE_BYTES = 1024**2
LARGEST_RESERVE_BYTES = 64 * 1024**2
THUMBNAIL_SIZES_PX = (64, 160, 320, 640, 1024)


def record(ctx: Context, staged: Staging, work: Callable[[Session], T]) -> T:
    """What `work` gives, after its rows and the staged files were recorded together: both or neither.

    work: adds rows that refer to `staged.targets`; it may run more than once. Raises DiskFull where there is no room.
    """

    def recorded(session: Session) -> T:
        hold_contents(session)
        made = work(session)
        staged.settle()
        return made

    with told_when_full(), _in_doubt(ctx) as note:
        note(_inside(ctx, path) for path in staged.targets.values())
        made = ctx.db.write(recorded)
    fill_reserve(ctx)
    return made


def record_folder(ctx: Context, draft: Path, target: Path, work: Callable[[Session], T]) -> T:
    """The same for one folder, written at `draft` and kept at `target` with the row that names it."""

    def recorded(session: Session) -> T:
        hold_contents(session)
        made = work(session)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, target)  # caches may lie on another disk
        return made

    with told_when_full(), _in_doubt(ctx) as note:
        note([_inside(ctx, target)])
        return ctx.db.write(recorded)


def remove(ctx: Context, work: Callable[[Session], Iterable[str]]) -> None:
    """Delete rows, and then whatever only they referred to.

    work: deletes rows and returns the paths in the home folder that they referred to; it may run more than once. On a
    full disk the reserve is given up for it. Raises what `work` raises; files that cannot be removed now (in use on
    Windows, database away) are removed by the next removal or start.
    """
    try:
        with told_when_full():
            _remove(ctx, work)
    except DiskFull:
        if not Reserve.of(ctx.home).release():
            raise
        with told_when_full():
            _remove(ctx, work)
    fill_reserve(ctx)


def _remove(ctx: Context, work: Callable[[Session], Iterable[str]]) -> None:
    deleted = False
    try:
        with _in_doubt(ctx) as note:

            def removed(session: Session) -> list[str]:
                hold_contents(session)
                paths = list(work(session))
                note(paths)
                return paths

            paths = ctx.db.write(removed, remember=False)  # deleting again deletes nothing more
            deleted = True
            purge(ctx, paths)
    except (Unavailable, OSError) as error:
        if not deleted:
            raise
        log.warning("files of a deletion will be removed later: %s", type(error).__name__)


def sweep_home(ctx: Context) -> int:
    """Remove what processes that died left behind; how many folders and files that were.

    Whatever a living process works on is held by it and stays. Called at every start.
    """
    count = sum(sweep(*place) for place in scratch_places(ctx))
    for left in ctx.settings.images_dir.glob(".incoming-*"):  # of versions that wrote into the store itself
        left.unlink(missing_ok=True)
        count += 1
    return count + _settle_doubts(ctx)


def scratch_places(ctx: Context) -> list[tuple[Path, str]]:
    """Folders below which unfinished work lies, and what its names begin with."""
    settings = ctx.settings
    return [
        (ctx.uploads_dir, ""),
        (settings.unpacked_dir, ""),
        (ctx.drafts_dir, ""),
        (ctx.servers_dir, ""),
        (settings.images_dir / STAGING, ""),
        (settings.models_dir, DRAFT),
    ]


def purge(ctx: Context, paths: Iterable[str]) -> None:
    """Remove those of these paths in the home folder that no row refers to."""
    some = sorted(set(paths))
    for start in range(0, len(some), FILES_PER_TRANSACTION):
        # In pieces, so that others who write to the database get in between.
        with ctx.db.writing() as session:
            hold_contents(session)
            for path in unreferenced(session, some[start : start + FILES_PER_TRANSACTION]):
                _remove_path(ctx, path)


def fill_reserve(ctx: Context) -> None:
    """Hold back as much as deleting everything from an SQLite database may write, within bounds."""
    database = Path(ctx.db.url.database or "")
    size = database.stat().st_size if not ctx.db.is_postgresql and database.is_file() else 0
    Reserve.of(ctx.home).fill(min(max(size, SMALLEST_RESERVE_BYTES), LARGEST_RESERVE_BYTES))


@contextmanager
def _in_doubt(ctx: Context) -> Iterator[Callable[[Iterable[str]], None]]:
    """Gives what writes down which paths the block may leave without a row; after a failure they are looked at."""
    try:
        with scratch_folder(ctx.doubts_dir, keep_on_error=True) as folder:
            yield lambda paths: _write_note(folder, paths)
    except BaseException:
        with suppress(Unavailable, OSError):  # then the note stays, and the next start settles it
            _settle_doubts(ctx)
        raise


def _write_note(folder: Path, paths: Iterable[str]) -> None:
    with (folder / NOTE).open("w", encoding="utf-8") as file:
        json.dump(sorted(set(paths)), file)
        file.flush()
        os.fsync(file.fileno())


def _settle_doubts(ctx: Context) -> int:
    """Do what interrupted recordings and removals left to do; how many there were."""
    count = 0
    for folder in abandoned(ctx.doubts_dir):
        purge(ctx, _noted(folder))
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count


def _noted(folder: Path) -> list[str]:
    try:
        found = json.loads((folder / NOTE).read_text("utf-8"))
    except (OSError, ValueError):
        return []  # it died while writing the note, so before anything it is about
    return [path for path in found if isinstance(path, str) and ".." not in PurePosixPath(path).parts]


def _inside(ctx: Context, path: Path) -> str:
    return path.relative_to(ctx.home).as_posix()


def _remove_path(ctx: Context, path: str) -> None:
    place = ctx.home / path
    if place.is_dir():
        shutil.rmtree(place)
        return
    place.unlink(missing_ok=True)
    for small in ctx.thumbnail_files(place.name[:64]):
        small.unlink(missing_ok=True)
