"""Certificate and key of a card are renewed by another program while the card lies in its reader."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from agent.config import Config
from agent.dialects.servisign import ServiSignDialect
from agent.errors import error_id
from agent.interaction import CardChoiceQuestion, PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from hca_card.errors import CertificateRenewedError
from hca_card.pin import Pin
from signing.formats.jws import JwsForm
from signing.hashes import Hash
from signing.verify import verify
from tests.support.agent import RunningAgent, running_agent
from tests.support.cards import RenewableCard
from tests.support.operations import NONCE, PIN, World, agent
from tests.support.operations import PORTAL as CALLER
from tests.support.servisign_page import NHI_PATH_ID, Page, Text

DOCUMENT = "同意書".encode()


class Meanwhile(ScriptedInteraction):
    """A person who enters the PIN after something else has happened."""

    def __init__(self) -> None:
        super().__init__(pins=[PIN] * 20)
        self.happens: Callable[[], None] = lambda: None

    async def ask(self, question: Question[Any]) -> Any:
        if isinstance(question, PinQuestion):
            await asyncio.to_thread(self.happens)
        return await super().ask(question)


@asynccontextmanager
async def desk(folder: Path, card: RenewableCard, person: Meanwhile | None = None) -> AsyncIterator[World]:
    async with agent(folder, "", interaction=person or Meanwhile(), answered=(CALLER,)) as world:
        world.reader.insert(card)
        yield world


def ends(certificate: bytes) -> Any:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


async def on_card(world: World, index: int = 1) -> bytes:
    return (await world.operations.certificate(CALLER, index)).der


# ---------------------------------------------------------------- a session that keeps its PIN


async def test_a_kept_session_signs_with_the_new_key_and_shows_the_new_certificate(tmp_path: Path) -> None:
    card = RenewableCard()
    async with desk(tmp_path, card) as world:
        kept = await world.operations.keep_pin(CALLER, Pin(PIN))
        before = await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)
        card.renew()
        after = await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)
        verify(after.certificate, DOCUMENT, after.signature, Hash.SHA_256)
        assert ends(after.certificate) > ends(before.certificate)
        assert after.certificate == await on_card(world)
        rows = [row.certificate for row in world.audit() if row.verb == "sign"]
        assert rows[-1] == f"{x509.load_der_x509_certificate(after.certificate).serial_number:X}"
        assert rows[-1] != rows[-2]


async def test_a_kept_session_decrypts_with_the_new_key(tmp_path: Path) -> None:
    card = RenewableCard()
    async with desk(tmp_path, card) as world:
        kept = await world.operations.keep_pin(CALLER, Pin(PIN))
        cipher = await world.operations.encrypt(CALLER, DOCUMENT)
        assert await world.operations.decrypt(CALLER, cipher, kept=kept) == DOCUMENT
        card.renew()
        cipher = await world.operations.encrypt(CALLER, DOCUMENT)
        assert await world.operations.decrypt(CALLER, cipher, kept=kept) == DOCUMENT


async def test_a_kept_session_puts_the_new_certificate_into_a_signed_document(tmp_path: Path) -> None:
    card = RenewableCard()
    async with desk(tmp_path, card) as world:
        kept = await world.operations.keep_pin(CALLER, Pin(PIN))
        await world.operations.sign_document(CALLER, JwsForm(), DOCUMENT, kept=kept)
        card.renew()
        done = await world.operations.sign_document(CALLER, JwsForm(), DOCUMENT, kept=kept)
        assert done.certificate == await on_card(world)


async def test_an_expired_certificate_is_refused_until_it_is_renewed(tmp_path: Path) -> None:
    card = RenewableCard(days_left=-1)
    async with desk(tmp_path, card) as world:
        kept = await world.operations.keep_pin(CALLER, Pin(PIN))
        with pytest.raises(Exception) as caught:
            await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert error_id(caught.value) == "certificate.expired"
        card.renew()
        await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)


@pytest.mark.parametrize("written", ["files", "keys"])
async def test_in_the_middle_of_a_renewal_nothing_is_handed_out(tmp_path: Path, written: str) -> None:
    card = RenewableCard()
    async with desk(tmp_path, card) as world:
        kept = await world.operations.keep_pin(CALLER, Pin(PIN))
        await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)
        card.renew(files=written == "files", keys=written == "keys")
        with pytest.raises(Exception) as caught:
            await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert error_id(caught.value) == "signature.invalid"
        assert card.pin_tries == 3 and not kept.wiped
        card.renew()
        await world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT, kept=kept)


# ---------------------------------------------------------------- while the person is asked


async def test_what_was_looked_at_before_the_question_is_not_used_after_a_renewal(tmp_path: Path) -> None:
    card, person = RenewableCard(), Meanwhile()
    async with desk(tmp_path, card, person) as world:
        old = await world.operations.encrypt(CALLER, DOCUMENT)
        works: tuple[Callable[[], Any], ...] = (
            lambda: world.operations.sign(CALLER, Hash.SHA_256, document=DOCUMENT),
            lambda: world.operations.sign_document(CALLER, JwsForm(), DOCUMENT),
            lambda: world.operations.authenticate(CALLER, NONCE, origin=str(CALLER.origin)),
            lambda: world.operations.decrypt(CALLER, old),
        )
        for work in works:
            fresh = RenewableCard()
            world.reader.remove()
            world.reader.insert(fresh)
            person.happens = fresh.renew
            with pytest.raises(CertificateRenewedError):
                await work()
            assert fresh.pin_tries == 3
            assert world.audit()[-1].result == "certificate.renewed"
            person.happens = lambda: None
            if work is not works[-1]:
                await work()


async def test_a_card_is_shown_to_choose_from_as_it_is_now(tmp_path: Path) -> None:
    person = ScriptedInteraction(chosen=lambda cards: cards[0])
    async with agent(tmp_path, "hpc", "", interaction=person, answered=(CALLER,)) as world:
        card = RenewableCard()
        world.readers[1].insert(card)
        for pick in (0, 1):
            if pick:
                card.renew()
                # The card chosen before goes: the person is asked again.
                world.readers[0].remove()
                world.readers[0].insert(world.card)
            await world.operations.card(CALLER)
        shown = [
            each.ends
            for question in person.questions
            if isinstance(question, CardChoiceQuestion)
            for each in question.cards
            if each.serial == "000000335373"
        ]
        first, second = shown
        assert first is not None and second is not None and first < second


# ---------------------------------------------------------------- a native connection


async def test_an_open_native_connection_logs_in_with_the_new_certificate(tmp_path: Path) -> None:
    card = RenewableCard()
    async with opened(tmp_path, card) as running, running.page() as page:
        before = (await page.call("certificates.list"))["certificates"]
        await page.call("authenticate", nonce=NONCE)
        card.renew()
        token = await page.call("authenticate", nonce=NONCE)
        after = (await page.call("certificates.list"))["certificates"]
        assert token["unverifiedCertificate"] in [each["certificate"] for each in after]
        assert token["unverifiedCertificate"] not in [each["certificate"] for each in before]


@asynccontextmanager
async def opened(folder: Path, card: RenewableCard) -> AsyncIterator[RunningAgent]:
    async with running_agent(folder, [""]) as running:
        running.readers[0].insert(card)
        yield running


# ---------------------------------------------------------------- an open ServiSign module


@asynccontextmanager
async def servisign(folder: Path, card: RenewableCard, **more: str) -> AsyncIterator[Page]:
    async with desk(folder, card) as world:
        dialect = ServiSignDialect(world.operations, Config())
        try:
            page = Page(dialect.handle, str(CALLER.origin), **more)
            await page.echo()
            yield page
        finally:
            dialect.close()


def der_of(text: str) -> bytes:
    return base64.b64decode(text)


async def test_an_open_module_notices_that_its_card_was_renewed(tmp_path: Path) -> None:
    card = RenewableCard()
    document = Text(base64.b64encode(DOCUMENT).decode())
    async with servisign(tmp_path, card) as page:
        module = {
            "ulModuleHandle": await page.good("ATL_InitModule", moduleName=Text("x"), initArgs=Text(""))
        }
        session = await page.good("ATL_InitSession", **module, iFlags=6, userPin=Text(PIN))
        both = {**module, "ulSessionHandle": session}
        private = {"iKeyType": 0, "key_id": Text(""), "param": Text("1")}

        async def certificate() -> bytes:
            return der_of(await page.good("ATL_GetCertificateFromGPKICard", **both, iCertId=1))

        async def sign(key: str) -> tuple[str, str]:
            given = {"ulAlgorithm": 0x40, "b64Data": document, "ulPvKeyObject": key}
            return await page.failing("ATL_MakeSignature", **both, **given)

        old, info = await certificate(), await page.good("ATL_GetHCACardInfo", **module)
        key = await page.good("ATL_GetKeyObjectHandle", **both, **private)
        verify(old, DOCUMENT, der_of((await sign(key))[0]), Hash.SHA_256)

        card.renew()
        # Neither a signature for the handle of the old key, nor a handle beside the old certificate.
        assert (await sign(key))[1] == "9018"
        assert (await page.failing("ATL_GetKeyObjectHandle", **both, **private))[1] == "9018"
        # The page starts again, in the same session.
        assert await page.good("ATL_GetHCACardInfo", **module) != info
        new = await certificate()
        assert ends(new) > ends(old)
        key = await page.good("ATL_GetKeyObjectHandle", **both, **private)
        verify(new, DOCUMENT, der_of((await sign(key))[0]), Hash.SHA_256)
        assert card.pin_tries == 3


async def test_a_page_for_the_nhi_reader_gets_no_signature_beside_the_old_certificate(tmp_path: Path) -> None:
    card = RenewableCard()
    document = Text(base64.b64encode(DOCUMENT).decode())
    async with servisign(tmp_path, card, path_id=NHI_PATH_ID) as page:
        await page.good("HCA_OpenCOMPort", comport=1)
        await page.good("HCA_VerifyPIN", pincode=Text(PIN), flag=0)

        async def certificate() -> bytes:
            return der_of(await page.good("HCA_GetCert", flag=1))

        old, signing = await certificate(), {"data": document, "hashflag": 2, "flag": 0}
        await page.good("HCA_SignMessageEx2", **signing)
        card.renew()
        assert (await page.failing("HCA_SignMessageEx2", **signing))[1] == "9018"
        new = await certificate()
        assert new != old
        signature = der_of(await page.good("HCA_SignMessageEx2", **signing))
        verify(new, DOCUMENT, signature, Hash.SHA_256)
