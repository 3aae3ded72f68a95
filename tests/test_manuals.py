"""The manual pages: one for each console script of setup.cfg, with the options that the program takes."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import programs

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "COMPATIBILITY", "SEE ALSO")
# What the manual calls an option, and its value if it takes one: ".It Fl x", ".It Fl x Ar value".
OPTION = re.compile(r"^\.It Fl (\S|-\S+)(?: (.*))?$", re.MULTILINE)


PROGRAMS = programs()
PAGES = sorted(page for section in ("man1", "man8") for page in (ROOT / "man" / section).iterdir())
# What is not a program: file formats, and overviews.
FORMATS = sorted(page for section in ("man5", "man7") for page in (ROOT / "man" / section).iterdir())
PROMISED = {
    *("addresses.5", "dot-qmail.5", "envelopes.5", "maildir.5", "mbox.5", "qmail-control.5", "qmail-header.5"),
    *("qmail-log.5", "tcp-environ.5", "tcprules.5", "qmail.7", "ucspi.7"),
}


def name_of(page: Path) -> str:
    return page.name.rpartition(".")[0]


def pages_of(name: str) -> list[Path]:
    return [page for page in PAGES if name_of(page) == name]


def text_of(name: str) -> str:
    pages = pages_of(name)
    if not pages:
        pytest.skip(f"{name} has no manual page, as another test says")
    return pages[0].read_text()


def skip_unless_written(name: str) -> None:
    """A program may be declared before it is written."""
    module = ROOT.joinpath(*PROGRAMS[name].split(".")).with_suffix(".py")
    if not module.exists():
        pytest.skip(f"{name} is declared, but there is no {module.relative_to(ROOT)} yet")


def options_of(name: str) -> dict[str, bool]:
    """Letter of every option the program takes, and whether a value goes with it."""
    skip_unless_written(name)
    program = importlib.import_module(PROGRAMS[name]).main.program
    return {option.flag[1:]: option.metavar is not None for option in program.options}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_one_page(name: str) -> None:
    if not pages_of(name):
        skip_unless_written(name)
    assert len(pages_of(name)) == 1, f"{name}: write man/man1/{name}.1 or man/man8/{name}.8"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_in_man1_or_man8_is_that_of_a_program(page: Path) -> None:
    name, section = name_of(page), page.suffix[1:]
    text = page.read_text()
    assert name in PROGRAMS
    assert page.parent.name == f"man{section}"
    assert f"\n.Dt {name.upper()} {section}\n" in text
    assert f"\n.Sh NAME\n.Nm {name}\n.Nd " in text


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_lists_the_options_that_the_program_takes_and_no_others(name: str) -> None:
    assert {letter: bool(value) for letter, value in OPTION.findall(text_of(name))} == options_of(name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_synopsis_shows_only_options_that_the_program_takes(name: str) -> None:
    synopsis = text_of(name).partition("\n.Sh SYNOPSIS\n")[2].partition("\n.Sh ")[0]
    options = options_of(name)
    for letters, value in re.findall(r"^\.Op Fl (\S+)(?: Ar (.*))?$", synopsis, re.MULTILINE):
        given = {letters} if letters.startswith("-") else set(letters)
        assert given <= {letter for letter, takes_value in options.items() if takes_value == bool(value)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_page_has_the_sections_that_all_have_in_their_order(name: str) -> None:
    found = re.findall(r"^\.Sh (.*)$", text_of(name), re.MULTILINE)
    assert [section for section in found if section in SECTIONS] == list(SECTIONS)


@pytest.mark.parametrize("page", PAGES + FORMATS, ids=lambda page: page.name)
def test_a_reference_to_a_page_of_ours_leads_there(page: Path) -> None:
    ours = {(name_of(other), other.suffix[1:]) for other in PAGES + FORMATS}
    names = {name for name, _ in ours}
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.MULTILINE):
        if name in names:
            assert (name, section) in ours, name


@pytest.mark.parametrize("page", FORMATS, ids=lambda page: page.name)
def test_a_page_on_a_format_is_one_and_has_the_sections_of_its_kind(page: Path) -> None:
    name, section, text = name_of(page), page.suffix[1:], page.read_text()
    assert page.parent.name == f"man{section}"
    assert f"\n.Dt {name.upper()} {section}\n" in text
    assert f"\n.Sh NAME\n.Nm {name}\n.Nd " in text
    found = re.findall(r"^\.Sh (.*)$", text, re.MULTILINE)
    wanted = ["NAME", "DESCRIPTION", "COMPATIBILITY", "SEE ALSO"]
    assert [heading for heading in found if heading in wanted] == wanted


def test_the_pages_on_formats_and_the_overviews_are_there() -> None:
    assert {page.name for page in FORMATS} >= PROMISED


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_readme_has_a_place_for_the_program(name: str) -> None:
    table = (ROOT / "README.md").read_text().partition("\n## Programs\n")[2].partition("\n## ")[0]
    assert re.search(rf"(?<![\w@-]){re.escape(name)}(?![\w@-])", table), f"{name} is not in README.md's table"


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_and_page_have_the_same_options(name: str) -> None:
    skip_unless_written(name)
    shown = importlib.import_module(PROGRAMS[name]).main.program.help()
    options = set(re.findall(r"^  -(-\S+|\S)(?= |$)", shown.partition("Options:\n")[2], re.MULTILINE))
    assert options == {letter for letter, _ in OPTION.findall(text_of(name))}


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES + FORMATS, ids=lambda page: page.name)
def test_mandoc_finds_nothing_to_complain_of(page: Path) -> None:
    # -W style leaves out what mandoc asks of the base systems of NetBSD and OpenBSD alone: no name behind .Os.
    lint = subprocess.run(["mandoc", "-Tlint", "-W", "style", page], capture_output=True, text=True)
    # Whether the manuals referred to are installed on this machine says nothing about the page.
    assert [line for line in lint.stdout.splitlines() if "referenced manual not found" not in line] == []


@pytest.mark.parametrize("page", PAGES + FORMATS, ids=lambda page: page.name)
def test_no_word_of_a_heading_is_taken_for_a_macro(page: Path) -> None:
    """`.Ss In the queue` is printed as "<the> queue": In is a macro."""
    headings = re.findall(r"^\.S[sh] (.*)$", page.read_text(), re.MULTILINE)
    assert [heading for heading in headings if re.search(r"(?:^| )[A-Z][a-z](?: |$)", heading)] == []


@pytest.mark.parametrize("page", PAGES + FORMATS, ids=lambda page: page.name)
def test_a_second_quotation_in_a_line_does_not_stand_in_the_first(page: Path) -> None:
    """As in `.Ql a , Ql b`; `.So a Sc , Ql b` is right."""
    assert re.findall(r"^\.(?:.* )?Ql \S+ , Ql .*", page.read_text(), re.MULTILINE) == []
