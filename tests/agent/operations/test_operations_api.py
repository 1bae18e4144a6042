from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from asn1crypto import x509

from agent.config import Config, OriginSettings, UnattendedSettings
from agent.errors import AgentError, error_id
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.masking import mask_card
from agent.operations import Caller, ReaderCondition, ReaderView, SigningSession
from agent.operations.transaction_jobs import look
from agent.pins.unattended import Grant
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import ObjectMissingError, UnsupportedError
from hca_card.model import CardKind, Insured, KeyUse, Personnel
from hca_card.pin import Pin
from hca_card.simulator.cards import Stock
from pcsc.errors import ReaderBusyError, ReaderUnavailableError, ServiceUnavailableError
from signing.cms.build import CmsForm
from signing.cms.envelope import read_envelope
from signing.cms.verify import verify_cms
from signing.errors import (
    CipherInvalidError,
    DocumentRefusedError,
    EvidenceError,
    HashUnsupportedError,
    NonceInvalidError,
    OriginNotHttpsError,
    SignatureInvalidError,
    TokenInvalidError,
)
from signing.formats import Level, Ready, SignatureFormat
from signing.formats.choice import Options, form_for
from signing.hashes import Hash
from signing.login import validate_token
from signing.preview import Preview
from signing.verify import verify_digest
from tests.support.cards import simulated, simulator_ca
from tests.support.fake_card import FakeCard, FakeVisit
from tests.support.keyrings import FakeKeyring
from tests.support.operations import NONCE, OTHER, OWN, PIN, PORTAL, agent, until

DOCUMENT = "同意書".encode()


async def test_a_card_is_read_without_its_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        view = await world.operations.card(PORTAL)
        assert isinstance(view.metadata.holder, Personnel)
        assert view.metadata.serial == "000000335361"
        assert view.simulated
        assert view.pin is not None
        assert view.pin.tries_left == 3
        assert not world.pins_asked()
        assert world.consents_asked() == [Verb.READ]


@pytest.mark.parametrize("kind", ["hpc-terminated", "hpc-not-activated", "hpc-locked"])
async def test_a_card_that_cannot_be_used_can_still_be_read(tmp_path: Path, kind: str) -> None:
    async with agent(tmp_path, kind) as world:
        view = await world.operations.card(OWN)
        assert view.metadata.info is not None
        assert view.simulated


async def test_an_nhi_card_has_a_holder_and_no_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "nhi", names=("HCA-AGENT Simulator 00",)) as world:
        view = await world.operations.card(OWN)
        assert isinstance(view.metadata.holder, Insured)
        assert view.pin is None
        assert view.simulated
        with pytest.raises(UnsupportedError):
            await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT)


