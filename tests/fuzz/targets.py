"""The targets: what cards, readers, portals, pages and processes send, and what each reader does with it."""

from __future__ import annotations

import asyncio
import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.fuzz import files
from tests.fuzz.outcome import Target, folder, refusals

if TYPE_CHECKING:
    from hca_card.simulator import SimulatedCard


@cache
def _loop() -> asyncio.Runner:
    return asyncio.Runner()


# Cards


def tlv(data: bytes) -> None:
    from hca_card import tlv as reader

    with refusals():
        reader.objects(data)
    with refusals():
        reader.check(data)
    with refusals():
        reader.find(data, 0x30, 0x02)
    with refusals():
        reader.announced_length(data)


def certificate(data: bytes) -> None:
    from hca_card import certificate as reader
    from hca_card.certificate_oddities import oddities

    with refusals():
        facts = reader.describe(data)
        reader.card_kind(facts)
    with refusals():
        oddities(data)
    with refusals():
        reader.curve_bits(data)


class Answering:
    """A card that answers what it likes: as bytes say, and then nothing more than that all is well."""

    def __init__(self, answers: bytes) -> None:
        self._stream = io.BytesIO(answers)

    def power_on(self) -> bytes:
        return self._next() or bytes.fromhex("3B00")

    def power_off(self) -> None:
        """Nothing changes."""

    def transmit(self, _command: bytes) -> bytes:
        return self._next() or bytes.fromhex("6A82")

    def _next(self) -> bytes:
        size = self._stream.read(2)
        return self._stream.read(int.from_bytes(size, "big") & 0x1FF) if len(size) == 2 else b""


@cache
def _cards() -> dict[str, SimulatedCard]:
    return {}


def _simulated(kind: str) -> SimulatedCard:
    """A card of that kind, used again as long as it has all its tries: to make one takes long."""
    from tests.support.cards import simulated

    card = _cards().get(kind)
    if card is None or card.pin_tries not in (None, 3):
        card = _cards()[kind] = simulated(kind)
    return card


class Rewriting:
    """A card of a kind, some of whose answers are cut, changed or put in each other's place."""

    def __init__(self, kind: str, changes: bytes) -> None:
        self._card = _simulated(kind)
        self._changes = io.BytesIO(changes)

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        change = self._changes.read(1)
        if not change or change[0] < 0xA0:
            return answer
        if change[0] < 0xC0:
            return answer[: self._number(len(answer))]
        if change[0] < 0xE0:
            at, octets = self._number(len(answer)), self._changes.read(change[0] & 7)
            return answer[:at] + octets + answer[at + len(octets) :]
        return self._changes.read(self._number(64))

    def _number(self, below: int) -> int:
        return int.from_bytes(self._changes.read(2), "big") % max(1, below)


def _use(card: Any) -> None:
    """Do with a card all that operations do, each in words or not at all."""
    from hca_card.model import KeyUse
    from hca_card.pin import Pin
    from hca_card.recognise import recognise
    from pcsc import connection as connections
    from pcsc.connection import Connection
    from pcsc.service import Service
    from pcsc.virtual import VirtualWinscard
    from signing.hashes import Hash

    connections._SETTLE = 0  # a virtual reader shows at once that its card was pulled
    winscard = VirtualWinscard()
    winscard.add_reader("Reader").insert(card)
    with (
        refusals(),
        Service(winscard).context() as context,
        Connection(context, "Reader") as connection,
        connection.transaction() as transaction,
    ):
        known = recognise(transaction, connection.atr)
        for work in (
            known.metadata,
            known.certificates,
            known.pin_status,
            lambda: known.has_key(KeyUse.SIGNATURE),
            lambda: known.verify(Pin("123456")),
            lambda: known.sign(KeyUse.SIGNATURE, Hash.SHA_256.digest_info(bytes(32))),
            lambda: known.decipher(KeyUse.ENCRYPTION, bytes(256)),
        ):
            with refusals():
                work()  # type: ignore[operator]


def card(data: bytes) -> None:
    _use(Answering(data))


