"""Signing sessions: one PIN, as many signatures as the person agreed to, and every way in which that ends."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, OriginSettings, SessionSettings
from agent.errors import AgentError, ErrorId, error_id
from agent.interaction import CardShown, ConsentQuestion, ItemShown
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, SigningSession, api
from agent.operations import signing_sessions as module
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import PinWrongError
from hca_card.model import CardKind, KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from signing.errors import DocumentRefusedError, DocumentUnusableError, EvidenceError
from signing.formats import Level, Ready, SignatureFormat
from signing.formats.cades import Cades
from signing.formats.choice import Options, form_for
from signing.hashes import Hash
from signing.verify import verify
from tests.support.operations import OTHER, OWN, PIN, PORTAL, agent, until

VERIFY = 0x20
FORM = form_for(SignatureFormat.CADES, b"", Options())
LISTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin), str(OTHER.origin)))))


def documents(count: int) -> list[bytes]:
    return [f"病歷 {number}".encode() for number in range(count)]


def listed(document: bytes) -> ItemShown:
    return ItemShown("病歷.txt", len(document), "cades", hashlib.sha256(document).digest())


async def refusal(session: SigningSession, document: bytes = b"x") -> str:
    with pytest.raises(AgentError) as raised:
        await session.sign(FORM, document)
    return error_id(raised.value)


async def ended(session: SigningSession, why: SessionEnd) -> None:
    """Wait for the end and see that it is that one."""
    await until(lambda: session.ended is not None, "the session goes on")
    assert session.ended is why
    assert (session.left, session.seconds_left) == (0, 0.0)
    assert await refusal(session) == ErrorId.SIGNING_SESSION_ENDED


class WaitingPerson(ScriptedInteraction):
    """A person who types at once, and does not any more when they are `slow`."""

    slow = False

    async def ask(self, question):  # type: ignore[no-untyped-def]
        if self.slow:
            self.asked.set()
            await asyncio.Event().wait()
        self.asked = asyncio.Event()
        return await super().ask(question)


async def test_one_pin_signs_as_many_documents_as_agreed_and_then_no_more(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=3)
        [asked] = world.pins_asked()
        assert (asked.verb, asked.origin) == (Verb.SESSION, PORTAL.origin)
        assert asked.terms is not None
        assert (asked.terms.most, asked.terms.seconds) == (3, 30 * 60)
        for left in (2, 1, 0):
            signed = await session.sign_value(f"{left}".encode())
            verify(signed.certificate, f"{left}".encode(), signed.signature, signed.hash)
            assert session.left == left
        await ended(session, SessionEnd.USED_UP)
        assert len(world.pins_asked()) == 1
        assert world.tries == 3


async def test_the_card_is_never_left_verified_between_two_signatures(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=5)
        for document in documents(3):
            await session.sign(FORM, document)
            with world.other_program() as other:
                assert other.transmit(b"\x00\x20\x00\x81")[-2:] != b"\x90\x00"
        with_pin = [apdu for apdu in world.apdus if apdu[1] == VERIFY and len(apdu) > 5]
        assert len(with_pin) == 1 + 3  # the opening, and each signature


async def test_signatures_under_way_at_once_are_all_made_by_one_card_one_after_another(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(OWN, most=12)
        signed = await asyncio.gather(*(session.sign(FORM, document) for document in documents(12)))
        assert len({each.document for each in signed}) == 12
        await ended(session, SessionEnd.USED_UP)


async def test_each_signature_has_its_row_with_the_session_and_so_have_opening_and_end(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=2)
        for document in documents(2):
            await session.sign(FORM, document)
        await ended(session, SessionEnd.USED_UP)
        await until(lambda: not world.operations.sessions.open, "it is still listed")
        rows = world.audit()
        assert [(row.verb, row.result) for row in rows] == [
            (Verb.SESSION, "ok"),
            (Verb.SIGN, "ok"),
            (Verb.SIGN, "ok"),
            (Verb.SESSION, "ended.used-up"),
        ]
        assert {row.session for row in rows} == {session.number}
        assert {row.origin for row in rows} == {PORTAL.origin}
        written = world.paths.audit.read_text()
        assert session.id not in written
        assert PIN not in written


async def test_a_document_that_cannot_be_signed_costs_no_signature(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=2)
        with pytest.raises(DocumentRefusedError):
            await session.sign(FORM, bytes(64))
        assert session.left == 2


async def test_what_fails_after_the_card_has_signed_costs_its_signature(tmp_path: Path) -> None:
    """A page whose documents always fail then would have the card sign as long as the session lasts."""

    class FailsLate(Cades):
        def prepare(self, *of: Any) -> Ready:
            def finish(_value: bytes) -> bytes:
                raise DocumentUnusableError("it cannot be put together")

            return replace(super().prepare(*of), finish=finish)

    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=2)
        for _ in range(2):
            with pytest.raises(DocumentUnusableError):
                await session.sign(FailsLate(), b"x")
        await ended(session, SessionEnd.USED_UP)


async def test_a_stamp_that_nobody_gives_is_refused_before_it_costs_a_signature(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=1)
        with pytest.raises(EvidenceError):
            await session.sign(FORM, b"x", level=Level.B_T)
        assert session.left == 1


async def test_the_time_runs_out(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, seconds=1)
        await ended(session, SessionEnd.TIME)


async def test_a_computer_that_slept_longer_than_the_session_signs_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, seconds=600)
        monotonic, wall = module.sessions_clock()
        monkeypatch.setattr(module, "sessions_clock", lambda: (monotonic, wall + 601))
        assert await refusal(session) == ErrorId.SIGNING_SESSION_ENDED
        await ended(session, SessionEnd.TIME)


async def test_the_card_is_pulled(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL)
        heard: list[SessionEnd] = []
        session.on_end(heard.append)
        world.reader.remove()
        await ended(session, SessionEnd.CARD)
        await until(lambda: bool(heard), "nobody was told")
        assert heard == [SessionEnd.CARD]
        world.reader.insert(world.card)
        assert await refusal(session) == ErrorId.SIGNING_SESSION_ENDED


@pytest.mark.parametrize("why", [SessionEnd.STOPPED, SessionEnd.CLOSED, SessionEnd.LOCKED, SessionEnd.AGENT])
async def test_whoever_may_ends_it_and_the_reason_stays(tmp_path: Path, why: SessionEnd) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL)
        if why is SessionEnd.LOCKED:
            world.operations.forget_pins(why)
        else:
            session.end(why)
        session.end(SessionEnd.CLOSED)
        await ended(session, why)
        await until(lambda: not world.operations.sessions.open, "it is still listed")


async def test_a_pin_changed_elsewhere_ends_it_and_costs_one_try_at_most(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL)
        with world.other_program() as other, other.transaction() as transaction:
            recognise(transaction, other.atr).change_pin(Pin(PIN), Pin("654321"))
        assert await refusal(session) == ErrorId.PIN_CHANGED_ELSEWHERE
        await ended(session, SessionEnd.PIN)
        assert world.tries == 2


async def test_the_administrator_switches_it_off_and_lowers_it(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop", config=LISTED) as world:
        sessions = world.operations.sessions
        large = await world.operations.open_session(PORTAL, most=250, reader=world.readers[0].name)
        small = await world.operations.open_session(PORTAL, most=10, reader=world.readers[1].name)
        sessions.apply(SessionSettings(signatures=20))
        await ended(large, SessionEnd.POLICY)
        assert small.ended is None
        sessions.apply(SessionSettings(enabled=False))
        await ended(small, SessionEnd.POLICY)
        with pytest.raises(AgentError) as raised:
            await world.operations.open_session(PORTAL)
        assert error_id(raised.value) == ErrorId.SIGNING_SESSION_DISABLED
        assert len(world.pins_asked()) == 2


@pytest.mark.parametrize(
    ("most", "seconds", "items"),
    [
        (251, None, 0),
        (0, None, 0),
        (-1, None, 0),
        (None, 86401, 0),
        (None, 0, 0),
        (5, None, 4),
        (None, None, 101),
    ],
)
async def test_more_than_the_administrator_allows_is_refused_before_anybody_is_asked(
    tmp_path: Path, most: int | None, seconds: int | None, items: int
) -> None:
    config = Config(origins=LISTED.origins, sessions=SessionSettings(items=100))
    async with agent(tmp_path, "hpc", config=config) as world:
        shown = [listed(document) for document in documents(items)]
        with pytest.raises(AgentError) as raised:
            await world.operations.open_session(PORTAL, most=most, seconds=seconds, items=shown)
        assert error_id(raised.value) == ErrorId.SIGNING_SESSION_LIMIT
        assert not world.pins_asked()
        assert not world.apdus


async def test_a_wrong_pin_opens_nothing_and_costs_one_try(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["000000"])
    async with agent(tmp_path, "hpc", config=LISTED, interaction=person) as world:
        with pytest.raises(PinWrongError):
            await world.operations.open_session(PORTAL)
        assert not world.operations.sessions.open
        assert world.tries == 2


async def test_a_batch_signs_what_was_listed_each_once_and_nothing_else(tmp_path: Path) -> None:
    first, second, twice = documents(3)
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(
            OWN, items=[listed(each) for each in (first, second, twice, twice)]
        )
        [asked] = world.pins_asked()
        assert asked.terms is not None
        assert len(asked.terms.items) == asked.terms.most == 4
        await session.sign(FORM, first)
        assert await refusal(session, first) == ErrorId.DOCUMENT_NOT_LISTED
        assert await refusal(session, "另一份".encode()) == ErrorId.DOCUMENT_NOT_LISTED
        await session.sign(FORM, twice)
        await session.sign(FORM, twice)
        assert session.left == 1
        await session.sign(FORM, second)
        await ended(session, SessionEnd.USED_UP)


async def test_nobody_else_uses_it_by_its_id_by_a_guess_or_after_its_end(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        sessions = world.operations.sessions
        session = await world.operations.open_session(PORTAL)
        same_page_again = Caller(PORTAL.origin, "2")

        def found(caller: Caller, shown: str) -> str:
            try:
                return sessions.find(caller, shown).number
            except AgentError as error:
                return str(error.error_id)

        assert found(PORTAL, session.id) == session.number
        assert found(OTHER, session.id) == ErrorId.SIGNING_SESSION_UNKNOWN
        assert found(OWN, session.id) == ErrorId.SIGNING_SESSION_UNKNOWN
        assert found(same_page_again, session.id) == ErrorId.SIGNING_SESSION_ELSEWHERE
        for guess in (session.number, session.id[:-1], session.id + "=", "", "\ud800", "0" * 10_000):
            assert found(PORTAL, guess) == ErrorId.SIGNING_SESSION_UNKNOWN
        session.end(SessionEnd.CLOSED)
        await until(lambda: not sessions.open, "it is still listed")
        assert found(PORTAL, session.id) == ErrorId.SIGNING_SESSION_ENDED
        assert found(OTHER, session.id) == ErrorId.SIGNING_SESSION_UNKNOWN


async def test_a_page_that_is_loaded_again_goes_on_and_one_that_is_gone_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.2)
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        sessions = world.operations.sessions
        session = await world.operations.open_session(PORTAL)
        again = Caller(PORTAL.origin, "2")
        sessions.leave(PORTAL)
        assert sessions.find(again, session.id) is session
        await asyncio.sleep(0.4)
        assert session.ended is None
        sessions.leave(PORTAL)  # it has nothing any more
        await asyncio.sleep(0.4)
        assert session.ended is None
        sessions.leave(again)
        await ended(session, SessionEnd.GONE)


async def test_too_many_sessions_at_once_are_refused_without_a_question(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        for _ in range(8):
            await world.operations.open_session(PORTAL)
        with pytest.raises(AgentError) as raised:
            await world.operations.open_session(PORTAL)
        assert error_id(raised.value) == ErrorId.BUSY
        assert len(world.pins_asked()) == 8


async def test_strangers_who_wait_for_a_yes_leave_places_for_those_who_are_known(tmp_path: Path) -> None:
    class Undecided(ScriptedInteraction):
        async def ask(self, question):  # type: ignore[no-untyped-def]
            if isinstance(question, ConsentQuestion):
                await asyncio.Event().wait()
            return await super().ask(question)

    strangers = [Caller(f"https://{name}.example", name) for name in "abcd"]
    async with agent(tmp_path, "hpc", config=LISTED, interaction=Undecided(pins=[PIN])) as world:
        open_session = world.operations.open_session
        waiting = [asyncio.create_task(open_session(each)) for each in strangers for _ in range(8)]
        await until(lambda: sum(task.done() for task in waiting) == 24, "strangers hold more than 8 places")
        session = await open_session(PORTAL)
        assert session.ended is None
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert session.ended is None


async def test_a_place_is_free_again_when_a_session_ended_or_never_opened(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=[*[PIN] * 9, *[None] * 9])
    async with agent(tmp_path, "hpc", config=LISTED, interaction=person) as world:
        sessions = world.operations.sessions
        for _ in range(9):
            session = await world.operations.open_session(PORTAL)
            session.end(SessionEnd.CLOSED)
            await until(lambda: not sessions.open, "it is still listed")
        for _ in range(9):
            with pytest.raises(AgentError) as raised:
                await world.operations.open_session(OWN)
            assert error_id(raised.value) == ErrorId.PIN_CANCELLED


async def test_whoever_leaves_in_the_moment_before_it_opens_leaves_no_pin_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        there, kept = asyncio.Event(), []
        facts_about = api.facts_about

        async def slow(snapshot):  # type: ignore[no-untyped-def]
            kept.extend(world.operations._workflow._kept)
            there.set()
            await asyncio.Event().wait()
            return await facts_about(snapshot)

        monkeypatch.setattr(api, "facts_about", slow)
        opening = asyncio.create_task(world.operations.open_session(PORTAL))
        await there.wait()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert [each.wiped for each in kept] == [True]


async def test_a_session_goes_on_while_another_page_waits_for_the_person_to_type(tmp_path: Path) -> None:
    person = WaitingPerson(pins=[PIN])
    async with agent(tmp_path, "hpc", config=LISTED, interaction=person) as world:
        session = await world.operations.open_session(PORTAL)
        person.slow = True
        other = asyncio.create_task(world.operations.sign(OTHER, Hash.SHA_256, document=b"x"))
        await person.asked.wait()
        for document in documents(3):
            await session.sign(FORM, document)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert session.ended is None


async def test_who_listens_hears_of_openings_signatures_and_ends_until_they_stop(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        sessions, heard = world.operations.sessions, []
        stop = sessions.listen(lambda: heard.append(len(sessions.open)))
        session = await world.operations.open_session(PORTAL, most=1)
        await session.sign_value(b"x")
        await until(lambda: not sessions.open, "it is still listed")
        assert heard == [1, 1, 0]
        stop()
        await world.operations.open_session(PORTAL, most=1)
        assert heard == [1, 1, 0]


async def test_the_person_stops_the_session_of_a_number_and_its_end_is_written_once(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        sessions = world.operations.sessions
        first, second = [await world.operations.open_session(PORTAL, most=2) for _ in range(2)]
        assert (
            first.certificate
            and not SigningSession(world.operations, PORTAL, first.terms, sessions).certificate
        )
        sessions.stop("another number")
        sessions.stop(first.number)
        await ended(first, SessionEnd.STOPPED)
        await until(lambda: sessions.open == (second,), "it is still listed")
        sessions.stop(first.number)
        assert not sessions.closed(first, SessionEnd.STOPPED)
        assert [row.result for row in world.audit()].count("ended.stopped") == 1


async def test_a_session_whose_pin_ended_before_it_began_is_not_open(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        operations = world.operations
        kept = await operations.keep_pin(OWN, Pin(PIN))
        kept.certificates[KeyUse.SIGNATURE] = b"certificate"
        kept.wipe(SessionEnd.LOCKED)
        session = SigningSession(operations, OWN, operations.sessions.terms(2, None, ()), operations.sessions)
        session.begin(kept, CardShown("Reader 0", CardKind.PERSONNEL, "1", "測試", simulated=True))
        assert session.ended is SessionEnd.LOCKED
        assert not operations.sessions.open


async def test_a_pin_that_is_not_kept_any_more_is_the_end_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_arguments: object, **_more: object) -> None:
        raise AgentError(ErrorId.PIN_NOT_KEPT)

    async with agent(tmp_path, "hpc", config=LISTED) as world:
        session = await world.operations.open_session(PORTAL, most=2)
        monkeypatch.setattr(world.operations, "sign_document", gone)
        assert await refusal(session) == ErrorId.SIGNING_SESSION_ENDED
        assert session.left == 2


async def test_only_so_many_ended_sessions_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ENDED_MAX", 1)
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        sessions = world.operations.sessions
        opened = []
        for _ in range(2):
            opened.append(await world.operations.open_session(PORTAL, most=2))
            opened[-1].end(SessionEnd.STOPPED)
            await until(lambda: not sessions.open, "it is still listed")
        results = []
        for session in opened:
            with pytest.raises(AgentError) as caught:
                sessions.find(PORTAL, session.id)
            results.append(error_id(caught.value))
        assert results == [ErrorId.SIGNING_SESSION_UNKNOWN, ErrorId.SIGNING_SESSION_ENDED]
