"""What the DNS server of the table knows: names say what happens to who asks for them."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# Last number of an address -> its PTR record; {x} repeats.
NAMES = {
    "10": "host.example.", "11": "HOST.Example.", "12": "a\\:b%c.example.", "13": "n" * 49 + "." + "m" * 49 + ".",
    "14": "n" * 50 + "." + "m" * 49 + ".", "15": "confirmed.example.", "16": "liar.example.", "17": ".",
    "18": "four.three.two.one.", "19": "under_score.example.", "22": "\\200\\001.example.",
}  # fmt: skip
LISTS = {
    "txt.example": (["listed"], []), "a.example": ([], ["127.0.0.2"]), "both.example": (["listed"], ["127.0.0.2"]),
    "empty.example": ([""], []), "ip.example": (["see %IP%, 100%"], []), "odd.example": (["caf\\233 \\009\\127end"], []),
    "long.example": (["x" * 150 + '" "' + "y" * 150], []), "many.example": (['one " "two'], []), "space.example": ([" "], []),
}  # fmt: skip
HOSTS = {
    "one.example": ["{NET}.2"], "a.one.example": ["{NET}.2"], "bare": ["{NET}.2"], "localhost": ["{NET}.2"],
    "x.dom2.example": ["{NET}.2"], "new.example": ["{NET}.2"],
}  # fmt: skip


def answer(query: dns.message.Message) -> dns.message.Message | bytes | None:
    """The answer over UDP."""
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    reply = dns.message.make_response(query)
    if "silent" in name:
        return None
    if "servfail" in name or name.startswith("21."):
        reply.set_rcode(dns.rcode.SERVFAIL)
        return reply
    if "truncated" in name:
        reply.flags |= dns.flags.TC
        return reply
    _fill(reply, name)
    return reply


def answer_tcp(query: dns.message.Message) -> dns.message.Message | bytes | None:
    """The answer over TCP: the same, and what was truncated."""
    question = query.question[0]
    if b"truncated" in question.name.to_wire().lower():
        reply = dns.message.make_response(query)
        reply.answer.append(
            dns.rrset.from_text(question.name, 300, "IN", "TXT", '"' + "t" * 250 + '" "' + "u" * 250 + '"')
        )
        return reply
    return answer(query)


def _fill(reply: dns.message.Message, name: str) -> None:
    from tests.differential.peers import NET

    question = reply.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    values: list[str] = []
    if kind == "PTR" and name.endswith("in-addr.arpa") and name.split(".")[0] in NAMES:
        values = [NAMES[name.split(".")[0]]]
    elif kind == "TXT":
        values = ['"' + text + '"' for base, (texts, _) in LISTS.items() if _below(name, base) for text in texts]
    elif kind == "A" and name == "confirmed.example":
        values = [NET + ".99", NET + ".15"]
    elif kind == "A" and name == "liar.example":
        values = [NET + ".99"]
    elif kind == "A" and name in HOSTS:
        values = [value.replace("{NET}", NET) for value in HOSTS[name]]
    elif kind == "A":
        values = [ip for base, (_, ips) in LISTS.items() if _below(name, base) for ip in ips]
    if values:
        reply.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, *values))
    else:
        reply.set_rcode(dns.rcode.NXDOMAIN)


def _below(name: str, base: str) -> bool:
    return name == base or name.endswith("." + base)
