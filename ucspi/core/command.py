"""The shell around every program: djb's conventions for options, usage, messages and exit codes.

A program declares itself once, as a `Program`, and gives it a body; `entry` makes the `main` that setup.cfg names.

    options before the first word that is none; `-abc`, `-c5` and `-c 5`; `--` ends them, a lone `-` is a word
    bad option:    "PROG: illegal option -- x" and the usage line, exit 100      (PROG: argv[0] behind its last slash)
    failure:       "NAME: fatal: what: why", exit 111 (temporary) or 100 (permanent)
    anything else: one line, exit 111: a bug must not bounce mail

Parsing is done here, in a few microseconds, because it is paid for every connection and every delivery.  click, which
takes longer to import than most programs to run, renders --help and shell completion from the same declarations."""

from __future__ import annotations

import os

from ucspi.core import chain, errtext, signals, streams
from ucspi.core.failure import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    import click

    Main = Callable[..., int]


class Flag:
    """An option without a value."""

    __slots__ = ("help", "letter")
    metavar: str | None = None

    def __init__(self, letter: str, help: str) -> None:
        self.letter = letter
        self.help = help

    @property
    def flag(self) -> str:
        """As it is typed."""
        return "-" + self.letter


class Value(Flag):
    """An option with a value, attached or the next word."""

    __slots__ = ("metavar",)

    def __init__(self, letter: str, metavar: str, help: str) -> None:
        super().__init__(letter, help)
        self.metavar = metavar


class Attached(Value):
    """An option whose value is attached or missing; the next word is never its value."""

    __slots__ = ()


class Long(Flag):
    """An option that is a word and has no value: `Long("json", ...)` is --json.  Only ours; none of djb's has one."""

    __slots__ = ()

    @property
    def flag(self) -> str:
        return "--" + self.letter


class LongValue(Value):
    """As Long, with a value: `--domain example.org` or `--domain=example.org`."""

    __slots__ = ()

    @property
    def flag(self) -> str:
        return "--" + self.letter


class Call:
    """One run of one program: its words, its environment, and what it may become."""

    __slots__ = ("argv", "argv0", "chain", "env", "name", "operands", "options", "path")

    def __init__(self, program: Program, argv: Sequence[bytes], env: Mapping[bytes, bytes], how: chain.Chain) -> None:
        self.name = program.name
        self.argv = list(argv)
        self.argv0 = argv[0] if argv else b""
        self.env = dict(env)
        self.path = self.env.get(b"PATH")  # a program that edits PATH for its child still searches its own
        self.chain = how
        self.options, self.operands = program.parse(self.argv)

    def given(self, word: str) -> bool:
        """Was the Long option `word` given?"""
        return (word, None) in self.options

    def last(self, letters: str, default: str = "") -> str:
        """The flag among `letters` that was given last: of -q -Q -v, say."""
        given = [letter for letter, _ in self.options if letter in letters]
        return given[-1] if given else default

    def value(self, letter: str, default: bytes | None = None) -> bytes | None:
        """The value given last with `letter`."""
        given = [value for name, value in self.options if name == letter]
        return given[-1] if given else default

    def warn(self, text: str | bytes) -> None:
        """One line on descriptor 2, `NAME: text`, in one write."""
        report(self.name, text)

    def with_env(self, env: Mapping[bytes, bytes]) -> Call:
        """This run as it would be in another environment."""
        other = Call.__new__(Call)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.env = dict(env)
        return other

    def execute(self, argv: Sequence[bytes], env: Mapping[bytes, bytes] | None = None) -> NoReturn:
        """Become argv[0], searched in this program's own PATH, with environment `env`.  OSError if that cannot be."""
        file = chain.search(argv[0], self.path)
        self.chain.become(file, list(argv), dict(self.env if env is None else env))

    def spawn(
        self,
        argv: Sequence[bytes],
        env: Mapping[bytes, bytes] | None = None,
        *,
        fds: Mapping[int, int] | None = None,
        setup: Callable[[], None] | None = None,
    ) -> int:
        """Start argv[0] as a child, searched as for execute; return its pid.  OSError if that cannot be.

        `fds` maps the child's descriptors to ours; 0 to 2 are as here unless it says otherwise.
        `setup` runs in the child before anything else."""
        file = chain.search(argv[0], self.path)
        signals.hear_of_children()
        return self.chain.spawn(file, list(argv), dict(self.env if env is None else env), fds or {}, setup)


