"""qmail-showctl: every control file, in words.  Expected text observed on the original."""

from __future__ import annotations

from pathlib import Path

from tests.support import instance, launchers


def shown(home: Path) -> list[str]:
    done = launchers.run(launchers.ours("qmail-showctl"), env={"QMAILHOME": str(home)})
    assert (done.code, done.err) == (0, b"")
    return done.out.decode("ascii").split("\n\n")


def test_what_is_compiled_in_comes_first(tmp_path: Path) -> None:
    home = instance.make_instance(tmp_path)
    head, *files = shown(home)
    lines = head.splitlines()
    assert lines[:5] == [
        f"qmail home directory: {home}.",
        "user-ext delimiter: -.",
        "paternalism (in decimal): 2.",
        "silent concurrency limit: 120.",
        "subdirectory split: 23.",
    ]
    assert lines[5].startswith("user ids: ") and lines[5].count(",") == 7
    assert lines[6].startswith("group ids: ") and lines[6].count(",") == 1
    names = [file.partition(":")[0] for file in files]
    assert names[:3] == ["badmailfrom", "bouncefrom", "bouncehost"] and names[-1] == "virtualdomains"


def test_a_file_that_is_there_is_shown_and_one_that_is_not_has_a_default(tmp_path: Path) -> None:
    home = instance.make_instance(
        tmp_path, databytes="5", rcpthosts="a.b\n#x\n.c.d \n", virtualdomains="x:y\nz\n", zzz="what\n"
    )
    (home / "control/helohost").mkdir()
    files = shown(home)
    assert "databytes: SMTP DATA limit is 5 bytes." in files
    assert "concurrencylocal: (Default.) Local concurrency is 10." in files
    assert "bouncehost: (Default.) Bounce host name is probe.example.org." in files
    hosts = "\n".join(f"SMTP clients may send messages to recipients at {name}." for name in ("a.b", ".c.d"))
    assert f"rcpthosts: \n{hosts}" in files
    assert "virtualdomains: \nVirtual domain: x:y\nVirtual domain: z" in files
    assert "helohost: Oops! Trouble reading this file." in files
    assert files[-1] == "zzz: I have no idea what this file does.\n"


def test_without_a_control_directory_there_is_nothing_to_show(tmp_path: Path) -> None:
    home = instance.make_instance(tmp_path)
    (home / "control").rename(home / "elsewhere")
    assert launchers.run(launchers.ours("qmail-showctl"), env={"QMAILHOME": str(home)}).code == 111