def card_hpc(data: bytes) -> None:
    _use(Rewriting("hpc", data))


def card_citizen(data: bytes) -> None:
    _use(Rewriting("citizen", data))


def card_hicos(data: bytes) -> None:
    _use(Rewriting("hicos-2" if data[:1] > b"\x80" else "hicos", data[1:]))


def card_nhi(data: bytes) -> None:
    _use(Rewriting("nhi-new" if data[:1] > b"\x80" else "nhi", data[1:]))


def pkcs15_directory(data: bytes) -> None:
    from hca_card import pkcs15_directory as reader
    from hca_card.model import KeyUse
    from hca_card.pkcs15_roles import key_for

    for read in (
        reader.application_path,
        reader.directory_files,
        reader.token_info,
        reader.pins,
        reader.private_keys,
        reader.public_keys,
        reader.certificates,
        reader.data_objects,
    ):
        with refusals():
            read(data)
    with refusals():
        for use in KeyUse:
            key_for(reader.private_keys(data), use)


# Readers


def reader_answer(data: bytes) -> None:
    from hca_card.probe.atr import read
    from pcsc import atr
    from pcsc.apdu import Command, Response
    from pcsc.pinpad import Features, max_apdu_data

    for reader in (
        atr.without_extra,
        atr.historical_bytes,
        atr.protocols,
        read,
        Command.decode,
        Response.decode,
        Features.decode,
        max_apdu_data,
    ):
        with refusals(ValueError):
            reader(data)


def vpcd_frames(data: bytes) -> None:
    """A driver that says what it likes and hangs up: the card's side comes to its end, whatever it was."""
    import socket
    import threading

    from pcsc.vpcd import VpcdClient

    with socket.create_server(("127.0.0.1", 0)) as driver:
        client = VpcdClient(Answering(data), port=driver.getsockname()[1])
        thread = threading.Thread(target=client.run, daemon=True)
        thread.start()
        link, _ = driver.accept()
        with link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while link.recv(65536):
                pass
        client.stop()
        thread.join()


def profile(data: bytes) -> None:
    from hca_card.profile import parse

    with refusals(ValueError):
        parse(data.decode("utf-8", "replace"))


def trace(data: bytes) -> None:
    from hca_card.traces.imported import import_traces

    file = folder() / "trace"
    file.write_bytes(data)
    with refusals(), import_traces([file], "0.1.0") as imported:
        for each in imported.cards:
            str(each)


# Certificates' status, stamps, signatures


@cache
def _person() -> tuple[bytes, bytes]:
    """A certificate and its issuer's."""
    from tests.support import software_card

    return software_card.SoftwareCard().certificate(1).der, software_card.root()


def ocsp(data: bytes) -> None:
    from datetime import UTC, datetime

    from signing.revocation.ocsp import is_about, judge_ocsp

    leaf, issuer = _person()
    with refusals():
        judge_ocsp(data, leaf, issuer, datetime.now(UTC))
    with refusals():
        is_about(data, leaf, issuer)


def crl(data: bytes) -> None:
    from signing.revocation.crl import find_in_crl, reading_crl

    with refusals(), reading_crl(data) as found:
        find_in_crl(found, 1)


def stamp(data: bytes) -> None:
    from signing import timestamp

    with refusals():
        timestamp.read(data)
    with refusals():
        timestamp.verify_token(b"", data)
    with refusals():
        timestamp.certificates_in(data)


def signed_document(data: bytes) -> None:
    from signing.verification.reading import read

    with refusals():
        for found in read(data).signatures:
            str(found)


def envelope(data: bytes) -> None:
    from signing.cms.envelope import read_envelope

    with refusals():
        read_envelope(io.BytesIO(data)).require_protected()


def cms(data: bytes) -> None:
    from signing.cms.verify import verify_cms

    with refusals():
        verify_cms(data, b"document")
    with refusals():
        verify_cms(data)


def preview(data: bytes) -> None:
    from signing.preview import text_preview

    with refusals():
        text_preview(data)


# What pages and processes say


