"""The classic mail host that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.classic import ClassicHost


@pytest.fixture
def host() -> Iterator[ClassicHost]:
    """A machine with the classic accounts, taken away at the end."""
    with ClassicHost() as made:
        made.add_classic_accounts()
        yield made
