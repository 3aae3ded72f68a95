"""qmail-report: any log at all has figures, the same in any pieces, and a page."""

from __future__ import annotations

import json

from qmail.analog.core.figures import Figures
from qmail.analog.core.matching import DAMAGED, Matcher
from qmail.analog.core.page import page
from tests.fuzz.harness import cuts, fuzz, same

SEED = (
    b"1.0 new msg 7\n1.1 info msg 7: bytes 5 from <a@b> qp 9 uid 1\n1.2 starting delivery 1: msg 7 to local c@d\n"
    b"1.3 delivery 1: success: did_1+0+0/\n1.4 end msg 7\n1.5 rblsmtpd: 192.0.2.1 pid 3: 451 no\n"
)
WORDS = [
    *SEED.split(b" "),
    b"\n",
    b" ",
    b"failure:",
    b"deferral:",
    b"-1",
    b"1e308",
    b"@40000000477f63f537146144",
    b"99999999999999999999",
]


def figures(pieces: list[bytes]) -> str:
    """But for the count of damaged lines: those whose figures are beyond doubt the quick way need not call damaged."""
    matcher, found = Matcher(2e9), Figures()
    for piece in pieces:
        found.receive(matcher.receive(piece))
    warnings = {what: count for what, count in matcher.warnings.items() if what != DAMAGED}
    return json.dumps(found.result(5, warnings=warnings, pending=0))


# Read the exact way for its one byte above 126, this is worth a warning more than in pieces.
DAMAGE = SEED.replace(b"from <a@b>", b"froma>< b@").replace(b"end msg 7", b"end msg\xaa7")


@fuzz(words=WORDS, seeds=[SEED, DAMAGE])
def test_any_log_has_figures_and_a_page(data: bytes) -> None:
    outcomes = [figures(pieces) for pieces in cuts(data)]
    same(outcomes)
    assert page(json.loads(outcomes[0]), 2e9).endswith("</html>\n")


@fuzz(
    words=[b"d k ", b"m ", b"? ", b"1.0 ", b"x ", b"\n", b"inf ", b"nan ", b"rblsmtpd: ", b"pid 1: "],
    seeds=[b"d k 1 2 3 4 <a> b 5 6 r\n"],
)
def test_what_did_not_come_from_matchup_does_no_harm(data: bytes) -> None:
    found = Figures()
    found.receive(data)
    assert page(json.loads(json.dumps(found.result(5, warnings={}, pending=0))), 2e9)
