"""Whom the imitated sites know: invented people, accounts and passwords, all of them shown on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.demo.cards import NURSE, NURSE_CARD


class Site(StrEnum):
    """The sites that the demo portal imitates."""

    EUSERVICE = "euservice"
    HCD = "hcd"
    VPN = "vpn"


class Role(StrEnum):
    """As whom a card lets somebody log in; the subject type of its certificate, or the NHI card."""

    PERSONNEL = "personnel"
    INSTITUTION = "institution"
    CITIZEN = "natural-person"
    INSURED = "insured"


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
    role: Role
    cards: frozenset[str]


@dataclass(frozen=True, slots=True)
class Insured:
    """Somebody who logs in with the NHI card; `password` is 健保卡網路服務註冊密碼."""

    id_number: str
    name: str
    duty: tuple[str, str]
    password: str = field(repr=False)


# All of one physician's: what differs is what has become of the card.
_PHYSICIAN_CARDS: Final = frozenset(str(number).zfill(12) for number in range(335361, 335373))
_CITIZEN_CARD: Final = "0000000000000001"
_INSTITUTION: Final = "9900000001"

PASSWORD: Final = "Demo-2468"  # noqa: S105  (shown on the page)
ACCOUNTS: Final[Mapping[str, Account]] = {
    account.name: account
    for account in (
        Account("demo-manager", ("管理者", "Manager"), Role.CITIZEN, frozenset((_CITIZEN_CARD,))),
        Account("demo-reporter", ("申報者", "Reporter"), Role.PERSONNEL, _PHYSICIAN_CARDS),
    )
}
INSURED: Final[Mapping[str, Insured]] = {
    NURSE: Insured(NURSE, "測試民眾", ("護理師", "Nurse"), "Nhi-2468"),
}

_KNOWN: Final[Mapping[Site, Mapping[Role, Mapping[str, tuple[str, str]]]]] = {
    Site.EUSERVICE: {
        Role.PERSONNEL: dict.fromkeys(_PHYSICIAN_CARDS, ("西醫師", "Physician"))
        | {NURSE_CARD: ("護理師", "Nurse")},
        Role.INSTITUTION: {_INSTITUTION: ("醫療機構", "Institution")},
    },
    Site.VPN: {
        Role.PERSONNEL: dict.fromkeys(_PHYSICIAN_CARDS, ("醫師", "Physician")),
        Role.INSTITUTION: {_INSTITUTION: ("特約醫事機構", "Contracted institution")},
        Role.CITIZEN: {_CITIZEN_CARD: ("機構管理者", "The institution's manager")},
    },
}
_NHI_CARD_ONLY: Final = frozenset((NURSE_CARD,))


def duty_of(site: Site, role: Role, number: str) -> tuple[str, str] | None:
    """What that card's holder does at the site, in both languages; None where nobody knows them.

    Args:
        site: where they want to log in.
        role: as what.
        number: the institution's code; of a person, the card's number.
    """
    return _KNOWN.get(site, {}).get(role, {}).get(number)


def needs_nhi_card(site: Site, number: str) -> bool:
    """Whether the site knows the holder of that personnel card, but takes only their NHI card."""
    return site is Site.VPN and number in _NHI_CARD_ONLY
