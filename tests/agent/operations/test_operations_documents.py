"""Documents in whatever format: prepared beside the question, one digest from the card, finished after it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.errors import AgentError, ErrorId, error_id
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import documents
from agent.operations.documents import DocumentSigning, NearEvidence, digest_of
from hca_card.pin import Pin
from signing.errors import (
    DocumentRefusedError,
    DocumentUnusableError,
    EvidenceError,
    HashUnsupportedError,
    SignatureInvalidError,
)
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.hashes import Hash
from signing.login import signed_value
from signing.verify import verify
from tests.support.cards import simulator_ca
from tests.support.operations import NONCE, OWN, PORTAL, agent
from tests.support.test_pki import PkiCard, pki

DOCUMENT = "病歷摘要".encode()


@dataclass
class Marked:
    """A format of its own: what is signed is the document behind a mark."""

    suffix = ".marked"
    format = SignatureFormat.CADES
    refuses: bool = False
    login: bool = False
    signers: list[Signer] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        self.signers.append(signer)
        self.threads.add(threading.get_ident())
        assert when.tzinfo is not None
        if self.refuses:
            raise DocumentUnusableError("as told")
        signed = b"MARK" + document
        if self.login:
            signed = signed_value("https://portal.example.tw", NONCE, algorithm)
        return Ready(signed, algorithm, lambda value: signed + b"|" + value)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        return signed + level.encode() + await evidence.timestamp(bytes(32), Hash.SHA_256)


async def test_a_document_is_signed_by_the_card_with_its_issuers_at_hand(tmp_path: Path) -> None:
    form = Marked()
    async with agent(tmp_path, "hpc") as world:
        result = await world.operations.sign_document(OWN, form, DOCUMENT)
    signed, _, value = result.document.partition(b"|")
    verify(result.certificate, signed, value, Hash.SHA_256)
    [signer] = form.signers
    assert signer.certificate == result.certificate
    assert signer.chain == (*simulator_ca().intermediates, *simulator_ca().roots)
    assert (result.format, result.level, result.serial) == ("cades", "B-B", "000000335361")
    assert threading.get_ident() not in form.threads


async def test_what_cannot_be_signed_in_this_format_ends_the_question_and_no_pin_is_sent(
    tmp_path: Path,
) -> None:
    class Thinking(ScriptedInteraction):
        ended = False

        async def ask(self, question):  # type: ignore[no-untyped-def]
            if question.__class__.__name__ != "PinQuestion":
                return await super().ask(question)
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True

    person = Thinking()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        with pytest.raises(DocumentUnusableError):
            await world.operations.sign_document(OWN, Marked(refuses=True), DOCUMENT)
        assert person.ended
        assert world.tries == 3
        assert not [apdu for apdu in world.apdus if apdu[1] == 0x20 and len(apdu) > 5]
        assert world.audit()[-1].result == "document.unusable"


async def test_no_login_can_be_made_whatever_a_format_makes_of_a_document(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(DocumentRefusedError):
            await world.operations.sign_document(PORTAL, Marked(login=True), DOCUMENT)
        with pytest.raises(DocumentRefusedError):
            await world.operations.sign_document(PORTAL, Marked(), bytes(range(128, 192)))


async def test_nothing_is_signed_over_sha_1(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(HashUnsupportedError):
            await world.operations.sign_document(OWN, Marked(), DOCUMENT, hash=Hash.SHA_1)
        assert not world.apdus


async def test_a_level_is_reached_with_what_others_say_after_the_card_is_free(tmp_path: Path) -> None:
    evidence = pki().evidence()
    async with agent(tmp_path, "hpc", evidence=evidence) as world:
        result = await world.operations.sign_document(OWN, Marked(), DOCUMENT, level=Level.B_T)
        assert b"B-T" in result.document
        assert evidence.asked == ["timestamp"]
        evidence.stamps = "down"
        with pytest.raises(EvidenceError):
            await world.operations.sign_document(OWN, Marked(), DOCUMENT, level=Level.B_T)


async def test_without_anybody_who_stamps_a_level_is_refused_before_a_pin_is_asked(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(EvidenceError):
            await world.operations.sign_document(OWN, Marked(), DOCUMENT, level=Level.B_LT)
        assert not world.pins_asked()


async def test_a_session_signs_with_its_own_pin_and_nobody_is_asked(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with Pin(bytearray(b"123456")) as pin:
            kept = await world.operations.keep_pin(PORTAL, pin)
        asked = len(world.pins_asked())
        result = await world.operations.sign_document(PORTAL, Marked(), DOCUMENT, kept=kept)
        signed, _, value = result.document.partition(b"|")
        verify(result.certificate, signed, value, Hash.SHA_256)
        assert len(world.pins_asked()) == asked


async def test_a_person_who_cancels_ends_it(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[None])) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.sign_document(OWN, Marked(), DOCUMENT)
        assert error_id(caught.value) == ErrorId.PIN_CANCELLED


def test_a_card_with_another_certificate_has_the_document_prepared_anew() -> None:
    form, card = Marked(), pki().card("rsa")
    signing = DocumentSigning(form, DOCUMENT, Hash.SHA_256)
    signing._prepare(pki().signer("ec"))
    done = signing.work(card, pki().certificate("rsa"))
    verify(pki().certificate("rsa"), b"MARK" + DOCUMENT, done.value, Hash.SHA_256)
    assert [each.certificate for each in form.signers] == [
        pki().certificate("ec"),
        pki().certificate("rsa"),
    ]
    assert form.signers[1].chain == pki().chain("rsa")


@pytest.mark.parametrize("signer", ["rsa", "ec"])
def test_a_broken_card_gives_no_document(signer: str) -> None:
    card = replace(pki().card(signer), spoils=True)
    assert isinstance(card, PkiCard)
    with pytest.raises(SignatureInvalidError):
        DocumentSigning(Marked(), DOCUMENT, Hash.SHA_256).work(card, pki().certificate(signer))


async def test_a_long_document_is_digested_as_a_short_one_is() -> None:
    for document in (DOCUMENT, bytes(100_000)):
        assert await digest_of(document, Hash.SHA_256) == hashlib.sha256(document).digest()


class Authority:
    """Evidence of somebody who knows the issuers of these certificates, and of no others."""

    revocation = timestamp = None

    def __init__(self, **chains: tuple[bytes, ...]) -> None:
        self.chains = {name.encode(): chain for name, chain in chains.items()}

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        if certificate not in self.chains:
            raise EvidenceError("no path")
        return self.chains[certificate]


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is near `leaf` is `between`, wherever that is among what is at hand."""

    def among(certificate: bytes, at_hand: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(each for each in at_hand if certificate == b"leaf" and each == b"between")

    read = SimpleNamespace(signatures=[SimpleNamespace(certificates=(b"leaf", b"between"))])
    monkeypatch.setattr(documents, "issuers_among", among)
    monkeypatch.setattr(
        "signing.verification.reading.read",
        lambda signed: read if signed == b"with" else SimpleNamespace(signatures=[]),
    )


@pytest.mark.usefixtures("nearby")
@pytest.mark.parametrize(
    ("authority", "signed", "card", "found"),
    [
        pytest.param(Authority(leaf=(b"root",)), b"with", (b"between",), (b"root",), id="it knows"),
        pytest.param(Authority(), b"bare", (b"between",), (b"between",), id="on the card, so trusted"),
        pytest.param(
            Authority(between=(b"root",)),
            b"with",
            (),
            (b"between", b"root"),
            id="in the document, up to a root",
        ),
        pytest.param(Authority(), b"with", (), None, id="in the document, trusted by nobody"),
        pytest.param(Authority(), b"bare", (), None, id="nothing near"),
    ],
)
async def test_issuers_that_are_at_hand_help_one_who_does_not_have_them(
    authority: Authority, signed: bytes, card: tuple[bytes, ...], found: tuple[bytes, ...] | None
) -> None:
    evidence: Any = authority
    near = NearEvidence(evidence, signed, card)
    for _ in range(2):
        if found is None:
            with pytest.raises(EvidenceError):
                await near.chain(b"leaf")
        else:
            assert await near.chain(b"leaf") == found
