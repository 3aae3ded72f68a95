"""The other ways onto a machine: the wheel that pipx and uv take, and what Containerfile does."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import demand
from tests.support.installed import InstalledHost, interpreter, wheels
from tests.support.launchers import ROOT
from tests.support.programs import programs
from ucspi import __version__

pytestmark = [pytest.mark.xdist_group("installation"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh virtual environment with the wheel in it, as pipx and uv make one; no index is asked."""
    place = tmp_path_factory.mktemp("tool")
    subprocess.run([interpreter(), "-m", "venv", place], check=True)
    pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--no-index", "--find-links", wheels(), "ucspi-qmail"], capture_output=True, text=True)
    assert done.returncode == 0, done
    yield place


def test_the_wheel_brings_every_program_that_pip_can_write(venv: Path) -> None:
    names = {name for name in programs() if "@" not in name}
    assert names <= {path.name for path in (venv / "bin").iterdir()}
    for name in ("tcpserver", "qmail-smtpd", "qmail-setup", "qmail-showctl", "forward"):
        said = subprocess.run([venv / "bin" / name, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout == f"{name} {__version__}\n"


def test_its_programs_find_each_other(venv: Path, tmp_path: Path) -> None:
    home = tmp_path / "mail"
    done = subprocess.run(
        [venv / "bin/qmail-instance", home], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done
    env = {"PATH": f"{venv}/bin:/usr/bin:/bin", "QMAILHOME": str(home)}
    sent = subprocess.run([venv / "bin/qmail-inject", "demo"], input=b"Subject: x\n\nx\n", env=env)
    assert sent.returncode == 0
    shown = subprocess.run([venv / "bin/qmail-qstat"], capture_output=True, text=True, env=env, check=True)
    assert "messages in queue: 1\n" in shown.stdout
    (tmp_path / "empty").mkdir()
    chain = [venv / "bin/envdir", str(tmp_path / "empty"), "softlimit", "-m", "20000000", "sh", "-c", "echo through"]
    assert subprocess.run(chain, capture_output=True, env=env).stdout == b"through\n"


def test_the_containers_steps_work_and_its_start_serves() -> None:
    demand("s6-svscan", "s6")
    text = (ROOT / "Containerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.*)$", text, re.M) for word in line.split()[:-1]}
    steps = re.findall(r"^RUN make -C /usr/src/ucspi-qmail (.*?) PYTHON=/usr/bin/python3$", text, re.M)
    assert steps == ["users", "setup check"]
    with InstalledHost() as machine:
        assert copied == {path.name for path in machine.file("/var/src").iterdir()}
        for step in steps:
            assert machine.make(*step.split()).code == 0
        entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.M)[0])
        machine.start_dns()
        machine.start(*entry, "mail.example.org")
        with machine.connect(25) as client:
            assert client.recv(512).startswith(b"220 mail.example.org ESMTP")
        with machine.connect(110) as client:
            assert client.recv(512).startswith(b"+OK ")
