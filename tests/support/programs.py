"""The programs, as setup.cfg declares them."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("console_scripts", "ucspi_qmail.launchers")


def programs() -> dict[str, str]:
    """Name and module of every program."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = [line for group in GROUPS for line in config["options.entry_points"][group].strip().splitlines()]
    return {
        name.strip(): target.strip().partition(":")[0] for name, _, target in (line.partition("=") for line in lines)
    }
