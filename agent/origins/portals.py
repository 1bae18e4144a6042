"""Portals that are shipped as known, by exact origin: windows and the terminal show their proper names.

Known is not allowed: the person is asked about these as about any other. A name is shown for the exact origin
only, so that an address that merely resembles one (manuals misprint one of them) stays a bare address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Portal:
    """A portal that uses cards.

    Attributes:
        origin: its exact origin.
        zh: what it calls itself.
        en: the same in English.
    """

    origin: str
    zh: str
    en: str


_PORTALS: Final = (
    Portal(
        "https://euservice.mohw.gov.tw",
        "醫事人員及醫事機構線上申辦系統",
        "MOHW online applications for health personnel and institutions",
    ),
    Portal(
        "https://hcadevelopers.mohw.gov.tw", "HCA 開發者網站（環境檢測）", "HCA developers' environment check"
    ),
    Portal("https://hca.nat.gov.tw", "醫事憑證管理中心", "Healthcare Certification Authority"),
    Portal("https://hcd.osha.gov.tw", "勞工健檢申報系統", "OSHA labour health examination reporting"),
)

KNOWN: Final[Mapping[str, Portal]] = MappingProxyType({portal.origin: portal for portal in _PORTALS})


def named(origin: str) -> tuple[str, str]:
    """Return how `origin` is shown, in Chinese and English: with its proper name where it is known."""
    portal = KNOWN.get(origin)
    if portal is None:
        return origin, origin
    return f"{portal.zh}（{origin}）", f"{portal.en} ({origin})"
