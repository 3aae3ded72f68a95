"""What a message shows of signatures and encryption: the types of its parts.  RFC 1847, 3156, 8551.

Nothing is verified; a signature inside what is encrypted cannot be seen, nor is PGP in plain text looked for."""

from __future__ import annotations

from qmail.scanner.mimefields import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmail.scanner.mime import Part

_TYPES = {
    b"application/pgp-signature": b"PGP(signed)",
    b"application/pgp-encrypted": b"PGP(encrypted)",
    b"application/pkcs7-signature": b"SMIME(signed)",
    b"application/x-pkcs7-signature": b"SMIME(signed)",
}
_PKCS7 = (b"application/pkcs7-mime", b"application/x-pkcs7-mime")
_KINDS = {b"signed-data": b"SMIME(signed)", b"compressed-data": b"", b"certs-only": b""}


def details(parts: Iterable[Part]) -> bytes:
    """`SMIME(signed),PGP(encrypted)`: each kind once, in the order of the parts; b"" if there is none."""
    found = [_of(part) for part in parts]
    return b",".join(dict.fromkeys(kind for kind in found if kind))


def _of(part: Part) -> bytes:
    if part.type not in _PKCS7:
        return _TYPES.get(part.type, b"")
    for name, value in part.fields:
        if name == b"content-type":
            return _KINDS.get(Value(value).get(b"smime-type").lower(), b"SMIME(encrypted)")
    return b"SMIME(encrypted)"
