"""The functions and numbers of `signal`, without its enums, which cost every program 4 ms to import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import *  # noqa: F403
    from signal import SIG_DFL, SIG_IGN, SIGCHLD, getsignal, signal
    from signal import default_int_handler as default_int_handler
else:
    from _signal import *  # noqa: F403
    from _signal import SIG_DFL, SIG_IGN, SIGCHLD, getsignal, signal
    from _signal import default_int_handler as default_int_handler


def hear_of_children() -> None:
    """For who is going to wait for a child.  Some parents hand SIGCHLD on ignored, and then the kernel keeps to itself
    how a child ended: what it did would be taken for not done, and be done again."""
    if getsignal(SIGCHLD) == SIG_IGN:
        signal(SIGCHLD, SIG_DFL)
