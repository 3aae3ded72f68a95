"""Select lines of a stream and keep them in logs that rotate by themselves.  multilog(8).

Each argument is an action, done in order for each line read on descriptor 0: `t` labels, `-` and `+` select by pattern,
`e` and `=` show, `./dir` and `/dir` log, and `s`, `n`, `!` say how the directories behind them are kept.
SIGTERM ends after the line that has begun, SIGALRM rotates.  Exits 0, or 111 if it cannot start."""

from __future__ import annotations

import os
import select

from ucspi.core import errtext, logscript, scan, streams, tai64
from ucspi.core import signals as signal
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure
from ucspi.core.logdir import LogDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[bytes, bool, list[LogDirectory]], bool]  # line, selected, logs it goes to -> selected
    Use = Callable[[bytes], None]  # lines that were selected

PROGRAM = Program("multilog", __doc__, operands="ACTION...", title=True)
SMALLEST, DEFAULT_SIZE, LARGEST = 4096, 99999, 16777215
READ = 1024  # what the original reads at once; after each such piece everything is on its way to disk


class Script:
    """The actions, and the lines that go through them."""

    def __init__(self, call: Call) -> None:
        """Parse the arguments and open everything.  Raises TemporaryFailure."""
        words = call.operands
        self.labels = bool(words) and words[0].startswith(b"t")
        self.logs: list[LogDirectory] = []
        self._acts: list[Act] = []  # for a line
        self._uses: list[tuple[logscript.Selection, Use]] = []  # for a block of lines
        self._line = b""  # a line that has begun
        self._streaming: list[LogDirectory] | None = None  # where the rest of a long line goes
        updates = [_status_file(word[1:]) for word in words if word[:1] == b"="]  # before any directory is touched
        size, number, processor = DEFAULT_SIZE, 10, b""
        patterns: list[tuple[bytes, bytes]] = []
        self._shows = 0  # with more than one `e` the lines of each must come in turn
        for word in words:
            kind, rest = word[:1], word[1:]
            if kind == b"s":
                size = min(max(scan.number(rest), SMALLEST), LARGEST)
            elif kind == b"n":
                number = max(scan.number(rest), 2)
            elif kind == b"!":
                processor = word
            elif kind in (b".", b"/"):
                log = LogDirectory(word, size, number, call.warn, _processor(call, processor) if processor else None)
                self.logs.append(log)
                self._add(patterns, _log_to(log), log.append)
            elif kind in (b"-", b"+"):
                patterns.append((kind, rest))
                self._acts.append(_select(kind, rest))
            elif kind == b"e":
                self._add(patterns, _shown(_show), _show_all)
                self._shows += 1
            elif kind == b"=":
                update = updates.pop(0)
                self._add(patterns, _shown(update), lambda lines, use=update: use(lines[:-1].rpartition(b"\n")[2]))  # type: ignore[misc]

    def _add(self, patterns: list[tuple[bytes, bytes]], act: Act, use: Use) -> None:
        self._acts.append(act)
        self._uses.append((logscript.Selection(patterns), use))

    @property
    def begun(self) -> bool:
        """True inside a line."""
        return bool(self._line) or self._streaming is not None

    def feed(self, block: bytes) -> None:
        """The next bytes.  Pieces that could fill a log are taken as the original would have read them."""
        worst = len(block) + (block.count(b"\n") + 1) * (tai64.LENGTH + 1 if self.labels else 0) + len(self._line)
        near = any(worst >= log.room for log in self.logs)
        if near and len(block) > READ:
            middle = len(block) // 2 // READ * READ or READ
            self.feed(block[:middle])
            self.feed(block[middle:])
        elif block:
            self._take(block, near)
            for log in self.logs:
                log.flush()

    def _take(self, block: bytes, near: bool) -> None:
        if self._streaming is not None:
            rest, newline, block = block.partition(b"\n")
            for log in self._streaming:
                log.put_bytes(rest + newline)
            if not newline:
                return
            self._streaming = None
        text = self._labelled(block)
        cut = text.rfind(b"\n") + 1
        lines, self._line = text[:cut], text[cut:]
        if lines and not near and self._shows < 2 and logscript.short(lines):
            for selection, use in self._uses:
                if chosen := selection(lines):
                    use(chosen)
        elif lines:
            self._each(lines[:-1].split(b"\n"), near)
        if len(self._line) >= logscript.KEPT:
            self._streaming = self._start(self._line)
            for log in self._streaming:
                log.put(self._line[: logscript.KEPT])
                log.put_bytes(self._line[logscript.KEPT :])
            self._line = b""

    def _labelled(self, block: bytes) -> bytes:
        if not self.labels or not block:
            return self._line + block
        label = tai64.now() + b" "
        text = block[:-1].replace(b"\n", b"\n" + label) + block[-1:]
        return self._line + text if self._line else label + text

    def _each(self, lines: list[bytes], near: bool) -> None:
        for line in lines:
            for log in self._start(line):
                if near:
                    log.put(line[: logscript.KEPT])
                    log.put_bytes(line[logscript.KEPT :] + b"\n")
                else:
                    log.append(line + b"\n")

    def _start(self, line: bytes) -> list[LogDirectory]:
        """Do the actions for a line; returns the logs it goes to."""
        head = line[: logscript.KEPT] if len(line) > logscript.KEPT else line
        selected = True
        logs: list[LogDirectory] = []
        for act in self._acts:
            selected = act(head, selected, logs)
        return logs

    def close(self) -> None:
        """The end of input: a line that has begun is a line."""
        if self.begun:
            self.feed(b"\n")
        for log in self.logs:
            log.close()