def native(data: bytes) -> None:
    from agent.native import jsonrpc
    from agent.native.methods import METHODS

    with refusals():
        request = jsonrpc.read(data)
        method = METHODS.get(request.method)
        if method is not None:
            jsonrpc.decode(request.params, method.takes)


@cache
def _dialects() -> tuple[Any, Any, Any]:
    from agent.config import Config
    from agent.dialects.hipki import HipkiDialect
    from agent.dialects.servisign import FUNCTIONS, ServiSignDialect
    from tests.support.servisign_operations import FakeOperations

    operations: Any = FakeOperations()
    return ServiSignDialect(operations, Config()), HipkiDialect(operations, Config()), sorted(FUNCTIONS)


ORIGIN: Final = "https://portal.example.tw"


def servisign_body(data: bytes) -> None:
    from tests.support.servisign_page import reply_of

    async def work() -> bytes:
        return bytes(await _dialects()[0].handle(ORIGIN, data))

    assert "result" in reply_of(_loop().run(work()))


def servisign_call(data: bytes) -> None:
    """One function of the libraries, its arguments said by the bytes."""
    from agent.dialects.servisign import FUNCTIONS
    from tests.support.servisign_page import Page, Text, body_of, reply_of

    dialect, _, names = _dialects()
    name = names[int.from_bytes(data[:2], "big") % len(names)]
    function = FUNCTIONS[name]
    keys = (*function.texts, *function.secrets, *function.numbers)
    said = data[2:].decode("utf-8", "replace").split("\n")
    arguments: dict[str, object] = {
        key: Text(value) if key not in function.numbers else _number(value)
        for key, value in zip(keys, said, strict=False)
    }

    async def work() -> bytes:
        page = Page(dialect.handle, ORIGIN)
        await page.echo()
        return bytes(await dialect.handle(ORIGIN, body_of(page.request(name, **arguments))))

    assert "result" in reply_of(_loop().run(work()))


def _number(said: str) -> object:
    try:
        return int(said[:20])
    except ValueError:
        return said


def hipki(data: bytes) -> None:
    from agent.dialects.hipki.messages import read

    with refusals():
        read(data)


def nhi_frame(data: bytes) -> None:
    from agent.dialects.nhi_component.frames import CommandFrame, answer

    with refusals():
        command = CommandFrame.read(data.decode("utf-8", "replace"))
        command.value("Random")
        assert "," not in answer("H", command.parameter)


def module_message(data: bytes) -> None:
    from hca_card.pkcs11 import messages

    for read in (messages.read_request, messages.read_answer):
        with refusals(msgspec.MsgspecError, ValueError, RecursionError):
            read(io.BytesIO(data).readinto)  # type: ignore[arg-type]


def window_message(data: bytes) -> None:
    from agent.interaction import dialog_messages
    from agent.tray import messages
    from hca_card.decoding import UNREADABLE

    for read in (
        messages.read_state,
        messages.read_from_tray,
        dialog_messages.read_card_there,
        dialog_messages.read_answer,
        lambda text: dialog_messages.read_opening("pin", text),
    ):
        with refusals(*UNREADABLE):
            read(data)


def broker_message(data: bytes) -> None:
    from agent.broker import messages

    with refusals():
        messages.read_job(data, batch="0" * 32)
    with refusals():
        messages.read_outcome(data)


def login_token(data: bytes) -> None:
    from signing.login import validate_token

    with refusals():
        try:
            token = json.loads(data)
        except (ValueError, RecursionError):
            return
        validate_token(token, origin=ORIGIN, nonce="A" * 44, trusted_roots=[_person()[1]])
        raise AssertionError("a token that nobody made was taken")


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (
        tlv,
        certificate,
        card,
        card_hpc,
        card_citizen,
        card_hicos,
        card_nhi,
        pkcs15_directory,
        reader_answer,
        vpcd_frames,
        profile,
        trace,
        ocsp,
        crl,
        stamp,
        signed_document,
        envelope,
        cms,
        preview,
        native,
        servisign_body,
        servisign_call,
        hipki,
        nhi_frame,
        module_message,
        window_message,
        broker_message,
        login_token,
        *files.TARGETS,
    )
}
