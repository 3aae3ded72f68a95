"""Fuzz targets, each declared once and run two ways: by Hypothesis in `make test`, by atheris in `make fuzz`.

    @fuzz(words=[b"MAIL ", b"\\r\\n"], seeds=[b"MAIL <>\\r\\nQUIT\\r\\n"], raises=(Malformed,))
    def test_what_must_hold_for_any_bytes(data: bytes) -> None: ...

The target may raise what it names in `raises`, the documented exceptions of the core; any other exception, and any
assertion that fails, is a bug.  Hypothesis puts together words, pieces of seeds and any bytes; atheris starts from the
seeds, with the words as its dictionary, and is led by coverage.  `python -m tests.fuzz` runs the latter."""

from __future__ import annotations

import functools
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

Check = Callable[[bytes], object]
SIZES = (1, 3, 7)  # pieces in which a core that is fed whole is fed as well
EXAMPLES = 150


class Target:
    """What atheris needs to know of a test; it hangs on the test as `fuzz`."""

    def __init__(self, check: Check, words: Sequence[bytes], seeds: Sequence[bytes]) -> None:
        self.check, self.words, self.seeds = check, tuple(words), tuple(seeds)


def fuzz(
    *,
    words: Sequence[bytes] = (),
    seeds: Sequence[bytes] = (),
    raises: tuple[type[BaseException], ...] = (),
    examples: int = EXAMPLES,
) -> Callable[[Check], Callable[[], None]]:
    """Make a test, and a target, of a function that takes bytes."""

    def declare(check: Check) -> Callable[[], None]:
        @functools.wraps(check)
        def guarded(data: bytes) -> None:
            try:
                check(data)
            except raises:
                pass

        @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(inputs(words, seeds))
        def run(data: bytes) -> None:
            guarded(data)

        for seed in seeds:
            run = example(seed)(run)
        run.__name__, run.__doc__, run.__module__ = check.__name__, check.__doc__, check.__module__
        run.fuzz = Target(guarded, words, seeds)  # type: ignore[attr-defined]
        return run

    return declare


def inputs(words: Sequence[bytes], seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that are likely to get somewhere: words in any order, a seed with a part changed, and anything."""
    anything = st.binary(max_size=200)
    kinds = [anything]
    if words:
        word = st.sampled_from(list(words))
        kinds.append(st.lists(st.one_of(word, word, word, st.binary(max_size=6)), max_size=40).map(b"".join))
    if seeds:
        place = st.integers(0, max(map(len, seeds)))
        piece = st.one_of(st.sampled_from(list(words)), st.binary(max_size=6)) if words else st.binary(max_size=6)
        kinds.append(st.builds(_changed, st.sampled_from(list(seeds)), place, place, piece))
    return st.one_of(kinds)


def _changed(seed: bytes, start: int, end: int, piece: bytes) -> bytes:
    return seed[:start] + piece + seed[end:]


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes whole, byte by byte, and in small pieces: a core must come to the same end with all of them."""
    yield [data]
    for size in SIZES:
        yield [data[at : at + size] for at in range(0, len(data), size)]


def same(outcomes: Sequence[object]) -> None:
    """All of them are equal."""
    for other in outcomes[1:]:
        assert other == outcomes[0]


GROWTH = 8


def assert_linear(make: Callable[[int], bytes], run: Check, size: int) -> None:
    """Eight times the input must not cost more than thirty times the time (its square would be sixty-four).

    CPU time, the best of three: other processes of the machine do not count."""
    small, large = make(size), make(size * GROWTH)

    def cost(data: bytes) -> float:
        times = []
        for _ in range(3):
            began = time.process_time()
            run(data)
            times.append(time.process_time() - began)
        return min(times)

    assert cost(large) < 30 * max(cost(small), 0.002)


def memory_of(work: Callable[[], object]) -> int:
    """The most memory, in bytes, that Python objects made by `work` took at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
