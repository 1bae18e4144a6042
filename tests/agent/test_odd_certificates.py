"""A card with oddly written certificates: every door that signs, verifies, logs in, decrypts or tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from agent.config import CertificateSettings, Config, OriginSettings
from agent.dialects.hipki import HipkiDialect
from agent.dialects.hipki.dialect import HipkiVerb
from agent.selftest.probes.card import HCA_ROWS
from agent.selftest.probes.certificates import PROBES
from agent.selftest.schema import ok
from hca_card.certificate import parse
from hca_card.certificate_oddities import CertificateOddity, oddities
from hca_card.errors import CardDataError
from hca_card.simulator import kinds
from hca_card.simulator.cards import HcaBlueprint
from hca_card.simulator.der import oid, sequence, tlv
from hca_card.simulator.files import ElementaryFile
from signing.cms.build import CmsForm
from signing.formats import Form
from signing.formats.cades import Cades
from signing.formats.emr import EmrForm
from signing.formats.pades import Pades
from signing.formats.xml_signature import XmlForm
from signing.hashes import Hash
from signing.login import validate_token
from tests.support import servisign_traces
from tests.support.hipki import package
from tests.support.operations import PIN, PORTAL, agent
from tests.support.pdfs import pdf
from tests.support.selftest import context_of, not_passed, rows_of, selftest_world
from tests.support.servisign_page import Page
from tests.support.servisign_real import workplace
from tests.support.servisign_traces import environment_check
from tests.support.software_card import rewritten, root

pytestmark = pytest.mark.slow

ORIGIN = str(PORTAL.origin)
NONCE = base64.b64encode(bytes(range(40))).decode()
UTF8 = (0x0C, "測試人員卡".encode())
ODD_TIMES = sequence(tlv(0x17, b"2001010000Z"), tlv(0x17, b"400101080000+0800"))
PLAIN_TIMES = sequence(tlv(0x17, b"200101000000Z"), tlv(0x17, b"400101000000Z"))
O = CertificateOddity  # noqa: E741


def name(kind: int, octets: bytes) -> bytes:
    """An issuer and holder with a common name of that string type."""
    return sequence(
        tlv(0x31, sequence(oid("2.5.4.6"), tlv(0x13, b"TW"))),
        tlv(0x31, sequence(oid("2.5.4.10"), tlv(0x0C, b"HCA-AGENT SIMULATOR"))),
        tlv(0x31, sequence(oid("2.5.4.3"), tlv(kind, octets))),
    )


WRITTEN = {
    "PrintableString": (name(0x13, b"A_B@C & D*"), b"", O.PRINTABLE),
    "BMPString": (name(0x1E, "醫師".encode("utf-16-be") + b"\x00"), b"", O.STRING),
    "Latin-1": (name(0x14, "Müller".encode("latin-1")), b"", O.TELETEX),
    "Big5": (name(0x14, "衛生福利部".encode("cp950")), b"", O.TELETEX),
    "no text": (name(0x04, b"octets"), b"", O.NO_STRING),
    "UTCTime": (name(*UTF8), ODD_TIMES, O.TIME),
}


REFUSED = ("PrintableString", "BMPString", "UTCTime")
"""By the strict parser as a whole; of the others it refuses the name."""


def odd(names: bytes, times: bytes) -> Callable[[ElementaryFile], ElementaryFile]:
    """Write every certificate of a card so, signed anew by one root that is written so too."""

    def rewrite(file: ElementaryFile) -> ElementaryFile:
        try:
            certificate = parse(file.content)
        except CardDataError:
            return file
        der = root() if certificate.authority else file.content
        return replace(file, content=rewritten(der, "ca", names=names, times=times))

    return rewrite


@pytest.fixture(params=WRITTEN)
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CertificateOddity:
    """Make `hpc` such a card; what is odd about it."""
    names, times, oddity = WRITTEN[request.param]
    usual = kinds._TABLE["hpc"]
    assert isinstance(usual.blueprint, HcaBlueprint)
    blueprint = replace(usual.blueprint, rewrite=odd(names, times))
    monkeypatch.setitem(kinds._TABLE, "hpc", replace(usual, blueprint=blueprint))  # type: ignore[index]
    return oddity


FORMS: tuple[tuple[Form, bytes], ...] = (
    (Cades(), b"document"),
    (Pades(), pdf()),
    (XmlForm(), b"<record/>"),
    (EmrForm(), b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
)


async def test_such_a_card_signs_in_every_format_logs_in_and_decrypts(
    tmp_path: Path, written: CertificateOddity
) -> None:
    document = "同意書".encode()
    async with agent(tmp_path, "hpc") as world:
        operations = world.operations
        certificates = {each.index: each.der for each in await operations.certificates(PORTAL)}
        assert written in oddities(certificates[1])
        done = await operations.sign(PORTAL, Hash.SHA_256, document=document)
        await operations.verify(document, done.signature, done.certificate, done.hash)
        made = await operations.sign(PORTAL, Hash.SHA_256, document=document, cms=CmsForm())
        assert made.certificate == certificates[1]
        for form, content in FORMS:
            await operations.sign_document(PORTAL, form, content)
        token = await operations.authenticate(PORTAL, NONCE, origin=ORIGIN)
        validate_token(token, origin=ORIGIN, nonce=NONCE, trusted_roots=[certificates[4]])
        cipher = await operations.encrypt(PORTAL, b"secret", certificate=certificates[2])
        assert await operations.decrypt(PORTAL, cipher) == b"secret"
        assert world.tries == 3


async def test_such_a_card_passes_the_self_test_which_says_what_is_odd(
    tmp_path: Path, written: CertificateOddity
) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        rows = await rows_of(context_of(world), [*HCA_ROWS, *PROBES])
    assert ok(rows)
    assert set(not_passed(rows).values()) <= {"skip", "skip certificate.status_no_address"}
    told = {row.id: row.detail for row in rows}
    for row in ("certificate.signature", "certificate.encryption"):
        assert "寫法特殊，本程式照常使用" in told[row].zh and "written oddly" in told[row].en


@pytest.mark.parametrize("written", REFUSED, indirect=True)
async def test_such_a_root_can_be_the_administrators(tmp_path: Path, written: CertificateOddity) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        certificates = {each.index: each.der for each in await world.operations.certificates(PORTAL)}
        file = tmp_path / "root.pem"
        body = base64.encodebytes(certificates[4]).decode()
        file.write_text(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
        config = Config(certificates=CertificateSettings(roots=(file,)))
        rows = await rows_of(context_of(world, config=config), [HCA_ROWS[1], *PROBES])
    chain = next(row for row in rows if row.id == "certificate.chain")
    assert chain.status == "pass" and "管理者信任的根憑證" in chain.detail.zh


@pytest.mark.parametrize("written", REFUSED, indirect=True)
async def test_a_page_of_servisign_does_all_its_work_with_such_a_card(
    tmp_path: Path, written: CertificateOddity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readable(text: str) -> x509.Certificate:
        """As OpenSSL would: the same key under a name that `cryptography` takes."""
        der = rewritten(base64.b64decode(text), "ca", names=name(*UTF8), times=PLAIN_TIMES)
        return x509.load_der_x509_certificate(der)

    monkeypatch.setattr(servisign_traces, "certificate_in", readable)
    async with workplace(tmp_path, "hpc") as place:
        shown = await environment_check(Page(place.dialect.handle), PIN)
    assert shown.decrypted is not None


@pytest.mark.parametrize("written", REFUSED, indirect=True)
async def test_a_page_of_hipki_does_all_its_work_with_such_a_card(
    tmp_path: Path, written: CertificateOddity
) -> None:
    config = Config(origins=OriginSettings(allow=frozenset((ORIGIN,))))
    async with agent(tmp_path, "hpc", config=config) as world:
        dialect = HipkiDialect(world.operations, config)
        body = package(
            func="MakeSignature", tbs="出生通報", tbsEncoding="NONE", hashAlgorithm="SHA256", pin=PIN
        )
        signed = json.loads(await dialect.answer(HipkiVerb.SIGN, ORIGIN, body))
        listed = await dialect.answer(HipkiVerb.INFO, ORIGIN, package(func="GetUserCert"), certificates=True)
    assert signed["ret_code"] == 0 and signed["signature"]
    assert json.loads(listed)["ret_code"] == 0
