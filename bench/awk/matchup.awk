# matchup, for the bench: what awk does with the lines that qmail-send writes in good order.
$2 == "status:" { next }
$2 == "starting" { d = $4; msg[d] = $6; to[d] = $8 "." tolower($9); start[d] = $1; next }
$2 == "delivery" {
	d = $3
	if (!(d in msg)) next
	m = msg[d]
	c = substr($4, 1, 1)
	k = c == "s" ? "k" : c == "f" ? "d" : "z"
	if (m in birth) {
		n[m, k]++
		print "d", k, birth[m], start[d], $1, bytes[m], sender[m], to[d], qp[m], uid[m], $5
	} else
		print "d", k, start[d], start[d], $1, 0, "?", to[d], "?", "?", $5
	delete msg[d]
	delete to[d]
	delete start[d]
	next
}
$2 == "info" {
	m = $4 + 0
	birth[m] = $1; bytes[m] = $6; sender[m] = tolower($8); qp[m] = $10; uid[m] = $12
	n[m, "k"] = n[m, "d"] = n[m, "z"] = 0
	next
}
$2 == "new" { delete birth[$4]; next }
$2 == "end" {
	m = $4
	if (!(m in birth)) next
	print "m", birth[m], $1, bytes[m], n[m, "k"], n[m, "d"], n[m, "z"], sender[m], qp[m], uid[m]
	delete birth[m]
	next
}
$2 == "running" || $2 == "exiting" { for (d in msg) delete msg[d]; next }
$2 == "warning:" || $2 == "alert:" { print; next }
{ print "? " $0 }
