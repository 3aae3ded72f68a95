"""`python -m bench [SECTION]...`: measure, and print tables for the README."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from bench import analog, connections, cores, messages, reading, relay, scale, scanner, startup, ucspi

SECTIONS = {
    "greeting": connections.greeting,
    "refused": connections.refused,
    "accepted": messages.accepted,
    "delivered": messages.delivered,
    "relayed": relay.relayed,
    "sent": relay.sent,
    "scanned": scanner.scanned,
    "scanning": scanner.scanning_cpu,
    "pop3": reading.sessions,
    "cores": cores.throughput,
    "memory": connections.memory,
    "startup": startup.startup,
    "tcprules": ucspi.compiling,
    "rules": ucspi.ruled,
    "lists": ucspi.lists,
    "streams": ucspi.streams,
    "multilog": ucspi.logs,
    "statistics": analog.statistics,
    "burst": scale.burst,
    "queued": scale.queued,  # the last, for it leaves the disk with much to tidy up
}


def main(names: list[str]) -> int:
    """Run the sections named, or all."""
    unknown = set(names) - SECTIONS.keys()
    if unknown:
        print(f"unknown section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}", file=sys.stderr)
        return 100
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}\n")
    for name in names or SECTIONS:
        # Not under /tmp, which may be in memory: fsync is what mail costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR", os.getcwd())) as directory:
            os.chmod(directory, 0o755)
            print(SECTIONS[name](Path(directory)).markdown(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
