"""Every case of the table with the original and with ours, compared byte for byte.

An original that is not installed is stood in for by what it did when recorded.json was made (see record.py)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.differential import execution, peers, record
from tests.differential.case import Case
from tests.differential.messages import MESSAGES, UNPROVOKED
from tests.differential.table import table
from tests.differential.wanted import WANTED, wanted
from tests.support import launchers

CASES = table()
QUICK = [name for name, case in CASES.items() if not case.slow]
SLOW = [name for name, case in CASES.items() if case.slow]
RECORDED = record.recorded()


def reason_to_skip(case: Case) -> str | None:
    """Why a case cannot be run here."""
    if case.root and os.geteuid() != 0:
        return "only root can set this up"
    if case.account and launchers.for_everybody() is None:
        return "no Python that other accounts may run"
    if any(case.inject) and shutil.which("strace") is None:
        return "strace is not installed"
    return None


def expectation(name: str, case: Case) -> execution.Outcome:
    """What the original does, or did."""
    if case.expected is not None:
        return dict(case.expected)
    if execution.missing(case):
        return RECORDED[name]
    return execution.run(case, "original")


def compare(name: str, expected: execution.Outcome, ours: execution.Outcome) -> None:
    difference = wanted(name)
    if difference is None:
        assert ours == expected
    else:
        assert ours != expected, f"no difference any more, though wanted.py has one: {difference.reason}"
        assert difference.holds(ours), f"{ours} is not what wanted.py says"


@pytest.fixture(scope="module", autouse=True)
def no_name_server_stays() -> Iterator[None]:
    yield
    peers.stop_nameserver()


@pytest.mark.parametrize("name", QUICK)
def test_ours_does_what_the_original_does(name: str) -> None:
    case = CASES[name]
    why = reason_to_skip(case)
    if why:
        pytest.skip(why)
    compare(name, expectation(name, case), execution.run(case, "ours"))


UnderWay = dict[str, tuple[Future[execution.Outcome], Future[execution.Outcome]]]


@pytest.fixture(scope="module")
def under_way(request: pytest.FixtureRequest) -> Iterator[UnderWay]:
    """The slow cases wait: all of this session at once."""
    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(2 * len(SLOW)) as threads:
        yield {
            name: (threads.submit(expectation, name, CASES[name]), threads.submit(execution.run, CASES[name], "ours"))
            for name in SLOW
            if name in asked and not reason_to_skip(CASES[name])
        }


@pytest.mark.xdist_group("slow differential cases")
@pytest.mark.parametrize("name", SLOW)
def test_ours_waits_as_the_original_waits(name: str, under_way: UnderWay) -> None:
    if name not in under_way:
        pytest.skip(reason_to_skip(CASES[name]) or "")
    expected, ours = under_way[name]
    compare(name, expected.result(), ours.result())


def test_the_table_is_as_large_as_it_should_be_and_all_of_it_recorded() -> None:
    assert len(CASES) >= 400
    assert {name for name, case in CASES.items() if case.expected is None} == set(RECORDED)


def test_every_wanted_difference_is_about_a_case() -> None:
    assert [difference.pattern for difference in WANTED if not any(map(difference.covers, CASES))] == []


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_of_the_specification_is_somewhere_in_the_table(message: str) -> None:
    said = any(message in str(outcome.get("err", "")) for outcome in RECORDED.values())
    assert said != (message in UNPROVOKED), UNPROVOKED.get(message, "no case makes an original say so")
