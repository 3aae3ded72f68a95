"""Where the mail system's own programs are, for those that become one of them.

The originals run bin/NAME below their home.  An instance of ours need not have a bin directory: then it is the NAME
that PATH leads to, and where cron's short PATH does not, the one installed beside our interpreter."""

from __future__ import annotations

import os
import sys

from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.instance import Instance
    from ucspi.core.command import Call


def locate(call: Call, instance: Instance, name: bytes) -> bytes:
    """The file to run as program `name`; it is for execute or spawn to find out whether it can be run."""
    own = instance.path(b"bin", name)
    if os.path.exists(own):
        return own
    try:
        return chain.search(name, call.path)
    except OSError:
        return os.path.join(os.path.dirname(os.fsencode(sys.executable)), name)
