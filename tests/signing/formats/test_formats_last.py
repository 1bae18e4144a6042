"""Years later: the network gone, the signer's certificate expired, and what was made to last verifies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from signing.formats import Form, Level
from signing.formats.cades import Cades, Place
from signing.formats.emr import EmrForm
from signing.formats.fhir import FhirForm
from signing.formats.pades import Pades
from signing.formats.validation_data import gather
from signing.formats.xml_signature import Packaging, XmlForm
from signing.verification.findings import Finding
from signing.verification.judge import Trust, asked_about, judge
from signing.verification.reading import read
from signing.verification.report import Verdict
from tests.support.medical_records import RECORD
from tests.support.pdfs import pdf
from tests.support.test_pki import DAY, NOW, SIGNERS, pki
from tests.support.xml_signatures import signed

YEARS_LATER = NOW + 800 * DAY
"""Every signer's certificate has expired, the root and the authorities of time stamps have not."""
TEXT = "出院病歷摘要".encode()
XML = "<病歷><姓名>王測試</姓名></病歷>".encode()
RESOURCE = b'{"resourceType": "Bundle", "id": "emr-1", "type": "document"}'


@dataclass(frozen=True)
class Lasting:
    """A form at a level, over a document; `beside`: the signature does not hold it."""

    form: Form
    document: Callable[[], bytes]
    beside: bool = False
    level: Level = Level.B_LT


def _text() -> bytes:
    return TEXT


def _xml() -> bytes:
    return XML


def _by_an_institution() -> bytes:
    """A package that lasts already when the person signs over it."""
    first = signed(EmrForm(), RECORD, "institution")
    return asyncio.run(EmrForm().augment(first, Level.B_LT, pki().evidence()))


FORMS: dict[str, Lasting] = {
    "CAdES": Lasting(Cades(detached=False), _text),
    "CAdES detached": Lasting(Cades(), _text, beside=True),
    "CAdES, a second signature": Lasting(
        Cades(place=Place.BESIDE), lambda: signed(Cades(detached=False), TEXT, "institution")
    ),
    "CAdES, a countersignature": Lasting(
        Cades(place=Place.OVER), lambda: signed(Cades(detached=False), TEXT, "institution")
    ),
    **{
        f"XAdES {each.value}": Lasting(
            XmlForm(packaging=each, name="a" if each is Packaging.DETACHED else ""),
            _xml,
            beside=each is Packaging.DETACHED,
        )
        for each in Packaging
    },
    "EMR exchange package": Lasting(EmrForm(reason="確認"), lambda: RECORD),
    "EMR, institution and person": Lasting(EmrForm(reason="確認"), _by_an_institution),
    "FHIR Provenance": Lasting(FhirForm(xml=True), lambda: RESOURCE, beside=True),
    "PAdES": Lasting(Pades(), lambda: pdf("page")),
    "PAdES archived": Lasting(Pades(), lambda: pdf("page"), level=Level.B_LTA),
}


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("name", FORMS)
def test_it_is_valid_with_nobody_to_ask_after_the_certificate_has_expired(
    name: str, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = FORMS[name]
    plain = signed(lasting.form, lasting.document(), label)
    made = asyncio.run(lasting.form.augment(plain, lasting.level, pki().evidence()))

    def gone(*_: object, **__: object) -> None:
        raise AssertionError("the network is gone")

    monkeypatch.setattr(socket.socket, "connect", gone)
    monkeypatch.setattr(socket, "getaddrinfo", gone)
    trust = Trust(roots=(pki().root,), now=YEARS_LATER)
    document = lasting.document()
    found = read(document, made) if lasting.beside else read(made)
    assert asked_about(found, trust) == ()
    report = judge(found, document, trust)
    assert report.verdict is Verdict.VALID, report
    assert {each.level for each in report.signatures} == {lasting.level.value}
    basic = judge(read(document, plain) if lasting.beside else read(plain), document, trust)
    assert basic.verdict is Verdict.UNDECIDED
    assert Finding.CERTIFICATE_EXPIRED in {each.finding for one in basic.signatures for each in one.remarks}


async def test_nobody_is_asked_about_a_root_and_about_each_below_it_once() -> None:
    class SelfIssued:
        """The chain of a certificate that issued itself."""

        def __init__(self) -> None:
            self.real = pki().evidence()
            self.timestamp, self.revocation = self.real.timestamp, self.real.revocation

        async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
            return (certificate,)

    alone = SelfIssued()
    found = await gather(pki().root, alone)
    assert (found.certificates, found.ocsp, found.crls, alone.real.asked) == ((pki().root,), (), (), [])
    evidence = pki().evidence()
    found = await gather(pki().certificate("rsa"), evidence)
    assert (found.certificates, len(found.ocsp)) == ((pki().ca, pki().root), 2)
    assert evidence.asked == ["chain", "revocation", "revocation"]
