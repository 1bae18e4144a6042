"""The process that a signed document is taken apart in: a request on standard input, findings on output.

A document that a page sent is hostile. Whatever it makes of a parser happens here, in a process that holds no
PIN and no card, may use so much memory and time, writes no file and opens no connection. What it answers is
judged by whoever asked, who trusts nothing of it but that it was found.
"""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from signing.hashes import Hash
from signing.limits import answer_alone, limit_process
from signing.verification.found import Finding, FoundDocument, Remark
from signing.verification.reading import read

_MEMORY: Final = 2 << 30
_SECONDS: Final = 60


class ReadRequest(msgspec.Struct, frozen=True, array_like=True):
    """What `signing.verification.reading.read` takes."""

    document: bytes
    signature: bytes | None
    certificate: bytes | None
    algorithm: Hash


def run() -> int:
    """Answer one request; the exit code."""
    limit_process(_SECONDS, _MEMORY)
    with answer_alone() as target:
        request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=ReadRequest)
        try:
            found = read(
                request.document,
                request.signature,
                certificate=request.certificate,
                algorithm=request.algorithm,
            )
        except (MemoryError, RecursionError) as error:
            found = refused(type(error).__name__)
        target.write(msgspec.msgpack.encode(found))
    return 0


def refused(why: str) -> FoundDocument:
    """Return that a document is not read."""
    return FoundDocument("unknown", (), (Remark(Finding.STRUCTURE_REFUSED, why),))
