"""Decompression of what a card holds: hostile input, so that it has an end whatever it claims to become."""

from __future__ import annotations

import zlib
from typing import Final

from hca_card.errors import CardDataError

_WINDOWS: Final = {"zlib": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}


def inflate(content: bytes, form: str, most: int) -> bytes:
    """Return the content as it was; what follows its end is padding of the file.

    Args:
        content: compressed.
        form: `zlib` (RFC 1950), `gzip` (RFC 1952) or `deflate` (RFC 1951).
        most: the most bytes that it may become; not one more is made.

    Raises:
        CardDataError: it is cut, nothing of that form, or becomes more.
    """
    made = zlib.decompressobj(_WINDOWS[form])
    try:
        plain = made.decompress(content, most)
        # With the output full, the end may stand right after it.
        more = b"" if made.eof else made.decompress(made.unconsumed_tail, 1)
    except zlib.error as error:
        raise CardDataError(f"a content that should be {form} cannot be decompressed") from error
    if more:
        raise CardDataError(f"a compressed content becomes more than {most} bytes")
    if not made.eof:
        raise CardDataError("a compressed content is cut")
    return plain
