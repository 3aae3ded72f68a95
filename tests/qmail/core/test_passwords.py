"""Who may log in, and with which password."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from qmail.core import passwords
from qmail.core.passwords import Account, InstanceAccounts, SystemAccounts, admit, crypt, pack, unpack
from ucspi.core.failure import TemporaryFailure

# Made by `openssl passwd -6 -salt saltsalt secret`, and for the bytes "\xe1rv\xedz" in Latin 2.
SECRET = b"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
LATIN = b"$6$saltsalt$hjw6BHtHaJvl36MEwbcLWd4hBghjBT9wW0JdR4Jk/lp05oJXzYBTXlIuRlPKPK61aS2KTjEmQdBoyI/xsHjTE0"


def instance_accounts(home: Path, *entries: tuple[bytes, bytes, bytes]) -> InstanceAccounts:
    (home / "users").mkdir()
    file = home / "users/passwd"
    file.write_bytes(b"".join(pack(*entry) for entry in entries))
    file.chmod(0o600)
    return InstanceAccounts(bytes(home), os.getuid(), os.getgid())


@pytest.fixture(params=["_crypt", "ctypes"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to libcrypt: the standard library's until Python 3.12, and the one that is left."""
    if request.param == "_crypt" and sys.version_info >= (3, 13):
        pytest.skip("Python 3.13 has no crypt")
    monkeypatch.setattr(passwords, "LIBCRYPT", request.param)


@pytest.mark.usefixtures("door")
def test_libcrypt_computes_what_openssl_does() -> None:
    assert crypt(b"secret", SECRET) == crypt(b"secret", b"$6$saltsalt") == SECRET
    assert crypt("árvíz".encode("latin2"), b"$6$saltsalt") == LATIN


@pytest.mark.parametrize("setting", [b"", b"x", b"!", b"*", b"*0", b"$zz$", b"!" + SECRET, b"$y$j9T$\xff", b"$6$a\0b"])
@pytest.mark.usefixtures("door")
def test_a_bad_setting_gives_no_hash(setting: bytes) -> None:
    assert crypt(b"secret", setting) is None


@pytest.mark.usefixtures("door")
def test_a_new_hash_matches_its_password_alone_and_is_salted(tmp_path: Path) -> None:
    first, second = passwords.hash_password(b"secret"), passwords.hash_password(b"secret")
    assert first != second
    accounts = instance_accounts(tmp_path, (b"demo", first, b"mail/demo"))
    assert admit(accounts, b"demo", b"secret") is not None
    assert admit(accounts, b"demo", b"secreT") is None


def test_an_instance_account_is_its_owner_with_a_home_of_its_own(tmp_path: Path) -> None:
    accounts = instance_accounts(tmp_path, (b"demo", SECRET, b"mail/demo"), (b"abs", SECRET, b"/srv/a:b"))
    demo = admit(accounts, b"demo", b"secret")
    assert demo is not None
    assert (demo.name, demo.uid, demo.gid) == (b"demo", os.getuid(), os.getgid())
    assert demo.home == bytes(tmp_path) + b"/mail/demo"
    assert demo.shell
    absolute = accounts.find(b"abs")
    assert absolute is not None
    assert absolute.home == b"/srv/a:b"


REFUSALS = [
    (b"demo", b"wrong"),
    (b"demo", b""),
    (b"", b""),
    (b"", b"secret"),
    (b"nosuch", b"secret"),
    (b"empty", b""),
    (b"empty", b"secret"),
    (b"locked", b"secret"),
    (b"star", b"secret"),
    (b"blank", b""),
]


@pytest.mark.parametrize(("login", "password"), REFUSALS)
def test_refusals_cost_one_hash_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: bytes, password: bytes
) -> None:
    accounts = instance_accounts(
        tmp_path,
        (b"empty", b"", b"h"),
        (b"locked", b"!" + SECRET, b"h"),
        (b"star", b"*", b"h"),
        (b"demo", SECRET, b"h"),
        (b"blank", crypt(b"", b"$6$salt") or b"", b"h"),
    )
    made: list[bytes | None] = []

    def counted(password: bytes, setting: bytes) -> bytes | None:
        made.append(crypt(password, setting))
        return made[-1]

    monkeypatch.setattr(passwords, "crypt", counted)
    assert admit(accounts, login, password) is None
    assert len([hash for hash in made if hash and hash.startswith(b"$6$")]) == 1


def test_where_no_login_has_a_hash_the_default_method_is_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = instance_accounts(tmp_path)
    paid: list[bytes] = []
    monkeypatch.setattr(passwords, "hash_password", lambda password: paid.append(password) or b"")
    assert admit(accounts, b"nosuch", b"secret") is None
    assert paid == [b"secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_password_file_that_others_may_touch_serves_nobody(tmp_path: Path, mode: int) -> None:
    instance_accounts(tmp_path, (b"demo", SECRET, b"h"))
    (tmp_path / "users/passwd").chmod(mode)
    with pytest.raises(TemporaryFailure):
        InstanceAccounts(bytes(tmp_path), os.getuid(), os.getgid())


def test_a_missing_password_file_is_an_error_not_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        InstanceAccounts(bytes(tmp_path), os.getuid(), os.getgid())


def test_password_file_lines() -> None:
    entries = [(b"demo", SECRET, b"mail/demo"), (b"x", b"", b"a:b")]
    assert list(unpack(b"".join(pack(*entry) for entry in entries))) == entries
    assert list(unpack(b"# comment:x:y\n\nbroken\nhalf:x\n:x:y\na:b:c")) == [(b"a", b"b", b"c")]
    for bad in [(b"", b"x", b"h"), (b"a:b", b"x", b"h"), (b"a", b"x\n", b"h"), (b"#a", b"x", b"h"), (b"a", b"", b"\n")]:
        with pytest.raises(ValueError):
            pack(*bad)


def system(tmp_path: Path, shadow: bytes) -> SystemAccounts:
    (tmp_path / "shadow").write_bytes(shadow)
    return SystemAccounts(bytes(tmp_path / "shadow"))


def test_a_system_account_has_the_hash_of_shadow(tmp_path: Path) -> None:
    accounts = system(tmp_path, b"daemon:*:1::::::\nroot:" + SECRET + b":20228:0:99999:7:::\n")
    root = admit(accounts, b"root", b"secret")
    assert isinstance(root, Account)
    assert (root.name, root.uid, root.gid) == (b"root", 0, 0)
    assert admit(accounts, b"root", b"wrong") is None
    assert admit(accounts, b"daemon", b"secret") is None


def test_a_login_that_only_shadow_has_is_none(tmp_path: Path) -> None:
    accounts = system(tmp_path, b"no-such-account:" + SECRET + b":::::::\n")
    assert admit(accounts, b"no-such-account", b"secret") is None


def test_without_shadow_the_field_of_passwd_counts_and_x_matches_nothing(tmp_path: Path) -> None:
    accounts = SystemAccounts(bytes(tmp_path / "missing"))
    root = accounts.find(b"root")
    assert root is not None
    assert not passwords.usable(root.hash)
    assert admit(accounts, b"root", b"x") is None


def test_the_name_service_is_asked_for_accounts_that_shadow_lacks() -> None:
    assert passwords._foreign_shadow(b"no-such-account") is None
    if os.access("/etc/shadow", os.R_OK):
        assert passwords._foreign_shadow(b"root") == SystemAccounts()._shadow_hash(b"root")
