"""The recorded pages against a running agent, over TLS connections that stay open, with each kind of card."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from datetime import datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from agent.interaction import PinQuestion
from tests.support.servisign_page import NHI_PATH_ID, Page
from tests.support.servisign_traces import (
    MESSAGE,
    SHA1_RSA,
    SHA256_RSA,
    Shown,
    certificate_in,
    check_signature,
    document_system,
    document_system_with_callbacks,
    e_service_login,
    environment_check,
    environment_check_nhi,
    national_login,
)
from tests.support.servisign_wire import ORIGIN, PIN, Place, Wire

CARDS = {
    "hpc": ("1", "2", "000000335361", 6),
    "hpc-v1": ("1", "1", "000000335365", 6),
    "hop": ("0", "2", "000000335401", 8),
    "hop-v1": ("0", "1", "000000335403", 8),
}
PERSON = ["測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A"]
INSTITUTION = [
    "9900000001", "測試機構", "01", "診所", "西醫診所", "臺北市測試區模擬路１號", "02-00000000", "測試負責人",
]  # fmt: skip
CONNECTIONS = 4

pytestmark = [
    pytest.mark.parametrize("generation", [2020, 2022]),
    pytest.mark.parametrize("kind", CARDS),
]


class Browser:
    """A few connections that stay open, as a browser keeps them for one host; a request takes a free one."""

    def __init__(self, place: Place) -> None:
        authority = str(place.agent.daemon.identity.ca)
        self._free: queue.SimpleQueue[Wire] = queue.SimpleQueue()
        self._wires = [Wire(place.agent.daemon.tls_port, authority) for _ in range(CONNECTIONS)]
        for wire in self._wires:
            self._free.put(wire)

    async def handle(self, origin: str, body: bytes) -> bytes:
        return await asyncio.to_thread(self._post, origin, body)

    def _post(self, origin: str, body: bytes) -> bytes:
        wire = self._free.get(timeout=120)
        try:
            return wire.post(origin, body)
        finally:
            self._free.put(wire)

    def close(self) -> None:
        for wire in self._wires:
            wire.close()


@pytest.fixture(scope="module")
def browser(place: Place) -> Iterator[Browser]:
    browser = Browser(place)
    yield browser
    browser.close()


@pytest.fixture
def page(place: Place, browser: Browser, kind: str, generation: int) -> Page:
    place.put(kind)
    place.person.questions.clear()
    return Page(browser.handle, ORIGIN, generation=generation)


def no_window_asked_for_a_pin(place: Place) -> bool:
    return not any(isinstance(question, PinQuestion) for question in place.person.questions)


def as_c_writes(moment: datetime) -> str:
    """As ctime() does, in the local time of these tests."""
    local = moment.astimezone()
    return f"{local:%a %b} {local.day:2d} {local:%H:%M:%S %Y}\n"


def is_right(shown: Shown, kind: str) -> None:
    card_type, version, serial, items = CARDS[kind]
    assert (shown.card_type, shown.version, shown.serial) == (card_type, version, serial)
    assert shown.basic == (PERSON if items == 6 else INSTITUTION)
    # The page leaves encryption out for personnel cards of version 1, which have no key for it.
    assert shown.decrypted == (None if kind == "hpc-v1" else MESSAGE)


async def test_the_environment_check_with_an_ordinary_reader(place, page, kind):
    shown = await environment_check(page, PIN)
    is_right(shown, kind)
    assert [len(item) for item in shown.info] == [1, 7, 14, 1, 1]
    assert shown.info[3:] == ["1", "0"]
    assert no_window_asked_for_a_pin(place)


async def test_the_environment_check_for_the_nhi_reader(place, browser, page, kind, generation):
    nhi = Page(browser.handle, ORIGIN, generation=generation, path_id=NHI_PATH_ID)
    shown = await environment_check_nhi(nhi, PIN)
    is_right(shown, kind)
    assert [len(item) for item in shown.info] == [7, 7, 7]
    assert no_window_asked_for_a_pin(place)


async def test_the_login(place, browser, page, kind, generation):
    second = Page(browser.handle, ORIGIN, generation=generation)
    posted = await e_service_login((page, second), PIN)
    certificate = certificate_in(posted.certificate)
    assert int(posted.serial, 16) == certificate.serial_number
    assert posted.basic == (PERSON if CARDS[kind][3] == 6 else INSTITUTION)
    assert posted.common_name == ("測試人員卡" if posted.card_type == "1" else "測試機構")
    assert posted.email == ""
    assert posted.not_before == as_c_writes(certificate.not_valid_before_utc)
    assert posted.not_after == as_c_writes(certificate.not_valid_after_utc)
    assert place.card.pin_tries == 3
    assert no_window_asked_for_a_pin(place)


async def test_the_national_login_with_its_little_endian_signature(page, kind):
    certificate, reversed_again = await national_login(page, PIN)
    certificate.public_key().verify(reversed_again, MESSAGE, padding.PKCS1v15(), hashes.SHA1())


@pytest.mark.parametrize(("number", "algorithm"), [(SHA1_RSA, hashes.SHA1()), (SHA256_RSA, hashes.SHA256())])
async def test_the_document_system(page, kind, number, algorithm):
    certificate, signature = await document_system(page, PIN, number)
    check_signature(certificate, signature, MESSAGE, algorithm)


@pytest.mark.parametrize("without_hash", [False, True])
@pytest.mark.parametrize(("number", "algorithm"), [(SHA1_RSA, hashes.SHA1()), (SHA256_RSA, hashes.SHA256())])
async def test_the_document_system_with_callbacks(place, page, kind, number, algorithm, without_hash):
    certificate, signed = await document_system_with_callbacks(page, PIN, number, without_hash=without_hash)
    assert len(signed) == 4
    for each in signed:
        check_signature(certificate, each.signature, each.document, algorithm)
    assert no_window_asked_for_a_pin(place)
