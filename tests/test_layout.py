"""The house's own rules: who may import whom, and that every program has its module, manual page and test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ucspi
from tests.support import launchers
from tests.support.programs import programs

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for package in ("ucspi", "qmail") for path in (ROOT / package).rglob("*.py"))

LONGEST_MODULE, LONGEST_FUNCTION = 400, 40  # lines
# Generators of test cases: one `yield` after another, as a table in other places is one line after another.
TABLES = re.compile(r"tests/(?:differential/families/\w+|qmail/forwarding/test_originals)\.py (?:cases|_environments)")

# What a program that is started for every connection or message must not pay for at its start.
HEAVY = {"click", "dataclasses", "typing", "enum", "re", "socket", "subprocess", "logging", "tempfile", "dns"}
DAEMONS = {"ucspi.tcpserver", "qmail.queued", "qmail.send", "qmail.admin.serve"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Every module of ours that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    known = {module_name(module) for module in MODULES}
    return {name for name in found if name in known}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    name = module_name(path)
    taken = imports(path) - {"ucspi", "ucspi.core", "qmail", "qmail.core", "qmail.protocol"}
    entries = set(programs().values())
    assert not (taken & entries), "no program is imported"
    if name.startswith("ucspi"):
        assert not [module for module in taken if module.startswith("qmail")]
    if ".core" in name:
        assert not [module for module in taken if module.startswith("qmail.protocol") and not _pure(module)]
    if name.startswith("qmail.protocol"):
        assert not [module for module in taken if module.startswith("qmail.core") and not _pure(module)]


def _pure(module: str) -> bool:
    """True for a module without descriptors, clock or environment: a format or a grammar, which both layers may use."""
    text = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    return not re.search(r"^import (os|time|select|socket|signal|_socket)\b", text, flags=re.M)


@pytest.mark.parametrize(("name", "module"), programs().items(), ids=programs().keys())
def test_a_program_has_the_module_its_name_says(name: str, module: str) -> None:
    stem = name.removeprefix("qmail-").removeprefix("ucspi-").replace("-", "_").replace("@", "")
    assert module.rpartition(".")[2].rstrip("_") == stem
    assert (ROOT / (module.replace(".", "/") + ".py")).exists()


@pytest.mark.parametrize(("name", "module"), programs().items(), ids=programs().keys())
def test_a_program_has_a_manual_page_and_a_test(name: str, module: str) -> None:
    assert len(list((ROOT / "man").glob(f"man[18]/{name}.[18]"))) == 1
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    assert re.search(
        rf"(?<![\w-]){re.escape(name)}(?![\w@-])|from {module.rpartition('.')[0]} import .*\b{module.rpartition('.')[2]}\b",
        tests,
    )


@pytest.mark.parametrize("module", sorted(set(programs().values()) - DAEMONS))
def test_a_program_starts_without_heavy_imports(module: str) -> None:
    code = f"import sys; sys.path += {sys.path!r}; import {module}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not (HEAVY & set(out.split()))


def python_files() -> list[Path]:
    """Every module of ours, tests and benchmarks with them."""
    return sorted(path for folder in ("ucspi", "qmail", "bench", "tests") for path in (ROOT / folder).rglob("*.py"))


def test_a_module_has_400_lines_at_most() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_a_function_has_40_lines_at_most_unless_it_is_a_table() -> None:
    long = [
        f"{path.relative_to(ROOT)} {node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert [name for name in long if not TABLES.fullmatch(name)] == []


@pytest.mark.parametrize("name", programs().keys())
def test_every_program_explains_itself(name: str) -> None:
    shown = launchers.run(launchers.ours(name), "--help")
    assert shown.code == 0 and shown.err == b""
    assert shown.out.startswith(f"Usage: {name} ".encode())
    assert launchers.run(launchers.ours(name), "--version").out == f"{name} {ucspi.__version__}\n".encode()


@pytest.mark.xdist_group("of one")
def test_tests_that_share_a_host_run_in_one_process(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("all tests are in one process")
    assert request.node.nodeid.endswith("@of one")  # else pytest and pytest-xdist do not go together: see setup.cfg
