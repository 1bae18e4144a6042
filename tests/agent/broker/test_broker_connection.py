"""The broker is a real nats-server: who gets in, what is stored, what is still there after it was killed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.broker.connection import open_broker
from agent.broker.credentials import read_credentials
from agent.config import BrokerSettings
from agent.errors import AgentError, ErrorId
from tests.support.nats_server import NatsServer, nats_server
from tests.support.ports import free_port

CARD, BATCH, ITEM = "a" * 32, "b" * 32, "c" * 64


def nkey(kind: bytes, raw: bytes) -> str:
    return base64.b32encode(kind + raw + _crc(kind + raw)).rstrip(b"=").decode()


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "little")


def secret(path: Path, text: str) -> str:
    path.touch(0o600)
    path.write_text(text)
    return str(path)


async def refusal(settings: BrokerSettings) -> tuple[ErrorId | str, str]:
    with pytest.raises(AgentError) as info:
        async with open_broker(settings, "test") as broker:
            await broker.prepare()
    return info.value.error_id, str(info.value)


async def test_a_job_that_is_put_twice_is_one_and_comes_until_it_is_done(server: NatsServer) -> None:
    async with open_broker(server.settings, "test") as broker:
        await broker.prepare()
        for _ in range(2):
            await broker.put_job(CARD, BATCH, "1", b"job")
        jobs = await broker.jobs(CARD, 4)
        job = await jobs.next()
        assert job is not None
        assert (job.data, job.subject, job.deliveries) == (b"job", ["hca", "jobs", CARD, BATCH], 1)
        await job.again()
        job = await jobs.next()
        assert job is not None and job.deliveries == 2
        await job.done()
        other = await broker.jobs("d" * 32, 4)
        await broker.put_job(CARD, BATCH, "2", b"mine")
        assert await broker.waiting("e" * 32) is None
        taken, foreign = await asyncio.gather(jobs.next(), other.next())
        assert taken is not None and taken.data == b"mine" and foreign is None


async def test_what_stands_for_an_item_is_stored_once_whoever_was_faster(server: NatsServer) -> None:
    async with open_broker(server.settings, "test") as broker:
        await broker.prepare()
        assert await broker.result(BATCH, ITEM) == (0, b"")
        assert await broker.put_result(BATCH, ITEM, b"first", after=0)
        assert not await broker.put_result(BATCH, ITEM, b"second", after=0)
        number, content = await broker.result(BATCH, ITEM)
        assert content == b"first"
        assert await broker.put_result(BATCH, ITEM, b"taken", after=number)
        assert (await broker.result(BATCH, ITEM))[1] == b"taken"


async def test_a_broker_that_was_killed_has_everything_that_it_took(server: NatsServer) -> None:
    heard: list[bool] = []
    async with open_broker(server.settings, "test", heard.append) as broker:
        await broker.prepare()
        jobs, results = await broker.jobs(CARD, 4), await broker.results(BATCH)
        await broker.put_job(CARD, BATCH, "1", b"job")
        await broker.put_result(BATCH, ITEM, b"result", after=0)
        server.kill()
        with pytest.raises(AgentError) as info:
            await broker.put_job(CARD, BATCH, "2", b"late")
        assert info.value.error_id is ErrorId.BROKER_UNREACHABLE
        server.start()
        for messages, data in ((jobs, b"job"), (results, b"result")):
            while (message := await messages.next()) is None:
                pass
            assert message.data == data
            await message.done()
        assert heard == [False, True]


async def test_jobs_that_nobody_has_yet_are_taken_back_and_only_those_of_the_batch(
    server: NatsServer,
) -> None:
    other = "f" * 32
    async with open_broker(server.settings, "test") as broker:
        await broker.prepare()
        for number, batch in enumerate((BATCH, other, BATCH)):
            await broker.put_job(CARD, batch, str(number), batch.encode())
        await broker.withdraw(BATCH)
        jobs = await broker.jobs(CARD, 4)
        left = await jobs.next()
        assert left is not None and left.data == other.encode()
        await left.done()
        await jobs.close()
        assert await broker.waiting(CARD) == 0


@pytest.mark.parametrize("kind", ["password", "nkey"])
async def test_credentials_come_from_a_file_and_the_wrong_ones_are_refused(tmp_path: Path, kind: str) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = nkey(bytes((20 << 3,)), key.public_key().public_bytes_raw())
    right, wrong = {
        "password": ("worker:right", "worker:wrong"),
        "nkey": tuple(nkey(bytes((149, 0)), each.private_bytes_raw()) for each in (key, other)),
    }[kind]
    user = {"user": "worker", "password": "right"} if kind == "password" else {"nkey": public}
    with nats_server(tmp_path / "nats", tls=True, extra={"authorization": {"users": [user]}}) as server:
        good = replace(server.settings, credentials=secret(tmp_path / "good", right + "\n"))
        async with open_broker(good, "test") as broker:
            await broker.prepare()
        bad = replace(server.settings, credentials=secret(tmp_path / "bad", wrong))
        assert (await refusal(bad))[0] is ErrorId.BROKER_REFUSED
        assert (await refusal(server.settings))[0] is ErrorId.BROKER_REFUSED


async def test_a_broker_is_known_by_its_authority_and_never_spoken_to_in_the_clear(
    tmp_path: Path, server: NatsServer
) -> None:
    with nats_server(tmp_path / "tls", tls=True) as secure:
        stranger = replace(secure.settings, ca="")
        assert (await refusal(stranger))[0] is ErrorId.BROKER_INSECURE
        by_number = replace(secure.settings, servers=(f"tls://127.0.0.1:{secure.port}",))
        assert (await refusal(by_number))[0] is ErrorId.BROKER_INSECURE
        pretender = replace(secure.settings, servers=(f"tls://localhost:{server.port}",))
        assert (await refusal(pretender))[0] is ErrorId.BROKER_INSECURE


async def test_a_server_that_offers_no_tls_is_told_nothing(tmp_path: Path) -> None:
    """Not even the name: what stands in the clear before TLS is the server's own greeting."""
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1,"auth_required":true}\r\n')
        said.put_nowait(await reader.read(1000))
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    settings = BrokerSettings((f"tls://localhost:{port}",), secret(tmp_path / "creds", "worker:secret"))
    async with listener:
        assert (await refusal(settings))[0] is ErrorId.BROKER_INSECURE
    assert await said.get() == b""


