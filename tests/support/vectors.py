"""Test vectors that others published (`tests/vectors/README.md`), and what wraps them for this program."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card.tlv import Tlv, read
from signing.verification.judge import Trust
from tests.support.certificates import Made, authority, key

FOLDER: Final = Path(__file__).parent.parent / "vectors"
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ROOT: Final = authority("Vectors' authority", "Vectors' authority", ca=True)

Record = Callable[[str, object], None]
"""Of pytest's `record_property`: what is recorded is added up and printed at the end of the run."""


class Counted(Counter[str]):
    """How many vectors were gone through, and what became of them."""

    def tell(self, suite: str, record: Record) -> None:
        """Have it printed."""
        for what, number in sorted(self.items()):
            record(f"{suite}, {what}", number)


@cache
def wycheproof(name: str) -> tuple[dict[str, Any], ...]:
    """Return the groups of tests of one file."""
    return tuple(_wycheproof()[name])


@cache
def _wycheproof() -> dict[str, list[dict[str, Any]]]:
    whole: dict[str, list[dict[str, Any]]] = json.loads(
        lzma.decompress((FOLDER / "wycheproof.json.xz").read_bytes())
    )
    return whole


def wycheproof_named(*beginnings: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each group of the files that begin so, with its file's name."""
    for name in _wycheproof():
        if name.startswith(beginnings):
            yield from ((name, group) for group in wycheproof(name))


@cache
def archive(name: str) -> dict[str, bytes]:
    """Return the files of one archive by their names."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress((FOLDER / f"{name}.tar.xz").read_bytes()))) as files:
        return {each.name: files.extractfile(each).read() for each in files}  # type: ignore[union-attr]


@cache
def certificate(public_key: bytes) -> bytes:
    """Return a holder's certificate with that key, SubjectPublicKeyInfo in DER."""
    template = read(Made("Vectors' holder", _ROOT.subject).der())[0]
    parts = [each.encode() for each in template.children[0].children]
    parts[6] = public_key
    signed = Tlv(0x30, b"".join(parts)).encode()
    value = key(_ROOT.subject).sign(signed, ECDSA(SHA256()))
    end = template.children[1].encode() + Tlv(0x03, b"\0" + value).encode()
    return Tlv(0x30, signed + end).encode()


@cache
def trust() -> Trust:
    """Return trust in whoever issued `certificate`; nobody is asked about revocation."""
    return Trust(roots=(_ROOT.der(),), hard=False, now=NOW)


def sequence(*parts: bytes, tag: int = 0x30) -> bytes:
    """Return a constructed data object."""
    return Tlv(tag, b"".join(parts)).encode()


def issuer_and_number(holder: bytes) -> bytes:
    """Return what CMS names a certificate by (RFC 5652 §10.2.4)."""
    parts = read(holder)[0].children[0].children
    return sequence(parts[3].encode(), parts[1].encode())
