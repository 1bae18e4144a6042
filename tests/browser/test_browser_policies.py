"""Policy files as a real Chromium reads them: what a company put there before, and what is ours."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent import tls
from agent.trust import OwnAuthorities, install, own_authorities, remove, status
from agent.trust.policies import ChromiumPolicy
from agent.trust.policy_files import FILE
from tests.support.chromium import chromium, make_home
from tests.support.trust import can_have_mounts, current, machine

pytestmark = pytest.mark.skipif(not can_have_mounts(), reason="needs mounts of its own")

MANAGED = "etc/chromium/policies/managed"


def a_companys_identity(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    """A company's authority, DER, and a server with a certificate of it for localhost."""
    now, keys = datetime.now(UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A Company CA")])
    made = []
    for key, subject in zip(keys, (name, x509.Name([])), strict=True):
        builder = (
            x509.CertificateBuilder(name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=subject == name, path_length=None), critical=True)
        )
        if subject != name:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(names, critical=True).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        made.append(builder.sign(keys[0], hashes.SHA256()))
    (folder / "company.pem").write_bytes(made[1].public_bytes(Encoding.PEM))
    (folder / "company.key").write_bytes(
        keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = tls.server_context()
    context.load_cert_chain(folder / "company.pem", folder / "company.key")
    return made[0].public_bytes(Encoding.DER), context


@asynccontextmanager
async def served(*contexts: ssl.SSLContext) -> AsyncIterator[list[str]]:
    """The addresses of a page, one for each way of showing who serves it."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        for context in contexts:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield [f"https://localhost:{address[1]}/" for address in runner.addresses]
    finally:
        await runner.cleanup()


async def test_chromium_trusts_the_companys_authority_and_ours_whatever_was_there_first(
    tmp_path: Path,
) -> None:
    identity = tls.ensure(tmp_path / "tls")
    ours: OwnAuthorities = own_authorities(tmp_path / "tls")
    company, context = a_companys_identity(tmp_path)
    roots = machine(tmp_path, root=tmp_path / "root", user=0)
    store = ChromiumPolicy(roots, "Chromium", MANAGED)
    folder = tmp_path / "root" / MANAGED
    folder.mkdir(parents=True)
    theirs = f'// ours since 2019\n{{"CACertificates": ["{base64.b64encode(company).decode()}",],}}\n'
    (folder / "acme.json").write_text(theirs)
    earlier = {"CACertificates": [base64.b64encode(current(ours).der).decode()]}
    (folder / FILE).write_text(json.dumps(earlier))  # as versions before this one did
    inside = tmp_path / "inside"
    inside.write_text(f'#!/bin/sh\nmount --bind "{tmp_path}/root/etc/chromium" /etc/chromium && exec "$@"\n')
    inside.chmod(0o755)
    prefix = ["unshare", "-m", "--propagation", "private", str(inside)]
    home = make_home(tmp_path / "home")

    async with served(context, identity.context()) as pages:

        async def trusted() -> list[bool]:
            found = []
            async with chromium(home, prefix=prefix) as window:
                for address in pages:
                    try:
                        await (await window.new_page()).goto(address)
                        found.append(True)
                    except Exception as error:
                        assert "ERR_CERT_AUTHORITY_INVALID" in str(error)
                        found.append(False)
            return found

        # The fact that all of this is about: of two files, the one whose name comes last has the key alone.
        assert await trusted() == [False, True]
        assert not status([store], ours)[0].accepted
        assert install([store], ours, lambda _: None)[0].accepted
        assert await trusted() == [True, True]
        assert remove([store], ours, lambda _: None)[0].clean
        assert await trusted() == [True, False]
    assert {each.name: each.read_text() for each in folder.iterdir()} == {"acme.json": theirs}
