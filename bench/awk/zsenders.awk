# senders, for the bench: what zsenders sorts and aligns.
$1 == "d" { xdelay[$10 "/" $7] += $5 - $4 }
$1 == "m" {
	s = $10 "/" $8
	messages[s]++
	bytes[s] += $4; sbytes[s] += $4 * $5; rbytes[s] += $4 * ($5 + $6)
	recipients[s] += $5 + $6
	tries[s] += $5 + $6 + $7
}
END {
	for (s in messages)
		printf "%d %.0f %.0f %.0f %d %d %.6f %s\n", messages[s], bytes[s], sbytes[s], rbytes[s], recipients[s], tries[s], xdelay[s], s
}
