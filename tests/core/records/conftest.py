from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.records.session import Database
from tests.core.records.databases import ENGINES, database_url, migrated_database


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn."""
    with database_url(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables, of each kind in turn."""
    with migrated_database(request.param, tmp_path) as made:
        yield made