async def test_a_login_token_convinces_its_portal_and_no_other(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        assert PORTAL.origin is not None
        token = await world.operations.authenticate(PORTAL, NONCE, origin=PORTAL.origin)
    authority = simulator_ca()
    facts = {"nonce": NONCE, "trusted_roots": authority.roots, "intermediates": authority.intermediates}
    holder = validate_token(token, origin=PORTAL.origin, **facts)
    assert holder.simulated
    with pytest.raises(TokenInvalidError):
        validate_token(token, origin="https://other.example.tw", **facts)


async def test_a_page_can_only_log_in_to_itself(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.authenticate(PORTAL, NONCE, origin="https://other.example.tw")
        assert caught.value.error_id == "origin.refused"
        assert not world.apdus


@pytest.mark.parametrize(
    ("origin", "nonce", "error"),
    [
        ("http://portal.example.tw", NONCE, OriginNotHttpsError),
        ("https://portal.example.tw/", NONCE, OriginNotHttpsError),
        ("https://portal.example.tw", "c2hvcnQ=", NonceInvalidError),
    ],
)
async def test_a_login_that_cannot_be_is_refused_before_anybody_is_asked(
    tmp_path: Path, origin: str, nonce: str, error: type[Exception]
) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(error):
            await world.operations.authenticate(OWN, nonce, origin=origin)
        assert not world.apdus


@pytest.mark.parametrize("kind", ["hpc", "hop", "hop-secondary", "hpc-v1", "citizen"])
async def test_every_card_with_a_key_signs_what_verifies(tmp_path: Path, kind: str) -> None:
    async with agent(tmp_path, kind) as world:
        done = await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        with pytest.raises(SignatureInvalidError):
            await world.operations.verify(b"another", done.signature, done.certificate, done.hash)
        assert world.tries == 3


async def test_a_signature_takes_fewer_than_ten_commands(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert len(world.apdus) < 10
        world.apdus.clear()
        assert PORTAL.origin is not None
        await world.operations.authenticate(PORTAL, NONCE, origin=PORTAL.origin)
        assert len(world.apdus) < 10


async def test_a_bare_digest_is_signed_for_listed_origins_only(tmp_path: Path) -> None:
    digest = Hash.SHA_256.digest(DOCUMENT)
    config = Config(origins=OriginSettings(digest=frozenset(("https://other.example.tw",))))
    async with agent(tmp_path, "hpc", config=config) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, digest=digest)
        assert caught.value.error_id == "digest.refused"
        assert not world.consents_asked()
        for caller in (OTHER, OWN):
            done = await world.operations.sign(caller, Hash.SHA_256, digest=digest)
            verify_digest(done.certificate, digest, done.signature, Hash.SHA_256)


async def test_what_could_be_a_login_is_not_signed_as_a_document(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        for length in (64, 96, 128):
            with pytest.raises(DocumentRefusedError):
                await world.operations.sign(PORTAL, Hash.SHA_256, document=bytes(range(128, 128 + length)))
        assert not world.apdus
        assert not world.consents_asked()


async def test_sha1_is_for_old_portals_only(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(HashUnsupportedError):
            await world.operations.sign(OWN, Hash.SHA_1, document=DOCUMENT)
        assert not world.apdus
        done = await world.operations.sign(OWN, Hash.SHA_1, document=DOCUMENT, allow_sha1=True)
        await world.operations.verify(DOCUMENT, done.signature, done.certificate, Hash.SHA_1)


async def test_a_digest_of_the_wrong_length_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(HashUnsupportedError):
            await world.operations.sign(OWN, Hash.SHA_256, digest=bytes(20))
        assert not world.pins_asked()


async def test_either_a_document_or_a_digest_is_signed(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        for wrong in ({}, {"document": b"a", "digest": bytes(32)}):
            with pytest.raises(ValueError, match="either"):
                await world.operations.sign(OWN, Hash.SHA_256, **wrong)


async def test_what_is_encrypted_to_the_card_only_the_card_decrypts(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        cipher = await world.operations.encrypt(PORTAL, b"secret")
        assert await world.operations.decrypt(PORTAL, cipher) == b"secret"
        with pytest.raises(CipherInvalidError):
            await world.operations.decrypt(PORTAL, bytes(256))
        assert world.tries == 3


async def test_a_version_1_card_has_nothing_to_decrypt_with_and_is_asked_no_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-v1") as world:
        with pytest.raises(ObjectMissingError):
            await world.operations.decrypt(PORTAL, bytes(256))
        assert not world.pins_asked()


async def test_an_expired_certificate_signs_nothing_and_is_asked_no_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-expired") as world:
        for work in (
            world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT),
            world.operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin)),
        ):
            with pytest.raises(AgentError) as caught:
                await work
            assert caught.value.error_id == "certificate.expired"
        assert not world.pins_asked()
        assert (await world.operations.card(PORTAL)).metadata.serial


async def test_certificates_are_read_by_number(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        everything = await world.operations.certificates(PORTAL)
        assert [item.index for item in everything] == [0, 1, 2, 3, 4]
        second = await world.operations.certificate(PORTAL, 2)
        assert (second.index, second.use, second.der) == (2, everything[2].use, everything[2].der)
        assert second.serial == (await world.operations.card(PORTAL)).metadata.serial
        with pytest.raises(ObjectMissingError):
            await world.operations.certificate(PORTAL, 9)


async def test_readers_are_told_as_they_stand(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "", "hpc-mute") as world:
        with world.readers[0].hold_exclusively():
            busy = await world.operations.readers(PORTAL)
        views = await world.operations.readers(PORTAL)
        assert busy[0].condition is ReaderCondition.BUSY
        assert [view.condition for view in views] == [
            ReaderCondition.CARD,
            ReaderCondition.EMPTY,
            ReaderCondition.MUTE,
        ]
        assert not world.apdus


async def test_a_stopped_service_says_so(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        world.winscard.stop_service()
        with pytest.raises(ServiceUnavailableError):
            await world.operations.card(OWN)
        world.winscard.start_service()
        assert await world.operations.card(OWN)


async def test_a_change_is_told_on_the_event_loop_and_not_for_our_own_visits(tmp_path: Path) -> None:
    async with agent(tmp_path, "") as world:
        told: list[tuple[ReaderView, ...]] = []
        stop = world.operations.on_change(told.append)
        await until(lambda: bool(told))
        world.reader.insert(simulated("hpc"))
        await until(lambda: told[-1][0].condition is ReaderCondition.CARD)
        count = len(told)
        await world.operations.card(OWN)
        world.reader.remove()
        await until(lambda: told[-1][0].condition is ReaderCondition.EMPTY)
        assert len(told) == count + 1
        stop()
        others: list[tuple[ReaderView, ...]] = []
        world.operations.on_change(others.append)
        world.reader.insert(simulated("hpc"))
        await until(lambda: bool(others) and others[-1][0].condition is ReaderCondition.CARD)
        assert len(told) == count + 1


async def test_a_card_held_by_another_program_is_busy(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with world.reader.hold_exclusively(), pytest.raises(ReaderBusyError):
            await world.operations.card(OWN)


async def test_a_reader_that_is_named_and_not_there_is_unavailable(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(ReaderUnavailableError):
            await world.operations.card(OWN, reader="No Such Reader")


async def test_choosing_for_an_old_dialect_takes_the_kind_it_needs(tmp_path: Path) -> None:
    hca = (CardKind.PERSONNEL, CardKind.INSTITUTION)
    async with agent(tmp_path, "nhi", "hop") as world:
        chosen = await world.operations.choose(PORTAL, kinds=hca)
        assert (chosen.kind, chosen.reader) == (CardKind.INSTITUTION, world.readers[1].name)
        world.readers[1].remove()
        with pytest.raises(AgentError) as caught:
            await world.operations.choose(PORTAL, kinds=hca)
        assert caught.value.error_id == "card.wrong_kind"


async def test_everything_done_with_a_key_leaves_a_masked_row(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))
        rows = world.audit()
        assert [(row.origin, row.verb, row.card, row.result) for row in rows] == [
            (PORTAL.origin, Verb.SIGN, "********5361", "ok"),
            (PORTAL.origin, Verb.SIGN, "********5361", "ok"),
            (PORTAL.origin, Verb.LOGIN, "********5361", "ok"),
        ]
        assert all(row.simulated and row.certificate for row in rows)
        text = world.paths.audit.read_text("utf-8")
        assert PIN not in text
        assert "000000335361" not in text
        assert "測試" not in text


async def test_a_certificate_with_an_endless_number_signs_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = Stock.issue.__func__  # type: ignore[attr-defined]

    def issue_with_long_numbers(cls: type[Stock], *args: Any) -> Stock:
        stock: Stock = issue(cls, *args)
        own = []
        for slot, identity, key in stock.own:
            certificate = x509.Certificate.load(identity.certificate)
            certificate["tbs_certificate"]["serial_number"] = (1 << 9001) - 1
            own.append((slot, replace(identity, certificate=certificate.dump(force=True)), key))
        return replace(stock, own=own)

    monkeypatch.setattr(Stock, "issue", classmethod(issue_with_long_numbers))
    async with agent(tmp_path, "hpc") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))
        rows = world.audit()
        assert [(row.verb, row.result) for row in rows] == [(Verb.SIGN, "ok"), (Verb.LOGIN, "ok")]
        assert all(row.certificate.startswith("1FFF") and "…" in row.certificate for row in rows)


async def test_no_flood_of_strangers_keeps_the_row_of_an_allowed_site_out(tmp_path: Path) -> None:
    config = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))
    async with agent(tmp_path, "hpc", interaction=Headless(), config=config) as world:
        for number in range(200):
            with pytest.raises(AgentError):
                await world.operations.card(Caller(f"https://s{number}.example"))
        await world.operations.card(PORTAL)
        world.reader.remove()
        with pytest.raises(Exception, match=r".") as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        rows = world.audit()
        assert [(row.verb, row.result) for row in rows if row.origin == PORTAL.origin] == [
            (Verb.READ, "ok"),
            (Verb.SIGN, error_id(caught.value)),
        ]
        assert len(rows) < 100


async def test_no_flood_of_strangers_keeps_out_what_an_allowed_site_is_refused(tmp_path: Path) -> None:
    config = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))
    async with agent(tmp_path, "hpc", interaction=Headless(), config=config) as world:
        for number in range(200):
            with pytest.raises(AgentError):
                await world.operations.card(Caller(f"https://s{number}.example"))
        with pytest.raises(DocumentRefusedError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=bytes(range(128, 192)))
        assert [row.verb for row in world.audit() if row.origin == PORTAL.origin] == [Verb.SIGN]


