"""`heartbeat` while a person is being asked: for the same request of the same session, and for no other."""

from __future__ import annotations

import asyncio
import base64
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from agent.config import Config
from agent.dialects.servisign import ServiSignDialect, SessionLimits
from tests.support.operations import until
from tests.support.servisign_page import Page, Text, until_waiting
from tests.support.software_card import signature_certificate
from tests.support.waiting import LIMIT

SERIAL = "000000335361"
OTHER = "https://euservice.mohw.gov.tw"


@pytest.fixture
async def dialect(operations):
    dialect = ServiSignDialect(
        operations, Config(), limits=SessionLimits(beat_s=0.03, patience_s=LIMIT, waiting=3)
    )
    yield dialect
    dialect.close()


@pytest.fixture
async def module(page, operations):
    handle = await page.call("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    operations.hold = asyncio.Event()
    operations.asked.clear()
    return handle


def serial(page: Page, module: str, **marks: object):
    return page.call("ATL_GetHCACardSN", ulModuleHandle=module, **({"KeepAlive": True} | marks))


async def answered(ask) -> str:
    """Ask as an adapter does, until it is no beat: a machine that is busy takes longer than one."""
    while (told := await ask()) == "heartbeat":
        pass
    return told


async def test_the_same_request_beats_until_it_is_answered_and_is_done_once(page, operations, module):
    assert [await serial(page, module) for _ in range(3)] == ["heartbeat"] * 3
    operations.hold.set()
    assert await answered(lambda: serial(page, module)) == SERIAL
    assert operations.asked == ["examine"]
    assert await page.error() == "0"


@pytest.mark.parametrize("mark", [True, "true", 1, "1"])
async def test_the_mark_is_true_in_whatever_way_a_page_writes_it(page, module, mark):
    assert await serial(page, module, KeepAlive=mark) == "heartbeat"


@pytest.mark.parametrize("mark", [False, None, "", 0])
async def test_without_the_mark_the_request_waits(page, operations, module, mark):
    waiting = asyncio.ensure_future(serial(page, module, KeepAlive=mark))
    done, _ = await asyncio.wait((waiting,), timeout=0.1)  # some beats long
    assert not done
    operations.hold.set()
    assert await waiting == SERIAL


async def test_two_documents_signed_at_once_are_told_each_its_own_signature(page, operations):
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text("123456"))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    operations.hold = asyncio.Event()

    def sign(document: bytes):
        text = Text(base64.b64encode(document).decode())
        signing = {"ulAlgorithm": 64, "b64Data": text, "ulPvKeyObject": key, "KeepAlive": True}
        return page.call("ATL_MakeSignature", **opened, **signing)

    documents = b"document A", b"document B"
    assert [await sign(each) for each in documents] == ["heartbeat"] * 2
    operations.hold.set()
    public = x509.load_der_x509_certificate(signature_certificate()).public_key()
    for document in documents:
        signature = base64.b64decode(await answered(partial(sign, document)))
        public.verify(signature, document, padding.PKCS1v15(), hashes.SHA256())


async def test_an_answer_that_is_quick_is_no_heartbeat(page, operations, module):
    operations.hold.set()
    assert await answered(lambda: serial(page, module)) == SERIAL


async def test_a_failure_is_told_to_the_request_that_fetches_it(page, operations, module):
    operations.errors["examine"] = RuntimeError()
    assert await serial(page, module) == "heartbeat"
    operations.hold.set()
    assert await answered(lambda: serial(page, module)) == ""
    assert await page.error() == "9999"


async def test_another_request_of_the_session_waits_for_its_turn_and_joins_nothing(page, operations, module):
    assert await serial(page, module) == "heartbeat"
    assert await page.call("ATL_GetHCACardType", ulModuleHandle=module, KeepAlive=True) == "heartbeat"
    operations.hold.set()
    assert await answered(lambda: serial(page, module)) == SERIAL
    kind = partial(page.call, "ATL_GetHCACardType", ulModuleHandle=module, KeepAlive=True)
    assert await answered(kind) == "1"


async def test_the_same_request_of_another_origin_or_session_joins_nothing(dialect, page, operations, module):
    assert await serial(page, module) == "heartbeat"
    thief, second = Page(dialect.handle, OTHER), Page(dialect.handle)
    thief.session_id = page.session_id
    await second.echo()
    assert await serial(thief, module) == "61012"
    assert await answered(lambda: serial(second, module)) == ""
    operations.hold.set()
    assert await answered(lambda: serial(page, module)) == SERIAL


async def test_a_page_that_never_comes_back_ends_its_call(dialect, page, operations, module):
    (session,) = dialect._sessions._sessions.values()
    session.heartbeats._patience_s = 0.2
    assert await serial(page, module) == "heartbeat"
    await until_waiting(dialect, 0)
    operations.hold.set()
    session.heartbeats._patience_s = LIMIT
    assert await page.error() == "0"  # the turn is free
    assert await serial(page, module) == SERIAL
    assert operations.asked == ["examine", "examine"]


async def test_a_page_that_goes_away_while_it_waits_ends_its_call_at_once(dialect, page, operations, module):
    waiting = asyncio.ensure_future(serial(page, module))
    await until_waiting(dialect, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await until_waiting(dialect, 0)
    assert await page.error() == "0"


async def test_a_release_ends_what_beats_and_its_session_is_unknown(dialect, page, operations, module):
    assert await serial(page, module) == "heartbeat"
    (session,) = dialect._sessions._sessions.values()
    session.heartbeats._beat_s = 30.0  # the release comes before the next beat, however busy the machine is
    waiting = asyncio.ensure_future(serial(page, module))
    await until(lambda: any(running.waiting for running in session.heartbeats._running.values()))
    assert await page.call("ServiSignRelease") == "0"
    assert await waiting == "61012"
    assert await serial(page, module) == "61012"


async def test_a_pin_is_kept_nowhere_while_its_request_beats(dialect, page, operations, module):
    opening = {"ulModuleHandle": module, "iFlags": 6, "userPin": Text("123456"), "KeepAlive": True}
    assert await page.call("ATL_InitSession", **opening) == "heartbeat"
    assert await page.call("ATL_InitSession", **opening) == "heartbeat"
    operations.hold.set()
    assert await answered(partial(page.call, "ATL_InitSession", **opening)) == "2"
    assert operations.verifies == 1
    assert all(given.wiped for given in operations.given)
