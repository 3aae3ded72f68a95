"""qmail-send's end of the pipes to qmail-clean.  qmail-clean(8).

    command  b"todo/N" 0x00  or  b"foop/N" 0x00        remove intd/N and todo/N, or intd/N and mess/s/N
    answer   b"+" done   b"!" not done   b"x" not understood

qmail-clean takes one command at a time and answers in order, so commands may be sent ahead of the answers: one round
trip serves a batch.  A batch must fit into the pipe, or the two would wait for each other."""

from __future__ import annotations

from ucspi.core.streams import read_some, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmail.core.logline import Log

BATCH = 100  # names sent ahead: 26 bytes each at most, well below the 4,096 that any pipe holds


class Cleaner:
    """The conversation with qmail-clean; `lost` turns true when it is gone, for good."""

    __slots__ = ("_log", "_read", "_write", "lost")

    def __init__(self, write: int, read: int, log: Log) -> None:
        self._write, self._read, self._log = write, read, log
        self.lost = False

    def clean(self, names: Sequence[bytes]) -> list[bool]:
        """Have `names` (todo/N or foop/N) removed; say of each whether it is gone.

        The list is shorter than `names` if qmail-clean died: nothing is known of the rest."""
        done: list[bool] = []
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            answers = self._ask(batch)
            for name, answer in zip(batch, answers, strict=False):  # answers may end early
                if answer != ord("+"):
                    self._log(b"warning: qmail-clean unable to clean up %b\n" % name)
                done.append(answer == ord("+"))
            if len(answers) < len(batch):
                self.lost = True
                self._log(b"alert: oh no! lost qmail-clean connection! dying...\n")
                break
        return done

    def _ask(self, names: Sequence[bytes]) -> bytes:
        answers = b""
        try:
            write_all(self._write, b"".join([name + b"\0" for name in names]))
            while len(answers) < len(names):
                block = read_some(self._read, len(names) - len(answers))
                if not block:
                    break
                answers += block
        except OSError:
            pass  # a broken pipe is end of file on the way out
        return answers