async def test_a_refused_page_leaves_one_row_however_often_it_asks(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(consents={})) as world:
        for _ in range(50):
            with pytest.raises(AgentError):
                await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert [(row.verb, row.result) for row in world.audit()] == [(Verb.SIGN, "consent.refused")]
        assert not world.apdus


async def test_what_is_refused_without_a_question_leaves_a_row_too(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(DocumentRefusedError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=bytes(range(128, 192)))
        with pytest.raises(AgentError):
            await world.operations.sign(PORTAL, Hash.SHA_256, digest=bytes(32))
        with pytest.raises(AgentError):
            await world.operations.authenticate(PORTAL, NONCE, origin="https://other.example.tw")
        assert [(row.verb, row.result) for row in world.audit()] == [
            (Verb.SIGN, "document.refused"),
            (Verb.SIGN, "digest.refused"),
            (Verb.LOGIN, "origin.refused"),
        ]


async def test_reading_all_day_does_not_push_the_log_out(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        for _ in range(20):
            await world.operations.card(PORTAL)
        assert len(world.audit()) == 1


async def test_headless_serves_listed_origins_and_refuses_unknown_ones(tmp_path: Path) -> None:
    config = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))
    async with agent(tmp_path, "hpc", interaction=Headless(), config=config) as world:
        assert await world.operations.card(PORTAL)
        with pytest.raises(AgentError) as caught:
            await world.operations.card(OTHER)
        assert caught.value.error_id == "interaction.unavailable"
        with pytest.raises(AgentError) as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert caught.value.error_id == "pin.unavailable"
        assert world.tries == 3


