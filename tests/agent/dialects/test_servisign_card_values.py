"""What the functions say of a card, for every sort of card, against the bytes in its files.

The files are read without the agent and taken apart here; keys and certificates are judged by `cryptography`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from cryptography import x509

from hca_card.simulator.faults import Wrapper
from pcsc.winscard import VirtualCard
from tests.support.servisign_page import NHI_PATH_ID, Page, Text, items
from tests.support.servisign_real import workplace

KINDS = ("hpc", "hop", "hop-secondary", "hpc-v1", "hop-v1", "hpc-not-activated", "hpc-terminated")
# Bytes of each field: name, English name, sex, birth, ID number, profession; code, name, card sequence, kind,
# type, address, telephone, owner; generates keys, issued, valid from, valid to, opened, terminated.
PERSONNEL = {"2": (40, 100, 1, 7, 10, 1), "1": (12, 30, 1, 7, 11, 1)}
INSTITUTION = (10, 60, 2, 20, 20, 120, 20, 40)
INFO = (1, 7, 7, 7, 1, 1)
ISSUED = "1120601"
SELECT = bytes.fromhex("00A404000AF0484341414745 4E540100")

pytestmark = pytest.mark.slow


class IssuedEarlier(Wrapper):
    """A card whose day of issue is not the day it is valid from."""

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        if command[1:3] == b"\xb0\x84" and len(answer) == sum(INFO) + 2:
            return answer[:1] + ISSUED.encode() + answer[8:]
        return answer


@dataclass
class OnCard:
    """A card and the agent's two libraries, open on it."""

    kind: str
    card: VirtualCard
    pcsc: Page
    module: dict[str, str]
    nhi: Page

    @property
    def version(self) -> str:
        return "1" if self.kind.endswith("-v1") else "2"

    @property
    def personnel(self) -> bool:
        return self.kind.startswith("hpc")

    def file(self, short_identifier: int) -> bytes:
        """A file, read without the agent."""
        self.card.transmit(SELECT)
        answer = self.card.transmit(bytes((0x00, 0xB0, 0x80 | short_identifier, 0, 0, 0, 0)))
        assert answer[-2:] == b"\x90\x00"
        return answer[:-2]

    def fields(self, short_identifier: int, sizes: tuple[int, ...]) -> list[str]:
        """The fields of a record, without their padding."""
        record = self.file(short_identifier)
        assert len(record) == sum(sizes)
        edges = pairwise(accumulate(sizes, initial=0))
        return [record[first:end].rstrip(b" \x00").decode("big5") for first, end in edges]

    @property
    def basic(self) -> list[str]:
        return self.fields(0x03, PERSONNEL[self.version] if self.personnel else INSTITUTION)

    @property
    def info(self) -> list[str]:
        return self.fields(0x04, INFO)

    @property
    def certificate(self) -> x509.Certificate:
        """Of the signature key."""
        return x509.load_der_x509_certificate(self.file(0x0B))


@pytest.fixture(params=KINDS)
async def on_card(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OnCard]:
    async with workplace(tmp_path, request.param) as place:
        card = IssuedEarlier(place.card)
        place.reader.remove()
        place.reader.insert(card)
        pcsc, nhi = Page(place.dialect.handle), Page(place.dialect.handle, path_id=NHI_PATH_ID)
        assert [await pcsc.echo(), await nhi.echo()] == ["0", "0"]
        handle = await pcsc.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        assert await nhi.good("HCA_OpenCOMPort", comport=0) == "0"
        yield OnCard(request.param, card, pcsc, {"ulModuleHandle": handle}, nhi)


async def test_basic_data_are_the_fields_of_the_record(on_card: OnCard) -> None:
    for name in ("ATL_GetHCABasicData", "ATL_GetBasicData"):
        assert items(await on_card.pcsc.good(name, **on_card.module)) == on_card.basic
    assert items(await on_card.nhi.good("HCA_GetBasicData")) == on_card.basic
    assert await on_card.nhi.good("HCA_GetBasicDataCount") == str(len(on_card.basic))
    by_index = [
        await on_card.nhi.good("HCA_GetBasicDataByIndex", index=index) for index in range(len(on_card.basic))
    ]
    assert by_index == on_card.basic
    assert await on_card.nhi.failing("HCA_GetBasicDataByIndex", index=len(on_card.basic)) == ("", "5005")


async def test_card_information_is_the_fields_of_the_record(on_card: OnCard) -> None:
    generates, issued, begins, ends, opened, terminated = on_card.info
    assert issued == ISSUED != begins
    assert (opened, terminated) == (
        "0" if on_card.kind == "hpc-not-activated" else "1",
        "1" if on_card.kind == "hpc-terminated" else "0",
    )
    expected = [generates, issued, begins + ends, opened, terminated]
    assert items(await on_card.pcsc.good("ATL_GetHCACardInfo", **on_card.module)) == expected
    assert items(await on_card.pcsc.good("ATL_GetCardInfo")) == expected
    assert items(await on_card.nhi.good("HCA_GetCardInfo")) == [issued, begins, ends]
    assert await on_card.nhi.good("HCA_GetCardInfoCount") == "3"
    by_index = [await on_card.nhi.good("HCA_GetCardInfoByIndex", index=index) for index in range(3)]
    assert by_index == [issued, begins, ends]


async def test_version_and_type_are_those_of_the_card(on_card: OnCard) -> None:
    card_type = "1" if on_card.personnel else "0"
    assert await on_card.pcsc.good("ATL_GetCardHCACardVersion", **on_card.module) == on_card.version
    assert await on_card.nhi.good("HCA_GetCardVersion") == on_card.version
    for name in ("ATL_GetHCACardType", "ATL_GetCardType"):
        assert await on_card.pcsc.good(name, **on_card.module) == card_type
    assert await on_card.nhi.good("HCA_GetCardType") == card_type


async def test_key_length_and_certificate_type_are_those_of_the_certificate(on_card: OnCard) -> None:
    certificate = on_card.certificate
    octets = str(certificate.public_key().key_size // 8)  # type: ignore[union-attr]
    assert await on_card.pcsc.good("ATL_GetHCAKeyLength", **on_card.module) == octets
    assert await on_card.nhi.good("HCA_GetKeySize") == octets
    assert certificate.signature_hash_algorithm is not None
    certificate_type = {"sha1": "1", "sha256": "2"}[certificate.signature_hash_algorithm.name]
    assert await on_card.pcsc.good("ATL_GetHCACertType", **on_card.module) == certificate_type
    assert await on_card.nhi.good("HCA_GetCertType") == certificate_type
    if on_card.version == "1":
        assert (octets, certificate_type) == ("128", "1")
