"""The table: every case, by family."""

from __future__ import annotations

from tests.differential.case import Case
from tests.differential.families import (
    chains,
    clients,
    failing,
    logs,
    passwords,
    refusals,
    rules,
    servers,
    streams,
    usage,
)

FAMILIES = {
    "usage": usage.cases,
    "chains": chains.cases,
    "rules": rules.cases,
    "refusals": refusals.cases,
    "streams": streams.cases,
    "logs": logs.cases,
    "servers": servers.cases,
    "clients": clients.cases,
    "passwords": passwords.cases,
    "failing": failing.cases,
}


def table() -> dict[str, Case]:
    """Case by `family: name`; names are unique."""
    found: dict[str, Case] = {}
    for family, cases in FAMILIES.items():
        for case in cases():
            name = f"{family}: {case.name}"
            assert name not in found, name
            found[name] = case
    return found