@pytest.mark.parametrize("kind", ["hpc-torn", "hpc-hostile", "hpc-mute"])
async def test_a_broken_or_hostile_card_is_an_error_with_a_row(tmp_path: Path, kind: str) -> None:
    async with agent(tmp_path, kind) as world:
        for work in (
            world.operations.card(OWN),
            world.operations.certificates(OWN),
            world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT),
        ):
            with pytest.raises(Exception, match=r".") as caught:
                await work
            assert error_id(caught.value) != "internal"


async def test_signing_with_the_encryption_key_is_possible_where_it_is_asked_for(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        done = await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT, use=KeyUse.ENCRYPTION)
        second = await world.operations.certificate(OWN, 2)
        assert done.certificate == second.der


@pytest.mark.parametrize("kind", ["hpc", "citizen"])
async def test_whatever_is_read_of_a_simulated_card_is_written_down_as_that(
    tmp_path: Path, kind: str
) -> None:
    for number, read in enumerate(
        (
            lambda operations: operations.certificates(PORTAL),
            lambda operations: operations.certificate(PORTAL, 1),
            lambda operations: operations.pin_status(PORTAL),
            lambda operations: operations.card(PORTAL),
        )
    ):
        async with agent(tmp_path / str(number), kind) as world:
            await read(world.operations)
            [row] = world.audit()
            assert row.simulated
            assert row.card


LISTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))


async def test_what_is_under_way_and_open_sessions_are_work(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        operations = world.operations
        assert not operations.busy
        session = await operations.open_session(PORTAL, most=1)
        assert operations.busy
        session.end(SessionEnd.STOPPED)
        await until(lambda: not operations.busy, "it stays busy")
        assert operations.modules == ()


async def test_what_needs_no_card_is_allowed_or_asked_for_and_leaves_no_row(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        assert not world.operations.allowed(PORTAL, Verb.READ)
        await world.operations.permit(PORTAL, Verb.READ)
        assert world.operations.allowed(PORTAL, Verb.READ)
        assert world.consents_asked() == [Verb.READ]
        assert not world.audit() and not world.apdus


async def test_one_thing_is_examined_of_a_card_and_its_row_names_it(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        found = await world.operations.examine(PORTAL, lambda card: card.has_key(KeyUse.SIGNATURE))
        assert (found.result, found.serial, found.reader) == (True, "000000335361", world.reader.name)
        assert world.audit()[-1].card == mask_card(found.serial)


async def test_a_card_without_a_pin_has_none_that_stands_anyhow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = replace(look(FakeVisit(), cast(Any, FakeCard())), pin=None)
    monkeypatch.setattr("agent.operations.transaction_jobs.look_for_pin", lambda _visit, _card: without)
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(UnsupportedError):
            await world.operations.pin_status(OWN)


async def test_an_envelope_for_the_card_is_opened_by_it_alone(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop") as world:
        operations, [first, second] = world.operations, [reader.name for reader in world.readers]
        message = await operations.make_envelope(OWN, DOCUMENT, reader=first)
        theirs = await operations.encryption_certificate(OWN, reader=second)
        for_both = await operations.make_envelope(
            OWN, DOCUMENT, (theirs, await operations.encryption_certificate(OWN, reader=first))
        )
        for envelope, reader in ((message, None), (for_both, second)):
            target = io.BytesIO()
            await operations.open_envelope(OWN, read_envelope(io.BytesIO(envelope)), target, reader=reader)
            assert target.getvalue() == DOCUMENT
        pins = len(world.pins_asked())
        with pytest.raises(CipherInvalidError):
            opened = operations.open_envelope(OWN, read_envelope(io.BytesIO(message)), target, reader=second)
            await opened
        assert len(world.pins_asked()) == pins


async def test_a_signature_in_cms_is_made_over_a_document_and_for_old_portals_by_an_rsa_key(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(ValueError, match="over a document"):
            await world.operations.sign(OWN, Hash.SHA_256, digest=bytes(32), cms=CmsForm())
        done = await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT, cms=CmsForm(), rsa=True)
        assert verify_cms(done.signature).content == DOCUMENT


FORM = form_for(SignatureFormat.CADES, b"", Options())


async def test_a_document_is_signed_in_a_format_and_shown_as_it_looks(tmp_path: Path) -> None:
    class Looks:
        made = 0

        async def of(self, _document: bytes) -> Preview:
            self.made += 1
            return Preview()

    looks = Looks()
    async with agent(tmp_path, "hpc") as world:
        world.operations._previews = cast(Any, looks)
        done = await world.operations.sign_document(PORTAL, FORM, DOCUMENT, name="申請書.txt")
        assert (done.format, done.level, done.hash) == (SignatureFormat.CADES, Level.B_B, Hash.SHA_256)
        assert verify_cms(done.document, DOCUMENT).content == DOCUMENT
        [asked] = world.pins_asked()
        assert asked.document is not None
        assert (asked.document.size, asked.document.name) == (len(DOCUMENT), "申請書.txt")
        assert asked.document.preview == Preview()
        assert looks.made == 1  # though two questions show it


async def test_what_a_format_cannot_have_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(HashUnsupportedError):
            await world.operations.sign_document(OWN, FORM, DOCUMENT, hash=Hash.SHA_1)
        with pytest.raises(EvidenceError):
            await world.operations.sign_document(OWN, FORM, DOCUMENT, level=Level.B_T)
        assert not world.pins_asked()


async def test_a_kept_pin_signs_documents_and_a_level_is_reached_with_evidence(tmp_path: Path) -> None:
    class Levelled:
        suffix, format = ".marked", SignatureFormat.CADES

        def prepare(self, document: bytes, _signer: object, algorithm: Hash, _when: object) -> Ready:
            return Ready(b"MARK" + document, algorithm, lambda value: b"signed")

        async def augment(self, signed: bytes, level: Level, _evidence: object) -> bytes:
            return signed + level.encode()

    class Evidence:
        timestamp = revocation = None

    form, evidence = cast(Any, Levelled()), cast(Any, Evidence())
    async with agent(tmp_path, "hpc", evidence=evidence, config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=2)
        done = await session.sign(form, DOCUMENT, level=Level.B_T)
        assert done.document == b"signed" + Level.B_T.encode()
        assert len(world.pins_asked()) == 1


async def test_a_session_that_could_not_begin_keeps_no_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        operations = world.operations
        kept = await operations.keep_pin(OWN, Pin(PIN))

        def began_badly(*_arguments: object) -> None:
            raise ValueError("gone")

        async def on_keypad(*_arguments: object, **_more: object) -> tuple[object, None, None]:
            return look(FakeVisit(), cast(Any, FakeCard())), None, None

        async def typed(*_arguments: object, **_more: object) -> tuple[object, None, object]:
            return look(FakeVisit(), cast(Any, FakeCard())), None, kept

        monkeypatch.setattr(operations._workflow, "use_pin", on_keypad)
        with pytest.raises(AgentError) as caught:
            await operations.open_session(PORTAL)
        assert caught.value.error_id == "pin.unavailable"
        monkeypatch.setattr(operations._workflow, "use_pin", typed)
        with monkeypatch.context() as patch:
            patch.setattr(SigningSession, "begin", began_badly)
            with pytest.raises(ValueError, match="gone"):
                await operations.open_session(PORTAL)
        assert kept.ended is SessionEnd.GONE
        kept.certificates[KeyUse.SIGNATURE] = b"certificate"
        with pytest.raises(AgentError) as caught:
            await operations.open_session(PORTAL)
        assert caught.value.error_id == "signing_session.ended"


async def test_a_pin_is_remembered_for_the_persons_own_command_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = FakeKeyring()
    monkeypatch.setattr(
        "agent.pins.unattended.Unattended.__init__.__kwdefaults__", {"open_keyring": lambda: ring}
    )
    grant = Grant((str(PORTAL.origin),), ())
    config = replace(LISTED, unattended=UnattendedSettings(enabled=True))
    async with agent(tmp_path, "hpc", config=config) as world:
        operations = world.operations
        with pytest.raises(AgentError) as caught:
            await operations.remember_pin(PORTAL, Pin(PIN), grant)
        assert caught.value.error_id == "origin.refused"
        serial = await operations.remember_pin(OWN, Pin(PIN), grant)
        assert serial == "000000335361"
        await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert not world.pins_asked()
        assert await operations.forget_remembered_pin(serial)
        assert not await operations.forget_remembered_pin(serial)

        async def on_keypad(*_arguments: object, **_more: object) -> tuple[None, None, None]:
            return None, None, None

        monkeypatch.setattr(operations._workflow, "use_pin", on_keypad)
        with pytest.raises(AgentError) as caught:
            await operations.remember_pin(OWN, None, grant)
        assert caught.value.error_id == "pin.unavailable"
