"""Command lines: options, their values, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case

# Program: options with a value, options without, operands that it needs.
PROGRAMS = {
    "tcpserver": ("cxBgubtl", "1UXpPhHrRoOdDqQv", ["1.2.3.4", "45001", "true"]),
    "tcpclient": ("ipTlt", "hHrRdDqQv", ["127.1", "1", "true"]),
    "rblsmtpd": ("rat", "bBcC", ["true"]),
    "softlimit": ("acdflmoprst", "", ["true"]),
    "setlock": ("", "nNxX", ["lk", "true"]),
}
PLAIN = {
    "tcprules": ["cdb", "tmp"],
    "tcprulescheck": ["cdb"],
    "recordio": ["true"],
    "fixcrio": ["true"],
    "argv0": ["true", "x"],
    "setuidgid": ["root", "true"],
    "envuidgid": ["root", "true"],
    "envdir": [".", "true"],
    "pgrphack": ["true"],
    "fghack": ["true"],
}


def cases() -> Iterator[Case]:
    """Every option without its value, illegal options, and too few operands."""
    for program, (values, flags, operands) in PROGRAMS.items():
        for letter in values:
            yield Case(f"{program} -{letter} without a value", [program, f"-{letter}"])
        for word in ("-z", "-?", "-:", "-" + (flags[:1] or "o1") + "z", "--x", "-\xff".encode("latin-1")):
            if program == "softlimit" and word == "-o1z":
                continue
            yield Case(f"{program} {word!a}", [program, word, *operands])
        for count in range(len(operands)):
            yield Case(f"{program} with {count} operands", [program, *operands[:count]])
            yield Case(f"{program} -- with {count} operands", [program, "--", *operands[:count]])
        yield Case(f"{program} with a lone -", [program, "-"])
    for program, operands in PLAIN.items():
        for count in range(len(operands)):
            yield Case(f"{program} with {count} operands", [program, *operands[:count]])
    for letters in ("q", "Qq", "vq", "qQ", "qv"):
        yield Case(f"tcpserver -{letters} without a host", ["tcpserver", "-" + letters])
        yield Case(f"tcpclient -{letters} without a host", ["tcpclient", "-" + letters])
        yield Case(
            f"tcpserver -{letters} on an address that is not here",
            ["tcpserver", "-" + letters, "1.2.3.4", "45001", "true"],
        )
        yield Case(f"tcpserver -{letters} with an illegal option", ["tcpserver", f"-{letters}z"])
    for program in ("tcpserver", "tcpclient"):
        for host in ("127.1", "1.2.3", "[1.2.3]", ".", "..."):
            yield Case(f"{program} at {host}", [program, host, "0", "true"])
        for port in ("no-such-service", "25x", "-1", "smtp2", "0x19"):
            yield Case(f"{program} at port {port}", [program, "127.1", port, "true"])
    for host in ("1.2.3.4", "[1.2.3.4]", "1.2.3.260", "001.02.3.4", "1.2.3.4.127.0.0.1", "1.2.3.4.5"):
        yield Case(f"tcpserver bound to {host}", ["tcpserver", host, "45001", "true"])
    yield Case("tcpserver on a low port as nobody", ["tcpserver", "{NET}.2", "25", "true"], account="nobody")
    yield Case("tcpserver -u as nobody", ["tcpserver", "-u1", "{NET}.2", "0", "true"], account="nobody")
    yield Case("tcpserver -g as nobody", ["tcpserver", "-g1", "{NET}.2", "0", "true"], account="nobody")
    yield Case("tcpserver on a port that wraps", ["tcpserver", "-v", "1.2.3.4", "65537", "true"])
    yield Case("tcpserver -c abc", ["tcpserver", "-c", "abc", "1.2.3.4", "45001", "true"])
    yield Case("tcpserver -c 0", ["tcpserver", "-c", "0", "1.2.3.4", "45001", "true"])
    yield Case("tcpserver -u nobody", ["tcpserver", "-u", "nobody", "1.2.3.4", "45001", "true"])
    yield Case("tcpserver -u no-such-account", ["tcpserver", "-u", "no-such-account", "1.2.3.4", "45001", "true"])
    yield Case("tcpserver -g no-such-group", ["tcpserver", "-g", "no-such-group", "1.2.3.4", "45001", "true"])
    for env in ({"UID": "no-such-account"}, {"UID": "1", "GID": "no-such-group"}, {"UID": ""}, {"UID": "nobody"}):
        yield Case(f"tcpserver -U with {env}", ["tcpserver", "-U", "1.2.3.4", "45001", "true"], env=env)
    for ip in ("x", "1.2.3", "1.2.3.", "1.2.3.4x", "1.2.3.4.5", "1..3.4", "", " 1.2.3.4", "300.1.1.1"):
        yield Case(f"tcpclient -i {ip!a}", ["tcpclient", "-RHl0", "-i", ip, "{NET}.2", "1", "true"])
    yield from _softlimit()


def _softlimit() -> Iterator[Case]:
    show = ["sh", "-c", "ulimit -S -c; ulimit -S -f; ulimit -S -n; ulimit -S -s; ulimit -S -v"]
    for value in ("1x", "-1", "+1", "unlimited", "10k", " 10", "0x10", "==", "1=", "1.5"):
        yield Case(f"softlimit -f {value!a}", ["softlimit", "-f", value, "true"])
    for value in (
        "0",
        "",
        "512",
        "51200",
        "18446744073709551615",
        "18446744073709551616",
        "36893488147419103232",
        "=",
        "0000100000",
    ):
        yield Case(f"softlimit -c {value!a} shown", ["softlimit", "-c", value, *show])
    for words in ("-n 5", "-o 77", "-o77", "-o 5000000", "-o 10 -o 20", "-o 10 -o =", "-s 4000000", "-s8000000 -a 900000000",
                  "-m 300000000", "-m 300000000 -s =", "-d 5000000 -m 600000000", "-a 600000000 softlimit -o 50",
                  "-l 100 -r 100 -t 100 -p =", "-o 40 -- sh -c ulimit\t-n", "-f 51200 sh -c ulimit\t-f;ulimit\t-Hf"):  # fmt: skip
        args = [word.replace("\t", " ") for word in words.split()]
        yield Case(f"softlimit {' '.join(args)}", ["softlimit", *args, *([] if "sh" in args else show)])
    yield Case("softlimit -f exceeded", ["softlimit", "-f", "10", "sh", "-c", "echo 0123456789ABC > big"])
    yield Case("softlimit -t exceeded", ["softlimit", "-t", "1", "sh", "-c", "while :; do :; done"], slow=True)
    yield Case("softlimit -a 1000", ["softlimit", "-a", "1000", "true"])
    yield Case("softlimit -o 3", ["softlimit", "-o", "3", "true"])
    yield Case("softlimit -p 0", ["softlimit", "-p0", "echo", "ok"])
    yield Case("softlimit -o above a hard limit", ["sh", "-c", "ulimit -Sn 50; ulimit -Hn 100; softlimit -o 5000 sh -c 'ulimit -Sn; ulimit -Hn'; softlimit -o = sh -c 'ulimit -Sn'"])  # fmt: skip
    yield Case("softlimit -m with a hard limit", ["sh", "-c", "ulimit -l 8192; softlimit -m 300000000 sh -c 'ulimit -Sd; ulimit -Ss; ulimit -Sv; ulimit -Sl'"])  # fmt: skip
