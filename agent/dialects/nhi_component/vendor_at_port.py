"""Whether the program that holds a port of this dialect is NHI's own component.

One `GetVersion` over a WebSocket, as a page would send it (RFC 6455). Only loopback is asked, and nothing
else is ever said to that program.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from contextlib import suppress
from typing import Final

ADDRESSES: Final = ("127.0.0.1", "::1")
ANSWER_SECONDS: Final = 1.0
_QUESTION: Final = b"GetVersion"
_ANSWER: Final = b"GetVersion:"
_HEAD_MAX: Final = 8 * 1024
_TEXT: Final = 0x81  # one whole text frame
_MASKED: Final = 0x80


def answers_as_component(port: int) -> bool:
    """Return whether whoever listens on `port` of this machine answers as NHI's component does.

    Blocks, a few seconds at the most.
    """
    return any(_answers(address, port) for address in ADDRESSES)


def _answers(address: str, port: int) -> bool:
    # It has a certificate of its own maker; who it is, is just what is being found out.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        suppress(OSError, ValueError),
        socket.create_connection((address, port), ANSWER_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
        link.makefile("rb") as answers,
    ):
        link.sendall(_upgrade(port))
        if not answers.readline(_HEAD_MAX).startswith(b"HTTP/1.1 101"):
            return False
        while answers.readline(_HEAD_MAX).strip():
            pass
        mask = os.urandom(4)
        masked = bytes(octet ^ mask[at % 4] for at, octet in enumerate(_QUESTION))
        link.sendall(bytes((_TEXT, _MASKED | len(masked))) + mask + masked)
        first, length = answers.read(2)
        return first == _TEXT and answers.read(min(length, len(_ANSWER))) == _ANSWER
    return False


def _upgrade(port: int) -> bytes:
    """Return the head of the opening handshake; its origin is its own address, no page's."""
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    lines = (
        "GET /echo HTTP/1.1",
        f"Host: localhost:{port}",
        f"Origin: https://localhost:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")