class Program:
    """What a program is called, takes and says: the declaration that its parser, help and completion come from."""

    def __init__(
        self,
        name: str,
        doc: str | None,
        *,
        options: Sequence[Flag] = (),
        usage: str = "",
        operands: str = "",
        usage_exit: int = 100,
        preload: Sequence[str] = (),
        title: bool = False,
        lenient: bool = False,
        submission: Callable[..., object] | None = None,
    ) -> None:
        """`options`: none means that no word is ever taken for an option.  `usage`: what follows "NAME: usage: ".
        `preload`: heavy modules imported when needed, which a parent of pool workers imports before it forks.
        `title`: a long-running program, which shows its name in ps.
        `lenient`: options that make no sense are passed over in silence.
        `submission`: of a queue program, the way to use it without a process; see qmail.core.submit."""
        self.name = name
        self.doc = doc or ""
        self.options = tuple(options)
        self.usage = usage
        self.operands = operands
        self.usage_exit = usage_exit
        self.preload = tuple(preload)
        self.title = title
        self.lenient = lenient
        self.submission = submission
        self._attached = frozenset(option.letter for option in options if isinstance(option, Attached))
        longs = [option for option in options if isinstance(option, Long | LongValue)]
        self._long = {option.letter: option.metavar is not None for option in longs}  # name: does it take a value?
        self._takes_value = {o.letter: o.metavar is not None for o in options if o.letter not in self._long}

    def entry(self, body: Callable[[Call], int]) -> Main:
        """The program's main(argv, env, chain) -> exit code.  Without arguments it is this process that runs."""

        def main(
            argv: Sequence[bytes] | None = None,
            env: Mapping[bytes, bytes] | None = None,
            how: chain.Chain | None = None,
        ) -> int:
            if argv is None or env is None or how is None:
                return chain.start(main, argv, env)
            if self.title:
                chain.set_title(argv)
            return self._run(body, argv, env, how)

        main.program = self  # type: ignore[attr-defined]
        return main

    def _run(
        self, body: Callable[[Call], int], argv: Sequence[bytes], env: Mapping[bytes, bytes], how: chain.Chain
    ) -> int:
        try:
            if len(argv) == 2 and argv[1] in (b"--help", b"--version"):  # else it is a word: a host, say
                return self._describe(argv[1])
            return body(Call(self, argv, env, how))
        except UsageFailure as e:
            lines = [str(e)] if str(e) else []
            if self.usage:
                lines.append(f"{self.name}: usage: {self.usage}")
            streams.complain(b"".join(os.fsencode(line) + b"\n" for line in lines))
            return self.usage_exit
        except Failure as e:
            if str(e):  # else who failed has said why
                report(self.name, f"fatal: {e}")
            return e.exitcode
        except OSError as e:
            what = os.fsdecode(e.filename) if isinstance(e.filename, bytes | str) else "system call failed"
            report(self.name, f"fatal: {what}: {errtext.text(e)}")
            return 111
        except MemoryError:
            report(self.name, "fatal: out of memory")
            return 111
        except Exception as e:  # a bug: one line for the log, and temporary
            report(self.name, f"fatal: internal error: {_place(e)}")
            return 111

    def parse(self, argv: Sequence[bytes]) -> tuple[list[tuple[str, bytes | None]], list[bytes]]:
        """Split argv into options, in their order, and operands.  Raises UsageFailure."""
        options: list[tuple[str, bytes | None]] = []
        at = 1
        if self._takes_value or self._long:
            while at < len(argv) and len(argv[at]) > 1 and argv[at].startswith(b"-"):
                word = argv[at]
                at += 1
                if word == b"--":
                    break
                name, equals, value = os.fsdecode(word[2:]).partition("=")
                if word.startswith(b"--") and name in self._long and bool(equals) <= self._long[name]:
                    if self._long[name] and not equals:
                        if at >= len(argv):
                            raise UsageFailure(f"{_basename(argv[0])}: option requires an argument -- {name}")
                        value, at = os.fsdecode(argv[at]), at + 1
                    options.append((name, os.fsencode(value) if self._long[name] else None))
                    continue
                at = self._cluster(word, argv, at, options)
        return options, list(argv[at:])

    def _cluster(self, word: bytes, argv: Sequence[bytes], at: int, options: list[tuple[str, bytes | None]]) -> int:
        for i in range(1, len(word)):
            letter = chr(word[i])
            takes_value = self._takes_value.get(letter)
            if takes_value is None and self.lenient:
                continue
            if takes_value is None:
                raise UsageFailure(f"{_basename(argv[0])}: illegal option -- {os.fsdecode(word[i : i + 1])}")
            if not takes_value:
                options.append((letter, None))
                continue
            if i + 1 < len(word) or letter in self._attached:
                options.append((letter, word[i + 1 :]))
                return at
            if at >= len(argv) and self.lenient:
                return at
            if at >= len(argv):
                raise UsageFailure(f"{_basename(argv[0])}: option requires an argument -- {letter}")
            options.append((letter, argv[at]))
            return at + 1
        return at

    def _describe(self, word: bytes) -> int:
        import ucspi

        text = f"{self.name} {ucspi.__version__}" if word == b"--version" else self.help()
        streams.write_all(1, os.fsencode(text.rstrip("\n") + "\n"))
        return 0

    def help(self) -> str:
        """The text of --help."""
        command = self.as_click()
        import click

        with click.Context(command, info_name=self.name) as context:
            return command.get_help(context)

    def as_click(self) -> click.Command:
        """The same declarations as a click command, for --help and for shell completion."""
        import click

        params: list[click.Parameter] = []
        for number, o in enumerate(self.options):
            option = click.Option(
                [f"--o{number}"], help=o.help, metavar=o.metavar, is_flag=o.metavar is None, multiple=True
            )
            option.opts = [o.flag]  # click would find no name in -1, and two in -/
            params.append(option)
        if self.operands:
            params.append(click.Argument(["operands"], nargs=-1, metavar=self.operands, type=click.Path()))
        first, _, rest = self.doc.partition("\n\n")
        paragraphs = [first, *(f"\b\n{paragraph}" for paragraph in rest.split("\n\n") if paragraph.strip())]
        settings = {"allow_interspersed_args": False, "ignore_unknown_options": True}
        text = "\n\n".join(paragraphs)
        return click.Command(self.name, settings, params=params, help=text, add_help_option=False)


def report(name: str, text: str | bytes) -> None:
    """One line on descriptor 2, `NAME: text`, in one write; a closed descriptor 2 is no error."""
    streams.complain(b"%b: %b\n" % (os.fsencode(name), os.fsencode(text)))


def _basename(argv0: bytes) -> str:
    return os.fsdecode(argv0.rpartition(b"/")[2])


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}: " if trace else ""
    return f"{where}{type(error).__name__}: {error}".replace("\n", " ")
