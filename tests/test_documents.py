"""The documents: what they point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ucspi.core import pool

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(ROOT.glob("*.md"))
PROMISED = {"README.md", "INSTALL.md", "UPGRADE.md", "INTERNALS.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGES.md"}


def test_the_documents_are_there() -> None:
    assert {page.name for page in DOCUMENTS} >= PROMISED


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_and_files_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:tests|qmail|ucspi|bench|man)/[\w./-]+\.(?:py|md|[1-8]))`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in re.findall(r"(?:`|^)make ((?:[a-z]+ )*[a-z]+)(?=[ `\n]|$)", page.read_text(), re.MULTILINE):
        for word in words.split():
            assert word in targets, word


@pytest.mark.parametrize("page", ["SECURITY.md", "INTERNALS.md", "man/man1/tcpserver.1"])
def test_how_many_connections_a_worker_serves_is_said_as_it_is(page: str) -> None:
    assert re.findall(r"serves?(?: up to)? (\d+)\b", (ROOT / page).read_text()) == [str(pool.LIFE)]
