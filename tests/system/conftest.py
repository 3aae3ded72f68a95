"""The classic mail host that the tests of a file share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import installed
from tests.support.classic import ClassicHost


@pytest.fixture(scope="session", autouse=True)
def place_for_all_workers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A place for what takes long to make and is the same for all workers."""
    place = tmp_path_factory.getbasetemp()
    os.environ[installed.SHARED] = str(place.parent if "PYTEST_XDIST_WORKER" in os.environ else place)


@pytest.fixture
def host() -> Iterator[ClassicHost]:
    """A machine with the classic accounts, taken away at the end."""
    with ClassicHost() as made:
        made.add_classic_accounts()
        yield made