def _log_to(log: LogDirectory) -> Act:
    def act(line: bytes, selected: bool, logs: list[LogDirectory]) -> bool:
        if selected:
            logs.append(log)
        return selected

    return act


def _select(kind: bytes, pattern: bytes) -> Act:
    match, wanted = logscript.compile_pattern(pattern), kind == b"+"
    return lambda line, selected, _: wanted if selected != wanted and match(line) else selected


def _shown(use: Use) -> Act:
    def act(line: bytes, selected: bool, logs: list[LogDirectory]) -> bool:
        if selected:
            use(line)
        return selected

    return act


def _show(line: bytes) -> None:
    streams.complain(logscript.shown(line))


def _show_all(lines: bytes) -> None:
    for line in lines[:-1].split(b"\n"):
        _show(line)


def _status_file(name: bytes) -> Callable[[bytes], None]:
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        os.close(fd)
        fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise TemporaryFailure(f"unable to create {os.fsdecode(name)}: {errtext.text(e)}") from e

    def update(line: bytes) -> None:
        try:
            os.pwrite(fd, logscript.status(line), 0)
        except OSError:
            pass  # the next line tries again

    return update


def _processor(call: Call, action: bytes) -> Callable[[LogDirectory], bool]:
    def process(log: LogDirectory) -> bool:
        opened: list[int] = []
        try:
            opened.append(os.open(b"previous", os.O_RDONLY | os.O_CLOEXEC, dir_fd=log.directory))
            opened.append(log.file(b"processed", os.O_TRUNC))
            opened.append(os.open(b"state", os.O_RDONLY | os.O_CLOEXEC, dir_fd=log.directory))
            opened.append(log.file(b"newstate", os.O_TRUNC))
            for fd in opened:
                os.set_blocking(fd, True)
            pid = call.spawn(
                [b"/bin/sh", b"-c", action[1:]],
                fds=dict(zip((0, 1, 4, 5), opened, strict=True)),
                setup=lambda: os.chdir(log.path),  # by name: the child's descriptor numbers are others
            )
        except OSError as e:
            call.warn(f"warning: unable to run processor in {os.fsdecode(log.path)}: {errtext.text(e)}")
            return False
        finally:
            for fd in opened:
                os.close(fd)
        return os.waitpid(pid, 0)[1] == 0

    return process


def multilog(call: Call) -> int:
    """Log until the end of input or SIGTERM."""
    os.umask(0o022)
    caught: list[int] = []
    waking, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda number, _: caught.append(number))
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    script = Script(call)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(waking, select.POLLIN)
    ending = False
    while not (ending and not script.begun):
        ready = [fd for fd, _ in poll.poll()]
        if waking in ready:
            os.read(waking, 4096)
        while caught:
            which = caught.pop(0)
            ending = ending or which == signal.SIGTERM
            if which == signal.SIGALRM:
                for log in script.logs:
                    if log.bytes:
                        log.rotate()
            ready = []  # and look again: SIGTERM wins over input that waits
        if 0 in ready:
            block = _read(1 if ending else streams.BLOCK)
            if not block:
                break
            script.feed(block)
    script.close()
    return 0


def _read(size: int) -> bytes:
    try:
        return streams.read_some(0, size)
    except OSError:
        return b""  # as good as the end


main = PROGRAM.entry(multilog)
