"""A plugin of pytest: no file of tests leaves descriptors open.

By their thousands they would change what the tests see: a fork has them too, and what a program inherits is its
interface."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import pytest

SHARED: dict[int, str] = {}  # by fixtures that stay for more than one file


def opened() -> dict[int, str]:
    """Each descriptor, and what it is."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass  # the listing's own
    return found


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Note what a fixture opens that stays."""
    if fixturedef.scope not in ("session", "package"):
        return (yield)
    before = opened()
    result = yield
    SHARED.update((fd, what) for fd, what in opened().items() if fd not in before)
    return result


@pytest.fixture(scope="module", autouse=True)
def no_descriptor_is_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """By the tests of a file, when its fixtures are gone.  (Of its tests one by one it cannot be said: fixtures stay.)"""
    before = opened()
    yield
    if opened().keys() - before:
        gc.collect()  # an object that holds one may be part of a circle
    left = {fd: what for fd, what in opened().items() if fd not in before and SHARED.get(fd) != what}
    assert not left, f"{request.path.name} leaves open: {left}"
