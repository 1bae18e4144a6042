"""The file contents of `hpc-hostile`: each lies in its own way, and none may hurt who reads it."""

from __future__ import annotations

from typing import Final

from hca_card.simulator.der import sequence
from hca_card.simulator.files import ElementaryFile


def _nested(depth: int) -> bytes:
    """Sequences in sequences, every length of them true."""
    content = b""
    for _ in range(depth):
        content = sequence(content)
    return content


_NOT_BIG5: Final = b"\xff\xfe\x80\x1b[2J\x00\x81" * 22
_NESTED_WITHOUT_END: Final = b"\x30\x80" * 1500

CONTENTS: Final = {
    # Basic data: text that is no Big5, with an escape sequence for whoever prints it.
    0x4503: (_NOT_BIG5 + b"\xff" * 159)[:159],
    # Certificates: longer than any card, nested deeper than any stack, longer than the file, empty, no DER.
    0x4300: b"\x30\x84\xff\xff\xff\xff" + b"\x00" * 250,
    0x4301: _nested(2000),
    0x4302: b"\x30\x82\x7f\xff" + b"\x30\x82\x7f\xfb" * 100,
    0x4303: b"",
    0x4304: b"\x30\x83\x01\x00\x00<script>alert(1)</script>",
    # The PKCS#15 directory: a length of 127 bytes of length, nesting, and a path that leads back to itself.
    0x5031: b"\xa0\x06\x30\x04\x04\x02\x50\x31" + b"\xa4\xff" + b"\xff" * 60,
    0x4401: _NESTED_WITHOUT_END,
    0x4402: b"\x30\x84\x7f\xff\xff\xff\x04",
    0x4404: b"\x30\x82\x00\x10\x30\x82\x10\x00" + b"\x0c\x7f" * 40,
}


def corrupt(file: ElementaryFile) -> ElementaryFile:
    """Return the same EF with the content it has on the hostile card, if that differs."""
    return ElementaryFile(file.fid, CONTENTS.get(file.fid, file.content), file.sfi)
