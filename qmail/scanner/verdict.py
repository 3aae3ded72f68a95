"""What an engine says about a message.  `engine` is the name that log lines show."""

from __future__ import annotations


class Verdict:
    """Nothing was found; or a subclass says what was."""

    __slots__ = ("engine",)

    def __init__(self, engine: bytes) -> None:
        self.engine = engine

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and type(other) is type(self) and other.told() == self.told()

    def __hash__(self) -> int:
        return hash(self.told())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.told()}"

    def told(self) -> tuple[object, ...]:
        """Everything that it says."""
        return (self.engine,)


class Infected(Verdict):
    """There is a virus in it."""

    __slots__ = ("name",)

    def __init__(self, engine: bytes, name: bytes) -> None:
        super().__init__(engine)
        self.name = name

    def told(self) -> tuple[object, ...]:
        return (self.engine, self.name)


class Scored(Verdict):
    """How much it looks like spam; `score` and `required` as the engine wrote them."""

    __slots__ = ("required", "score", "spam")

    def __init__(self, engine: bytes, spam: bool, score: bytes, required: bytes) -> None:
        super().__init__(engine)
        self.spam = spam
        self.score = score
        self.required = required

    def told(self) -> tuple[object, ...]:
        return (self.engine, self.spam, self.score, self.required)


class Trouble(Verdict):
    """The engine could not be asked, or gave no answer that means anything: nothing is known of the message."""

    __slots__ = ("why",)

    def __init__(self, engine: bytes, why: bytes) -> None:
        super().__init__(engine)
        self.why = why

    def told(self) -> tuple[object, ...]:
        return (self.engine, self.why)


class Skipped(Verdict):
    """The engine was not to be asked: the message is too large for it."""

    __slots__ = ()


def is_number(word: bytes) -> bool:
    """True for a score: digits, a dot and a sign, no more than thirty of them."""
    digits = word.removeprefix(b"-").replace(b".", b"", 1)
    return digits.isdigit() and len(word) <= 30
