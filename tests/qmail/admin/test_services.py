"""qmail-services: the texts.  tests/system/test_supervisors.py runs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from qmail.install import boot, services
from qmail.scanner import settings
from tests.support import launchers


def texts(tmp_path: Path, *, default: bool = True) -> services.Texts:
    return services.Texts("/var/qmail", "/usr/local", str(tmp_path), "/var/log/qmail", default=default)


@pytest.mark.parametrize("name", services.RUN)
@pytest.mark.parametrize("default", [True, False])
def test_scripts_are_ones_that_a_shell_understands_and_end_in_an_exec(tmp_path: Path, name: str, default: bool) -> None:
    made = texts(tmp_path, default=default)
    for script in (made.run(name), made.log(name), made.rules()):
        subprocess.run(["sh", "-n"], input=script.encode(), check=True)
        assert "\nexec " in script or "&& exec " in script
        assert script.startswith("#!/bin/sh\n")
    assert ("QMAILHOME" in made.run(name)) is not default


@pytest.mark.parametrize("name", boot.scripts("/var/qmail", "/usr/local"))
def test_boot_scripts_are_ones_that_a_shell_understands(name: str) -> None:
    subprocess.run(["sh", "-n"], input=boot.scripts("/var/qmail", "/usr/local")[name], check=True)


def test_a_boot_script_starts_what_its_name_says(tmp_path: Path) -> None:
    for name, delivery in boot.DELIVERIES.items():
        (tmp_path / "qmail-start").write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
        (tmp_path / "qmail-start").chmod(0o755)
        script = tmp_path / name
        script.write_bytes(boot.scripts("/nowhere", str(tmp_path / "none"))[name])
        script.chmod(0o755)
        done = launchers.run(str(script), env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert done.out.decode() == f"{delivery}|splogger|qmail|"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian package systemd)")
@pytest.mark.parametrize("place", ["supervise", "a b 100% $5 é"])
def test_systemd_finds_nothing_to_complain_of_in_the_units(tmp_path: Path, place: str) -> None:
    tmp_path = tmp_path / place
    made = texts(tmp_path)
    for name in services.RUN:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run").write_text(made.run(name))
        (tmp_path / name / "run").chmod(0o755)
    units = tmp_path / "units"
    units.mkdir()
    for name in services.UNITS:
        (units / name).write_text(made.unit(name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units.iterdir())], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    bad = units / "qmail.service"
    bad.write_text(bad.read_text().replace("KillMode=mixed", "KillMode=perhaps"))  # it does look
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(bad)], capture_output=True, text=True)
    assert "perhaps" in done.stderr


def test_under_systemd_the_scanner_may_write_its_spool_and_the_server_nothing_else(tmp_path: Path) -> None:
    lines = texts(tmp_path).unit("qmail-smtpd.service").splitlines()
    assert "ProtectSystem=strict" in lines
    spool = settings.TABLE["spooldir"][0]
    assert [line for line in lines if line.startswith("ReadWritePaths=")] == [f"ReadWritePaths=-{spool}"]


def test_each_place_stands_in_path_once(tmp_path: Path) -> None:
    assert "\nPATH='/var/qmail/bin:/usr/local/bin:/usr/bin:/bin'\n" in texts(tmp_path).run("qmail")


def test_without_the_accounts_it_says_what_is_missing(tmp_path: Path) -> None:
    try:
        import pwd

        pwd.getpwnam("qmaill")
        pytest.skip("this machine has the accounts")
    except KeyError:
        pass
    done = launchers.run(launchers.ours("qmail-services"), str(tmp_path / "x"))
    assert done.code == 111 and b"there is no user qmaill" in done.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("words", [(), ("a", "b"), ("-z", "a")])
def test_bad_usage(words: tuple[str, ...]) -> None:
    done = launchers.run(launchers.ours("qmail-services"), *words)
    assert done.code == 100 and b"qmail-services: usage: qmail-services " in done.err
