"""daemontools, runit and s6, each as its manual says: how it is started, told something, and taken down."""

from __future__ import annotations

import re
import signal

from tests.support.house import Service, demand
from tests.support.installed import InstalledHost

SERVICES = ("pop3d", "qmail", "smtpd")


class Supervisor:
    """One of them, on one directory of services."""

    package = ""
    scan = ""
    status: tuple[str, ...] = ()
    commands: dict[str, tuple[str, ...]] = {}

    def __init__(self, host: InstalledHost, directory: str) -> None:
        demand(self.scan, self.package)
        self.host, self.directory = host, directory
        self.service: Service = host.start(self.scan, directory)

    def tell(self, command: str, *services: str) -> None:
        """up, down, restart, or rotate (for a log)."""
        for service in services:
            self.host.must(*self.commands[command], f"{self.directory}/{service}")

    def pid(self, service: str) -> int:
        """0: down."""
        said = self.host.run(*self.status, f"{self.directory}/{service}").out.decode()
        found = re.search(r"\(pid (\d+)\)", said)
        return int(found[1]) if found and not re.match(r"down|.*: down", said) else 0

    def stop(self) -> None:
        """Take everything down."""
        raise NotImplementedError

    def gone(self) -> bool:
        """Whether nothing that it started is left."""
        return not any(name.startswith(("qmail-", "tcpserver", "multilog")) for name in self.host.processes())


class Daemontools(Supervisor):
    package, scan = "daemontools", "svscan"
    status = ("svstat",)
    commands = {"up": ("svc", "-u"), "down": ("svc", "-d"), "restart": ("svc", "-t"), "rotate": ("svc", "-a")}

    def stop(self) -> None:
        self.service.stop()
        places = [f"{self.directory}/{name}" for name in SERVICES]
        self.host.must("svc", "-dx", *places, *(f"{place}/log" for place in places))


class Runit(Supervisor):
    package, scan = "runit", "runsvdir"
    status = ("sv", "status")
    commands = {
        "up": ("sv", "up"),
        "down": ("sv", "down"),
        "restart": ("sv", "term"),
        "rotate": ("sv", "alarm"),
    }

    def pid(self, service: str) -> int:
        said = self.host.run(*self.status, f"{self.directory}/{service}").out.decode().partition(";")[0]
        found = re.match(r"run: \S+ \(pid (\d+)\)", said)
        return int(found[1]) if found else 0

    def stop(self) -> None:
        self.service.stop(signal.SIGHUP)


class S6(Supervisor):
    package, scan = "s6", "s6-svscan"
    status = ("s6-svstat",)
    commands = {
        "up": ("s6-svc", "-u"),
        "down": ("s6-svc", "-d"),
        "restart": ("s6-svc", "-t"),
        "rotate": ("s6-svc", "-a"),
    }

    def stop(self) -> None:
        self.host.must("s6-svscanctl", "-t", self.directory)
        self.service.process.wait(60)


ALL = {"daemontools": Daemontools, "runit": Runit, "s6": S6}
