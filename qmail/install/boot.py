"""QMAILHOME/boot: scripts that start the mail system, one for each usual way of delivering.  qmail-start(8).

The administrator copies one of them to QMAILHOME/rc.  Names and texts are those of the originals."""

from __future__ import annotations

# name: the default delivery instructions
DELIVERIES = {
    "home": "./Mailbox",
    "home+df": "|dot-forward .forward\n./Mailbox",
    "maildir": "./Maildir/",
    "maildir+df": "|dot-forward .forward\n./Maildir/",
    "proc": "|preline procmail",
    "proc+df": "|dot-forward .forward\n|preline procmail",
}
SCRIPT = """\
#!/bin/sh

# {comment}
# splogger sends the log to syslog, with the facility mail.

exec env - PATH="{home}/bin:{prefix}/bin:$PATH" \\
qmail-start {delivery} splogger qmail
"""
COMMENTS = {
    "./Mailbox": "Mail goes to ~user/Mailbox by default.",
    "./Maildir/": "Mail goes to ~user/Maildir/ by default.",
    "|preline procmail": "Mail goes through procmail by default.",
}


def scripts(home: str, prefix: str) -> dict[str, bytes]:
    """Name and text of each."""
    starts = {name: script(home, prefix, delivery).encode() for name, delivery in DELIVERIES.items()}
    return {**starts, "rc.qmail": rc(home, prefix)}


def script(home: str, prefix: str, delivery: str) -> str:
    """One that delivers so."""
    comment = COMMENTS[delivery.rpartition("\n")[2]]
    if delivery.startswith("|dot-forward"):
        comment += "  ~user/.forward is used where there is one."
    word = delivery if delivery.startswith("./") and "\n" not in delivery else "'" + delivery + "'"
    return SCRIPT.format(comment=comment, home=home, prefix=prefix, delivery=word)


RC = """\
#!/bin/sh
# rc.qmail: start and stop the mail system where init runs scripts and no supervisor is wanted.
# The services are those of qmail-services({section}), in {home}/supervise; their output goes to syslog.

PATH='{home}/bin:{prefix}/bin:/usr/local/bin:/usr/bin:/bin'
export PATH
SERVICES='{home}/supervise'
PIDS=/run/rc.qmail
CHILD='echo $$ "$(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)" >"$0" && exec ./run'

start() {{
	mkdir -p "$PIDS" || exit 111
	for service in qmail smtpd pop3d; do
		test -x "$SERVICES/$service/run" || continue
		if running "$service"; then
			echo "$service is running"
			continue
		fi
		cd "$SERVICES/$service" || exit 111
		pgrphack sh -c "$CHILD" "$PIDS/$service" 2>&1 </dev/null |
			pgrphack splogger "$service" >/dev/null 2>&1 &
		echo "$service started"
	done
}}

# When a process was started, in ticks: numbers are used again, the two together are not.
born() {{
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}}

running() {{
	pid=
	read -r pid time 2>/dev/null <"$PIDS/$1"
	test -n "$pid" && test "$(born "$pid")" = "$time"
}}

tell() {{
	running "$2" && kill -s "$1" "$pid"
}}

stop() {{
	for service in pop3d smtpd qmail; do
		tell TERM "$service" || continue
		echo "$service told to stop"
		while running "$service"; do sleep 1; done
		rm -f "$PIDS/$service"
	done
}}

case "$1" in
start) start ;;
stop) stop ;;
restart) stop; start ;;
stat | status)
	for service in qmail smtpd pop3d; do
		if running "$service"; then echo "$service: up (pid $pid)"; else echo "$service: down"; fi
	done
	qmail-qstat
	;;
doqueue | flush) tell ALRM qmail ;;
reload) tell HUP qmail ;;
*)
	echo "usage: $0 start | stop | restart | stat | doqueue | reload" >&2
	exit 100
	;;
esac
"""


def rc(home: str, prefix: str) -> bytes:
    """The init script."""
    return RC.format(home=home, prefix=prefix, section=8).encode()
