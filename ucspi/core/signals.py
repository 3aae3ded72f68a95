"""The functions and numbers of `signal`, without its enums, which cost every program 4 ms to import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import *  # noqa: F403
    from signal import default_int_handler as default_int_handler
else:
    from _signal import *  # noqa: F403
    from _signal import default_int_handler as default_int_handler
