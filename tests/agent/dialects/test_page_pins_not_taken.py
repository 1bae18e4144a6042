"""Where pages' PINs are not taken, one PIN in our own window serves old pages' signatures, within limits."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from agent.config import Config, OriginSettings, SessionSettings
from agent.dialects import agreed
from agent.dialects.hipki import HipkiDialect
from agent.dialects.hipki.dialect import HipkiVerb
from agent.interaction import PinQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import signing_sessions
from agent.vocabulary import SessionEnd, Verb
from signing.hashes import Hash
from tests.support.hipki import package
from tests.support.operations import PIN, PORTAL, World, agent, until
from tests.support.servisign_page import NHI_PATH_ID, Page, Text
from tests.support.servisign_real import Workplace, workplace
from tests.support.servisign_traces import (
    B64_MESSAGE,
    MESSAGE,
    SHA1_RSA,
    SHA256_RSA,
    check_signature,
    document_system,
)

WRONG = "999999"
ORIGINS = frozenset((str(PORTAL.origin), "https://e-service.mohw.gov.tw"))
CONFIG = Config(
    origins=OriginSettings(allow=ORIGINS, digest=ORIGINS),
    sessions=SessionSettings(page_pins=False, signatures=3),
)
DIGEST_INFO = base64.b64encode(Hash.SHA_256.digest_info(bytes(32))).decode()


def asked(place: Workplace | World) -> list[Verb]:
    assert place.person is not None
    return [each.verb for each in place.person.questions if isinstance(each, PinQuestion)]


async def opened(page: Page, pin: str = WRONG) -> dict[str, str]:
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    return {"ulModuleHandle": module, "ulSessionHandle": session}


async def private_key(page: Page, handles: dict[str, str], use: str = "1") -> str:
    return await page.good("ATL_GetKeyObjectHandle", **handles, iKeyType=0, param=Text(use))


@pytest.mark.parametrize("sent", [WRONG, PIN, "密碼", ""])
async def test_what_a_servisign_page_sends_as_pin_is_never_sent_to_the_card(
    tmp_path: Path, sent: str
) -> None:
    person = ScriptedInteraction(pins=[PIN])
    async with workplace(tmp_path, "hpc", person, CONFIG) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page, sent)
        key = await private_key(page, handles)
        sign = {**handles, "ulPvKeyObject": key, "ulAlgorithm": SHA1_RSA, "b64Data": Text(B64_MESSAGE)}
        for left in (2, 1, 0):
            assert await page.good("ATL_MakeSignature", **sign)
            [session] = place.operations.sessions.open or [None]
            assert (session.left if session else 0) == left
        assert (await page.failing("ATL_MakeSignature", **sign))[1] == "9063"
        assert asked(place) == [Verb.SESSION]
        assert place.card.pin_tries == 3
        await until(lambda: "ended.used-up" in place.audit.read_text("utf-8"), "its end has no row")
        assert PIN not in place.audit.read_text("utf-8")


async def test_what_a_session_may_not_sign_asks_for_a_pin_of_its_own(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=[PIN] * 3)
    async with workplace(tmp_path, "hpc", person, CONFIG) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        key = await private_key(page, handles)
        digest = Text(base64.b64encode(bytes(32)).decode())
        assert await page.good("ATL_SignWithoutHash", **handles, ulPvKeyObject=key, b64Data=digest)
        assert asked(place) == [Verb.SESSION, Verb.SIGN]
        [session] = place.operations.sessions.open
        assert session.left == 3
        public = await page.good("ATL_GetKeyObjectHandle", **handles, iKeyType=1, param=Text("2"))
        secret = await page.good(
            "ATL_PublicKeyEncryption",
            **handles,
            ulPubKeyObject=public,
            ulAlgorithm=1,
            b64Data=Text(B64_MESSAGE),
        )
        private = await private_key(page, handles, "2")
        plain = await page.good(
            "ATL_PrivateKeyDecryption",
            **handles,
            ulPvKeyObject=private,
            ulAlgorithm=1,
            b64Cipher=Text(secret),
        )
        assert base64.b64decode(plain) == MESSAGE
        assert asked(place) == [Verb.SESSION, Verb.SIGN, Verb.DECRYPT]


@pytest.mark.parametrize(("end", "why"), [("pulled", SessionEnd.CARD), ("stopped", SessionEnd.STOPPED)])
async def test_a_pages_session_ends_as_every_session_does(tmp_path: Path, end: str, why: SessionEnd) -> None:
    async with workplace(tmp_path, "hpc", ScriptedInteraction(pins=[PIN]), CONFIG) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        key = await private_key(page, handles)
        [session] = place.operations.sessions.open
        if end == "pulled":
            place.reader.remove()
            place.reader.insert(place.card)
        else:
            place.operations.sessions.stop(session.number)
        sign = {**handles, "ulPvKeyObject": key, "ulAlgorithm": SHA1_RSA, "b64Data": Text(B64_MESSAGE)}
        await page.failing("ATL_MakeSignature", **sign)
        assert session.ended is why
        assert asked(place) == [Verb.SESSION]


async def test_a_page_that_opens_a_session_for_each_record_asks_once_and_its_end_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_sessions, "_GRACE_SECONDS", 0.05)
    async with workplace(tmp_path, "hpc", ScriptedInteraction(pins=[PIN] * 2), CONFIG) as place:
        pages = [Page(place.dialect.handle) for _ in range(2)]
        for page in pages:
            certificate, signature = await document_system(page, WRONG, SHA256_RSA)
            check_signature(certificate, signature, MESSAGE, hashes.SHA256())
        assert asked(place) == [Verb.SESSION]
        [session] = place.operations.sessions.open
        assert session.left == 1
        await pages[0].call("ServiSignRelease")
        assert session.holder is None and session.ended is None
        await pages[1].call("ServiSignRelease")
        await until(lambda: session.ended is SessionEnd.GONE, "it goes on without its pages")


async def test_the_nhi_library_signs_in_a_session_too(tmp_path: Path) -> None:
    async with workplace(tmp_path, "hpc", ScriptedInteraction(pins=[PIN]), CONFIG) as place:
        page = Page(place.dialect.handle, path_id=NHI_PATH_ID)
        assert await page.echo() == "0"
        await page.good("HCA_OpenCOMPort", port=1)
        await page.good("HCA_VerifyPIN", pincode=Text(WRONG), flag=0)
        for _ in range(2):
            assert await page.good("HCA_SignMessage", data=Text(B64_MESSAGE))
        assert asked(place) == [Verb.SESSION]
        [session] = place.operations.sessions.open
        assert session.left == 1 and place.card.pin_tries == 3


async def sign(dialect: HipkiDialect, **members: object) -> dict[str, object]:
    members = {"func": "MakeSignature", "tbs": "病歷", "pin": WRONG, **members}
    return dict(json.loads(await dialect.answer(HipkiVerb.SIGN, str(PORTAL.origin), package(**members))))


async def test_popups_of_one_origin_share_a_session_and_their_pins_are_ignored(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=CONFIG) as world:
        dialect = HipkiDialect(world.operations, CONFIG)
        for members in ({}, {"signatureType": "PKCS7"}, {"hashAlgorithm": "SHA1"}):
            assert (await sign(dialect, **members))["ret_code"] == 0
        assert asked(world) == [Verb.SESSION]
        await until(lambda: world.operations.sessions.open == (), "three were agreed on")
        assert (await sign(dialect))["ret_code"] == 0, "the next one is agreed to anew"
        assert asked(world) == [Verb.SESSION] * 2
        assert (await sign(dialect, signatureType="RAW", tbs=DIGEST_INFO))["ret_code"] == 0
        assert asked(world) == [Verb.SESSION, Verb.SESSION, Verb.SIGN]
        assert world.tries == 3


async def test_a_page_without_a_further_popup_is_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(tmp_path, "hpc", config=CONFIG) as world:
        dialect = HipkiDialect(world.operations, CONFIG)
        assert (await sign(dialect))["ret_code"] == 0
        [session] = world.operations.sessions.open
        monkeypatch.setattr(agreed, "IDLE_SECONDS", 0.05)
        assert (await sign(dialect))["ret_code"] == 0
        await until(lambda: session.ended is SessionEnd.GONE, "it goes on")


async def test_where_sessions_are_switched_off_too_the_page_is_told(tmp_path: Path) -> None:
    config = replace(CONFIG, sessions=SessionSettings(page_pins=False, enabled=False))
    async with workplace(tmp_path, "hpc", ScriptedInteraction(pins=[PIN]), config) as place:
        page = Page(place.dialect.handle)
        assert await page.echo() == "0"
        module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        assert await page.failing("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(PIN)) == (
            "0",
            "61905",
        )
        assert asked(place) == []
