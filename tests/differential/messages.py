"""Every message that the originals have: each must be said in some case of the table, or stand in UNPROVOKED."""

from __future__ import annotations

_USAGE = [
    "tcpserver",
    "tcpclient",
    "tcprules",
    "tcprulescheck",
    "rblsmtpd",
    "recordio",
    "fixcrio",
    "argv0",
    "softlimit",
    "setuidgid",
    "envuidgid",
    "envdir",
    "setlock",
    "pgrphack",
    "fghack",
]
_RUN = [
    "rblsmtpd",
    "recordio",
    "fixcrio",
    "argv0",
    "softlimit",
    "setuidgid",
    "envuidgid",
    "envdir",
    "setlock",
    "pgrphack",
    "fghack",
    "tcpclient",
]
_DROPPED = "tcpserver: warning: dropping connection, "
_SERVER, _CLIENT, _LOG = "tcpserver: fatal: ", "tcpclient: fatal: ", "multilog: fatal: "

MESSAGES = [
    *(f"{program}: usage: " for program in _USAGE),
    *(f"{program}: fatal: unable to run " for program in _RUN),
    *(f"{program}: illegal option -- z\n" for program in ("tcpserver", "tcpclient", "rblsmtpd", "softlimit", "setlock")),
    *(f"{program}: option requires an argument -- " for program in ("tcpserver", "tcpclient", "rblsmtpd", "softlimit")),
    # tcpserver
    "tcpserver: status: ", "tcpserver: pid ", "tcpserver: ok ", "tcpserver: deny ", "tcpserver: end ",
    _SERVER + "unable to figure out port number for ", _SERVER + "temporarily unable to figure out IP address for ", _SERVER + "no IP address for ",
    _SERVER + "unable to create socket: ", _SERVER + "unable to bind: address not available", _SERVER + "unable to bind: access denied",
    _SERVER + "unable to bind: address already used", _SERVER + "unable to get local address: ", _SERVER + "unable to listen: ",
    _SERVER + "unable to set gid: ", _SERVER + "unable to set uid: ", _SERVER + "out of memory",
    _DROPPED + "unable to print banner: ", _DROPPED + "unable to get local address: ", _DROPPED + "unable to read ", _DROPPED + "unable to set up descriptors: ",
    _DROPPED + "unable to run ", _DROPPED + "out of memory", _DROPPED + "unable to fork: ",
    # rules
    "tcprules: fatal: unable to parse this line: ", "tcprules: fatal: unable to create ", "tcprules: fatal: unable to read input: ",
    "tcprules: fatal: unable to write to ", "tcprules: fatal: unable to move ", "tcprules: fatal: out of memory", "tcprulescheck: fatal: unable to read ",
    # tcpclient
    _CLIENT + "unable to figure out port number for ", _CLIENT + "temporarily unable to figure out IP address for ", _CLIENT + "no IP address for ",
    _CLIENT + "unable to create socket: ", _CLIENT + "unable to bind socket: ", _CLIENT + "unable to get local address: ", _CLIENT + "unable to get remote address: ",
    _CLIENT + "unable to set up descriptor 6: ", _CLIENT + "unable to set up descriptor 7: ", _CLIENT + "out of memory", "tcpclient: connected to ",
    "tcpclient: unable to connect to ",
    # the others of ucspi-tcp
    "rblsmtpd: {NET}"[:10], "recordio: fatal: unable to create pipe: ", "recordio: fatal: unable to fork: ", "recordio: fatal: unable to move descriptors: ",
    "fixcrio: fatal: unable to create pipe: ", "fixcrio: fatal: unable to fork: ", "fixcrio: fatal: unable to move descriptors: ", "mconnect-io: fatal: unable to fork: ",
    # daemontools
    "softlimit: fatal: getrlimit failed: ", "softlimit: fatal: setrlimit failed: ", "setuidgid: fatal: unknown account ", "setuidgid: fatal: unable to setgid: ",
    "setuidgid: fatal: unable to setuid: ", "envuidgid: fatal: unknown account ", "envdir: fatal: unable to read e/sub: is a directory",
    "envdir: fatal: unable to switch to current directory: ", "envdir: fatal: unable to switch to directory ", "envdir: fatal: unable to read directory ",
    "envdir: fatal: unable to switch to starting directory: ", "setlock: fatal: unable to open ", "setlock: fatal: unable to lock ", "fghack: fatal: child crashed",
    "fghack: fatal: unable to create pipe: ", "fghack: fatal: unable to fork: ",
    _LOG + "unable to lock directory ", _LOG + "unable to open directory ", _LOG + "unable to create ", _LOG + "unable to write ", _LOG + "unable to stat ",
    _LOG + "out of memory", "multilog: warning: processor failed in ", "multilog: warning: unable to write to ",
]  # fmt: skip

# What no case can make an original say, and why.
_LATER = "in the child a call fails that the parent made before: strace counts calls, and both have one"
_MEMORY = "an address space too small for malloc is too small for the loader"
UNPROVOKED = {
    _SERVER + "out of memory": _MEMORY,
    _CLIENT + "out of memory": _MEMORY,
    _LOG + "out of memory": _MEMORY,
    "tcprules: fatal: out of memory": _MEMORY,
    _DROPPED + "out of memory": _MEMORY,
    _DROPPED + "unable to get local address: ": _LATER,
    _DROPPED + "unable to set up descriptors: ": _LATER,
    _DROPPED
    + "unable to print banner: ": "the client must be gone before the server runs: tests/ucspi/test_tcpserver_trouble.py",
    _DROPPED
    + "unable to fork: ": "ours has forked before a client comes, and waits: tests/ucspi/test_tcpserver_trouble.py",
}
