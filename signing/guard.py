"""What may be signed as a document.

A login signs `H(origin) ‖ H(nonce)`: 64, 96 or 128 bytes of hash. An HCA card has one signature key, so a
page that got those bytes signed as a "document" would hold somebody's login to another portal. Hash values
are not text; real documents of exactly these lengths practically always are.

What a format signs is not the document but something that names it: signed attributes, SignedInfo, a JWS
signing input. Each holds digests, names or certificates and is longer than a login, and
`agent.operations.documents` looks at it here before the card does anything.

A plain CMS signature (`signing.cms`) is over signed attributes. They too can come to 64, 96 or 128 bytes, but
they begin with the DER of a SET (0x31), its length, and attributes with their object identifiers, all in
places where a login has the hash of an origin: whoever found an origin with such a hash would have broken the
hash.
"""

from __future__ import annotations

from typing import Final

from signing.errors import DocumentRefusedError

LOGIN_LENGTHS: Final = frozenset((64, 96, 128))

_LAYOUT: Final = frozenset("\t\r\n")


def is_text(data: bytes) -> bool:
    r"""Whether `data` is UTF-8 without control characters (Unicode category Cc) other than \t, \r and \n."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(_is_control(character) and character not in _LAYOUT for character in text)


def check_document(document: bytes) -> None:
    """Let a document through that no login can ever be made of.

    Raises:
        DocumentRefusedError: 64, 96 or 128 bytes that are not text.
    """
    if len(document) in LOGIN_LENGTHS and not is_text(document):
        raise DocumentRefusedError


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"
