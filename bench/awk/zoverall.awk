# zoverall, for the bench.
function span(a, b) { if (!seen || a < first) first = a; if (!seen || b > last) last = b; seen = 1 }
$1 == "d" {
	tried++
	xdelay += $5 - $4
	if ($2 == "k") { success++; ddelay += $5 - $3 } else if ($2 == "d") failure++
	span($3 + 0, $5 + 0)
}
$1 == "m" {
	messages++
	bytes += $4; weighted += $4 * $5; recipients += $5 + $6; tries += $5 + $6 + $7; qtime += $3 - $2
	span($2 + 0, $3 + 0)
}
END {
	printf "Completed messages: %d\n", messages
	if (messages) {
		printf "Recipients for completed messages: %d\n", recipients
		printf "Total delivery attempts for completed messages: %d\n", tries
		print "Average delivery attempts per completed message:", tries / messages
		printf "Bytes in completed messages: %.0f\nBytes weighted by success: %.0f\n", bytes, weighted
		print "Average message qtime (s):", qtime / messages
	}
	printf "\nTotal delivery attempts: %d\n", tried
	if (tried) {
		printf "  success: %d\n  failure: %d\n  deferral: %d\n", success, failure, tried - success - failure
		printf "Total ddelay (s): %.6f\n", ddelay
		if (success) printf "Average ddelay per success (s): %.6f\n", ddelay / success
		printf "Total xdelay (s): %.6f\nAverage xdelay per delivery attempt (s): %.6f\n", xdelay, xdelay / tried
		if (last > first) {
			print "Time span (days):", (last - first) / 86400
			print "Average concurrency:", xdelay / (last - first)
		}
	}
}
