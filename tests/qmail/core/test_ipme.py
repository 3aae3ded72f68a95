from __future__ import annotations

import shutil
import subprocess

import pytest

from qmail.core import ipme


def test_this_host_and_loopback_are_ours_but_not_the_rest_of_127() -> None:
    own = ipme.addresses()
    assert {b"0.0.0.0", b"::", b"127.0.0.1"} <= own
    assert b"127.0.0.2" not in own


@pytest.mark.skipif(not shutil.which("ip"), reason="iproute2 is not installed")
def test_every_address_that_ip_shows_on_an_interface_that_is_up_is_ours() -> None:
    shown = subprocess.run(["ip", "-o", "addr", "show", "up"], stdout=subprocess.PIPE, check=True).stdout
    words = [line.split() for line in shown.splitlines()]
    expected = {word[3].split(b"/")[0] for word in words if word[2] in (b"inet", b"inet6")}
    assert expected == ipme.addresses() - {b"0.0.0.0", b"::"}