async def test_nobody_there_is_said_in_words() -> None:
    nobody = f"nats://127.0.0.1:{free_port()}"
    assert (await refusal(BrokerSettings((nobody,))))[0] is ErrorId.BROKER_UNREACHABLE
    assert (await refusal(BrokerSettings()))[0] is ErrorId.BROKER_UNSET


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("worker:secret", 0o644),
        ("worker:secret", 0o640),
        ("worker", 0o600),
        (":secret", 0o600),
        ("worker:\x1b[2J", 0o600),
        ("", 0o600),
        (nkey(bytes((149, 0)), bytes(32))[:-1] + "7", 0o600),
        ("é:secret", 0o600),
    ],
)
def test_files_that_are_no_credentials_or_no_secret_are_refused(tmp_path: Path, text: str, mode: int) -> None:
    path = tmp_path / "creds"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(AgentError) as info:
        read_credentials(path)
    assert info.value.error_id is ErrorId.BROKER_CREDENTIALS
    assert "secret" not in str(info.value)


def test_nats_own_file_of_credentials_has_a_jwt_and_a_seed(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "worker.creds"
    seed = nkey(bytes((149, 0)), key.private_bytes_raw())
    text = (
        "-----BEGIN NATS USER JWT-----\neyJ0.eyJh.c2ln\n------END NATS USER JWT------\n\nIMPORTANT\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    shown = read_credentials(Path(secret(path, text)))
    assert shown.jwt == "eyJ0.eyJh.c2ln" and shown.sign is not None
    key.public_key().verify(base64.b64decode(shown.sign("nonce")), b"nonce")
    assert seed not in repr(shown)


_KINDS = {"O": 14 << 3, "A": 0, "U": 20 << 3}


class Nkey:
    """A key of NATS: of an operator, an account or a user."""

    def __init__(self, kind: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = nkey(bytes((_KINDS[kind],)), self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        return nkey(bytes((149, 0)), self._key.private_bytes_raw())

    def signed(self, subject: str, name: str, **claims: object) -> str:
        """A JWT as `nsc` makes it (https://github.com/nats-io/jwt)."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": name,
            "iat": 1_700_000_000,
            "iss": self.public,
            "name": name,
            "sub": subject,
            "nats": claims,
        }
        parts = [_base64(json.dumps(each).encode()) for each in (head, body)]
        return ".".join([*parts, _base64(self._key.sign(".".join(parts).encode()))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_credentials_that_an_operator_of_nats_has_signed_get_in(tmp_path: Path) -> None:
    operator, system, account, user, stranger = (Nkey(kind) for kind in "OAAUU")
    no_limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    jetstream = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
    accounts = {
        each.public: operator.signed(each.public, name, type="account", version=2, limits=limits)
        for each, name, limits in (
            (system, "system", no_limits),
            (account, "ward", no_limits | jetstream | {"wildcards": True}),
        )
    }
    extra = {
        "operator": operator.signed(operator.public, "hospital", type="operator", version=2),
        "system_account": system.public,
        "resolver": "MEMORY",
        "resolver_preload": accounts,
    }
    jwt = account.signed(user.public, "worker", type="user", version=2, subs=-1, data=-1, payload=-1)
    with nats_server(tmp_path / "nats", tls=True, extra=extra) as server:
        for key, welcome in ((user, True), (stranger, False)):
            text = (
                f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n"
                f"-----BEGIN USER NKEY SEED-----\n{key.seed}\n------END USER NKEY SEED------\n"
            )
            settings = replace(server.settings, credentials=secret(tmp_path / f"{welcome}.creds", text))
            if welcome:
                async with open_broker(settings, "test") as broker:
                    await broker.prepare()
            else:
                assert (await refusal(settings))[0] is ErrorId.BROKER_REFUSED
