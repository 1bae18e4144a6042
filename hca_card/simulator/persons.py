"""The invented people and institutions of the simulated cards, and the records that say who they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from hca_card.big5 import encode
from hca_card.model import Citizen, Institution, Insured, Personnel

DOCTOR: Final = Personnel(
    name="測試人員卡",
    english_name="TEST CARD",
    sex="M",
    birth="0650101",
    id_number="BA00312361",
    category="A",
    category_text="西醫師",
)

CLINIC: Final = Institution(
    code="9900000001",
    name="測試機構",
    card_sequence="01",
    kind="診所",
    type="西醫診所",
    address="臺北市測試區模擬路１號",
    telephone="02-00000000",
    owner="測試負責人",
)

INSURED: Final = Insured(name="測試民眾", id_number="A100000001", birth="0800229", sex="F")

CITIZEN: Final = Citizen(name="測試國民")
CITIZEN_ID_ENDING: Final = "0001"

REVOKED_CARD: Final = "000000335366"


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a card and its certificates are valid; it is issued on the first day."""

    first: date
    last: date

    @property
    def first_roc(self) -> str:
        """The first day as 7-digit ROC date."""
        return _roc(self.first)

    @property
    def last_roc(self) -> str:
        """The last day as 7-digit ROC date."""
        return _roc(self.last)


def _roc(day: date) -> str:
    return f"{day.year - 1911:03d}{day:%m%d}"


def current_validity(today: date) -> Validity:
    """1120628 to 1220628, or as many times five years later as it takes to leave a year of it."""
    start = 2023
    while date(start + 9, 6, 28) <= today:
        start += 5
    return Validity(date(start, 6, 28), date(start + 10, 6, 28))


def past_validity(today: date) -> Validity:
    """Three years that ended before today."""
    current = current_validity(today).first.year
    return Validity(date(current - 9, 6, 28), date(current - 6, 6, 28))


def personnel_record(person: Personnel, version: str) -> bytes:
    """Return basic data of a personnel card: 159 bytes in version 2, 62 bytes in version 1, Big5."""
    chinese, english, id_number = (40, 100, 10) if version == "2" else (12, 30, 11)
    return _record(
        person, name=chinese, english_name=english, sex=1, birth=7, id_number=id_number, category=1
    )


def institution_record(institution: Institution) -> bytes:
    """Return basic data of an institution card: eight fields of fixed width, 292 bytes, Big5."""
    return _record(
        institution, code=10, name=60, card_sequence=2, kind=20, type=20, address=120, telephone=20, owner=40
    )


def card_info_record(validity: Validity, *, activated: bool, terminated: bool) -> bytes:
    """Card information, 24 bytes: may generate keys; issued, valid from, valid to; opened, terminated."""
    flags = f"{activated:d}{terminated:d}"
    return f"1{validity.first_roc}{validity.first_roc}{validity.last_roc}{flags}".encode("ascii")


def insured_record(insured: Insured, number: str, issued: str) -> bytes:
    """Return basic data of an NHI card: 57 bytes, Big5."""
    return encode(number, 12) + _record(insured, name=20, id_number=10, birth=7, sex=1) + encode(issued, 7)


def _record(holder: Personnel | Institution | Insured, **widths: int) -> bytes:
    """Return the fields of the holder that are named, each as wide as said."""
    return b"".join(encode(getattr(holder, name), width) for name, width in widths.items())
