"""What the popup does, without a browser; and signatures checked as a portal's server checks them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.agent import PORTAL, RunningAgent
from tests.support.cards import simulator_ca
from tests.support.openssl import openssl_program

FORM = "application/x-www-form-urlencoded"


def package(**members: object) -> bytes:
    """The form body of a request."""
    return b"tbsPackage=" + quote(json.dumps(members)).encode()


class Popup:
    """A popup that was served by the agent; its ticket is good for one request."""

    def __init__(self, agent: RunningAgent, page: str) -> None:
        found = re.search(r'name="ticket" content="([\w-]+)"', page)
        assert found is not None
        self.ticket, self._agent = found[1], agent
        self.base = f"http://localhost:{agent.daemon.hipki_port}"

    @classmethod
    async def open(cls, agent: RunningAgent) -> Popup:
        """Load the page."""
        async with agent.http.get(f"http://localhost:{agent.daemon.hipki_port}/popupForm") as response:
            assert response.status == 200
            return cls(agent, await response.text())

    async def post(
        self, path: str, body: bytes, *, portal: str = PORTAL, **headers: str | None
    ) -> tuple[int, bytes]:
        """Status and body of an answer; a header that is None is left out."""
        given = {
            "Content-Type": FORM,
            "Origin": self.base,
            "X-HCA-Ticket": self.ticket,
            "X-HCA-Portal": portal,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in given.items() if value is not None}
        async with self._agent.http.post(self.base + path, data=body, headers=sent) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            return response.status, await response.read()


async def ask(agent: RunningAgent, path: str, *, portal: str = PORTAL, **members: object) -> dict[str, Any]:
    """What a page is answered through a popup of its own."""
    popup = await Popup.open(agent)
    status, body = await popup.post(path, package(**members), portal=portal)
    assert status == 200
    return dict(json.loads(body))


def authorities(folder: Path) -> list[str]:
    """openssl's options for the simulator's root, with the authority that the signature does not hold."""
    # openssl 3.0 builds no path over -certfile; what is in -CAfile must still lead to a root.
    own = simulator_ca()
    found = map(x509.load_der_x509_certificate, (*own.roots, *own.intermediates))
    (folder / "chain.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in found))
    return ["-CAfile", str(folder / "chain.pem")]


def openssl(*words: str) -> str:
    """What openssl prints.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run([openssl_program(), *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout.decode("utf-8", "replace")


def check_cms(der: bytes, folder: Path, *options: str) -> bytes:
    """The content of a CMS signature that holds, to the simulator's root."""
    (folder / "signature.der").write_bytes(der)
    openssl(
        "cms", "-verify", "-inform", "DER", "-in", str(folder / "signature.der"), "-binary",
        "-out", str(folder / "content"), "-purpose", "any", *authorities(folder), *options,
    )  # fmt: skip
    return (folder / "content").read_bytes()
