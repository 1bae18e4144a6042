"""A directory of certificates: just enough of LDAP (RFC 4511) over real TCP, written from the standard."""

from __future__ import annotations

import socketserver
from dataclasses import dataclass, field
from typing import BinaryIO, cast

Element = tuple[int, bytes]

_BIND, _UNBIND, _SEARCH = 0x60, 0x42, 0x63
_AND, _EQUAL, _PRESENT = 0xA0, 0xA3, 0x87


def ber(tag: int, *parts: bytes) -> bytes:
    """One element with a definite length."""
    value = b"".join(parts)
    size = len(value)
    if size < 128:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value


def elements(data: bytes) -> list[Element]:
    """The elements in a constructed value."""
    found, offset = [], 0
    while offset < len(data):
        tag, size, offset = data[offset], data[offset + 1], offset + 2
        if size & 0x80:
            count = size & 0x7F
            size, offset = int.from_bytes(data[offset : offset + count], "big"), offset + count
        found.append((tag, data[offset : offset + size]))
        offset += size
    return found


@dataclass(frozen=True)
class Entry:
    """One entry: its name, texts by attribute (lower case), and certificates."""

    name: str
    texts: dict[str, str]
    certificates: tuple[bytes, ...]


@dataclass
class Directory:
    """The directory.

    Attributes:
        searches: base, scope and filter of every search, the filter as (attribute, value) pairs.
        result: code of every answer to a search; 10 is a referral.
    """

    entries: list[Entry] = field(default_factory=list)
    searches: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    port: int = 0
    result: int = 0

    def server(self) -> socketserver.ThreadingTCPServer:
        """A server on a free port of loopback."""
        directory = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while message := _message(cast("BinaryIO", self.rfile)):
                    (_, number), (tag, body), *_ = elements(message)
                    if tag == _UNBIND:
                        return
                    if tag == _BIND:
                        self.wfile.write(_reply(number, ber(0x61, _outcome(0))))
                    elif tag == _SEARCH:
                        for answer in directory.answers(body):
                            self.wfile.write(_reply(number, answer))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        return Server(("127.0.0.1", 0), Handler)

    def answers(self, body: bytes) -> list[bytes]:
        """SearchResultEntry for each entry found, and SearchResultDone."""
        base, scope, *_, condition, _attributes = elements(body)
        wanted = _pairs(condition)
        name, depth = base[1].decode(), scope[1][0]
        self.searches.append((name, depth, wanted))
        found = []
        for entry in self.entries:
            inside = entry.name == name if depth == 0 else entry.name.endswith(name)
            if inside and all(entry.texts.get(key.lower()) == value for key, value in wanted.items()):
                values = ber(0x31, *(ber(0x04, der) for der in entry.certificates))
                attribute = ber(0x30, ber(0x04, b"userCertificate;binary"), values)
                found.append(ber(0x64, ber(0x04, entry.name.encode()), ber(0x30, attribute)))
        return [*found, ber(0x65, _outcome(self.result))]


def _message(stream: BinaryIO) -> bytes:
    head = stream.read(2)
    if len(head) < 2:
        return b""
    size = head[1]
    if size & 0x80:
        size = int.from_bytes(stream.read(size & 0x7F), "big")
    return stream.read(size)


def _reply(number: bytes, operation: bytes) -> bytes:
    return ber(0x30, ber(0x02, number), operation)


def _outcome(code: int) -> bytes:
    return ber(0x0A, bytes((code,))) + ber(0x04) + ber(0x04)


def _pairs(condition: Element) -> dict[str, str]:
    tag, value = condition
    if tag == _AND:
        return {key: text for part in elements(value) for key, text in _pairs(part).items()}
    if tag == _EQUAL:
        (_, key), (_, text) = elements(value)
        return {key.decode(): text.decode()}
    assert tag == _PRESENT
    return {}
