"""Whom the imitated sites know: invented people, accounts and passwords, all of them shown on the pages."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.demo.simulated_cards import NURSE, NURSE_CARD


class ImitatedSite(StrEnum):
    """The sites that the demo portal imitates."""

    EUSERVICE = "euservice"
    HCD = "hcd"
    VPN = "vpn"


class LoginRole(StrEnum):
    """As whom a card lets somebody log in; the subject type of its certificate, or the NHI card."""

    PERSONNEL = "personnel"
    INSTITUTION = "institution"
    CITIZEN = "natural-person"
    INSURED = "insured"


class LoginWay(StrEnum):
    """How the page reached the card."""

    NATIVE = "native"
    SERVISIGN = "servisign"
    NHI_READER = "servisign-nhi-reader"
    HIPKI = "hipki"
    NHI_COMPONENT = "nhi-component"
    NATIVE_READ = "native-read"


@dataclass(frozen=True, slots=True)
class Account:
    """帳號 of the labour-examination reporting site, and the card that was registered with it.

    Attributes:
        duty: 管理者 or 申報者, with its English.
        role: the kind of card.
        cards: their numbers, as the certificate says them.
    """

    name: str
    duty: tuple[str, str]
    role: LoginRole
    cards: frozenset[str]


@dataclass(frozen=True, slots=True)
class InsuredPerson:
    """Somebody who logs in with the NHI card; `password` is 健保卡網路服務註冊密碼."""

    id_number: str
    name: str
    duty: tuple[str, str]
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardRead:
    """An NHI card that a page says it read; its holder still has to know the registered password."""

    person: InsuredPerson
    card_number: str
    site: ImitatedSite
    way: LoginWay


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who logged in where, and with which certificate (DER, empty for an NHI card).

    Attributes:
        duty: what they do at the site, in both languages.
        certificate_serial: hexadecimal.
    """

    site: ImitatedSite
    way: LoginWay
    role: LoginRole
    name: str
    duty: tuple[str, str]
    card_number: str
    institution_code: str = ""
    issuer: str = ""
    certificate_serial: str = ""
    valid_until: str = ""
    certificate: bytes = field(default=b"", repr=False)

    @property
    def home(self) -> str:
        """The page behind the log-in."""
        return "/apply" if self.way is LoginWay.NATIVE else "/welcome"

    def to_json(self) -> dict[str, object]:
        """Return what the pages show."""
        return {
            "site": self.site.value,
            "way": self.way.value,
            "role": self.role.value,
            "name": self.name,
            "duty": {"zh": self.duty[0], "en": self.duty[1]},
            "cardNumber": self.card_number,
            "institutionCode": self.institution_code,
            "issuer": self.issuer,
            "certificateSerial": self.certificate_serial,
            "validUntil": self.valid_until,
            "certificate": base64.b64encode(self.certificate).decode("ascii"),
            "home": self.home,
        }


# All of one physician's: what differs is what has become of the card.
_PHYSICIAN_CARDS: Final = frozenset(str(number).zfill(12) for number in range(335361, 335373))
_CITIZEN_CARD: Final = "0000000000000001"
_INSTITUTION: Final = "9900000001"

PASSWORD: Final = "Demo-2468"  # noqa: S105  (shown on the page)
ACCOUNTS: Final[Mapping[str, Account]] = {
    account.name: account
    for account in (
        Account("demo-manager", ("管理者", "Manager"), LoginRole.CITIZEN, frozenset((_CITIZEN_CARD,))),
        Account("demo-reporter", ("申報者", "Reporter"), LoginRole.PERSONNEL, _PHYSICIAN_CARDS),
    )
}
INSURED: Final[Mapping[str, InsuredPerson]] = {
    NURSE: InsuredPerson(NURSE, "測試民眾", ("護理師", "Nurse"), "Nhi-2468"),
}
# By site, role and number: the institution's code; of a person, the card's number.
_DUTIES: Final[Mapping[tuple[ImitatedSite, LoginRole], Mapping[str, tuple[str, str]]]] = {
    (ImitatedSite.EUSERVICE, LoginRole.PERSONNEL): dict.fromkeys(_PHYSICIAN_CARDS, ("西醫師", "Physician"))
    | {NURSE_CARD: ("護理師", "Nurse")},
    (ImitatedSite.EUSERVICE, LoginRole.INSTITUTION): {_INSTITUTION: ("醫療機構", "Institution")},
    (ImitatedSite.VPN, LoginRole.PERSONNEL): dict.fromkeys(_PHYSICIAN_CARDS, ("醫師", "Physician")),
    (ImitatedSite.VPN, LoginRole.INSTITUTION): {_INSTITUTION: ("特約醫事機構", "Contracted institution")},
    (ImitatedSite.VPN, LoginRole.CITIZEN): {_CITIZEN_CARD: ("機構管理者", "The institution's manager")},
}


def duty_of(site: ImitatedSite, role: LoginRole, number: str) -> tuple[str, str] | None:
    """Return what that card's holder does at the site, in both languages; None where nobody knows them."""
    return _DUTIES.get((site, role), {}).get(number)


def needs_nhi_card(site: ImitatedSite, number: str) -> bool:
    """Return whether the site knows the holder of that personnel card, but takes only their NHI card."""
    return site is ImitatedSite.VPN and number == NURSE_CARD
