"""What a card's certificate says, read once, and what cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.errors import AgentError, ErrorId, error_id
from agent.operations import certificate_facts
from agent.operations.certificate_facts import (
    _KNOWN_MAX,
    CertificateFacts,
    facts_about,
    facts_of,
    is_simulated,
    load_libraries,
)
from agent.operations.transaction_jobs import CardSnapshot, CertificatesOnCard
from hca_card.model import CardCertificate, CardKind
from hca_card.recognise import recognise
from tests.support.cards import simulated
from tests.support.script import CardChannel
from tests.support.test_pki import pki

NOW, DAY = datetime.now(UTC), timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(certificate_facts, "_known", {})
    yield


def snapshot(certificate: bytes, reader: str = "Reader 0") -> CardSnapshot:
    return CardSnapshot(
        reader, CardKind.PERSONNEL, "1", 1, b";", None, certificate, frozenset(), False, False, False
    )


def of_simulated_card() -> bytes:
    with CardChannel(simulated("hpc")) as channel:
        return recognise(channel, channel.atr).certificate(1).der


@pytest.mark.parametrize(
    ("period", "result"),
    [
        (None, ErrorId.CERTIFICATE_MALFORMED),
        ((NOW - 2 * DAY, NOW - DAY), ErrorId.CERTIFICATE_EXPIRED),
        ((NOW + DAY, NOW + 2 * DAY), ErrorId.CERTIFICATE_NOT_YET_VALID),
    ],
)
def test_a_certificate_that_is_not_valid_now_is_refused(
    period: tuple[datetime, datetime] | None, result: ErrorId
) -> None:
    with pytest.raises(AgentError) as caught:
        CertificateFacts("", "", False, period).require_in_time()
    assert error_id(caught.value) == result


def test_a_certificate_in_its_time_is_taken_and_tells_its_end() -> None:
    facts = CertificateFacts("測試", "0A", False, (NOW - DAY, NOW + DAY))
    facts.require_in_time()
    assert facts.ends == NOW + DAY
    assert CertificateFacts("", "", False, None).ends is None
    shown = facts.shown(snapshot(b""))
    assert (shown.reader, shown.holder, shown.ends) == ("Reader 0", "測試", NOW + DAY)


async def test_a_certificate_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    der = of_simulated_card()
    read = await facts_about(snapshot(der))
    assert read.holder == "測試人員卡" and read.simulated and read.period is not None
    monkeypatch.setattr("hca_card.certificate.describe", lambda _der: pytest.fail("it is read again"))
    assert await facts_about(snapshot(der)) is read
    assert facts_of(snapshot(der)) is read


@pytest.mark.parametrize("certificate", [b"", b"no certificate"])
def test_a_card_without_one_that_can_be_read_has_no_holder_and_is_what_its_reader_is(
    certificate: bytes,
) -> None:
    assert facts_of(snapshot(certificate)) == CertificateFacts("", "", False, None)
    assert facts_of(snapshot(certificate, "HCA-AGENT Simulator 00")).simulated


async def test_whether_a_card_is_simulated_its_first_readable_certificate_says() -> None:
    def card(*ders: bytes, reader: str = "HCA-AGENT Simulator 00") -> CertificatesOnCard:
        return CertificatesOnCard(reader, "1", tuple(CardCertificate(1, None, der) for der in ders))

    real = pki().certificate("rsa")
    assert await is_simulated(card(b"none", of_simulated_card(), real, reader="Reader 0"))
    assert not await is_simulated(card(real, of_simulated_card()))
    assert await is_simulated(card())
    assert not await is_simulated(card(b"none", reader="Reader 0"))


def test_what_is_known_of_certificates_has_an_end() -> None:
    der = of_simulated_card()
    certificate_facts._known.update(
        {bytes((number,)): CertificateFacts("", "", False, None) for number in range(_KNOWN_MAX)}
    )
    facts_of(snapshot(der))
    assert list(certificate_facts._known) == [der]


async def test_what_reads_certificates_is_loaded_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(certificate_facts, "import_module", loaded.append)
    await load_libraries()
    once = len(loaded)
    monkeypatch.delitem(sys.modules, "asn1crypto.tsp", raising=False)
    await load_libraries()
    assert sorted(loaded[once:]) == sorted(certificate_facts._LIBRARIES)
