"""What all tests stand on: the signals of a process that a person started, a network of their own, and descriptors that
nobody leaves open."""

from __future__ import annotations

import signal

import pytest

from tests.support import descriptors, network


def pytest_configure(config: pytest.Config) -> None:
    """A shell without job control starts what it puts in the background with SIGINT and SIGQUIT ignored, and the programs
    under test would inherit that.  In the processes of pytest-xdist as well."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    only_hands_out = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not only_hands_out:
        network.leave_network()
    config.pluginmanager.register(descriptors)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text is not a test's name, which pytest also puts into the environment of every program: its number will do."""
    return argname if isinstance(val, (bytes, str)) and len(val) > 100 else None
