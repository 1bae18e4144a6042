"""Whether the program that holds one of our ports is one that portals will take for the card component.

One Echo over TLS, as a page's adapter would send it; docs/servisign.md, "Ports". Only loopback is asked, and
nothing else is ever said to that program.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Final

from agent.dialects.servisign.framing import echo_request, is_reply

ADDRESSES: Final = ("127.0.0.1", "::1")
ANSWER_SECONDS: Final = 1.0
_ANSWER_BYTES_MAX: Final = 64 * 1024
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}


def answers_as_vendor(port: int) -> bool:
    """Whether an Echo to `port` on this machine is answered in the ServiSign protocol.

    Blocks, one second for each address at the most.
    """
    return any(_answers(address, port) for address in ADDRESSES)


def _answers(address: str, port: int) -> bool:
    # It has a certificate of its own maker; who it is, is just what is being found out.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, port, timeout=ANSWER_SECONDS, context=context)
    # Its own address: true, and no page's name is borrowed.
    headers = _FORM | {"Origin": f"https://localhost:{port}", "Host": f"localhost:{port}"}
    try:
        connection.request("POST", "/", echo_request(), headers)
        return is_reply(connection.getresponse().read(_ANSWER_BYTES_MAX))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
