"""What the demo portal refuses; `refusals.toml` has the sentences."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sentence in both languages, and the HTTP status that goes with it."""

    zh: str
    en: str
    status: int = 403


REFUSALS: Final[Mapping[str, Refusal]] = {
    error_id: Refusal(**row)
    for error_id, row in tomllib.loads(Path(__file__).with_name("refusals.toml").read_text("utf-8")).items()
}
_CARDS: Final = {
    "personnel": ("醫事人員卡", "a healthcare personnel card"),
    "institution": ("醫事機構卡", "an institution card"),
    "natural-person": ("自然人憑證", "a citizen certificate card"),
    "company": ("工商憑證", "a company's card"),
}


class PortalError(Exception):
    """A refusal by the portal's server.

    Attributes:
        id: one of the keys of `REFUSALS`, or `card.not_…`.
    """

    def __init__(self, error_id: str, refusal: Refusal | None = None) -> None:
        self.id = error_id
        self.refusal = refusal or REFUSALS[error_id]
        super().__init__(f"{error_id}: {self.refusal.en}")

    def to_json(self) -> dict[str, dict[str, str]]:
        """Return the body of the answer."""
        return {"error": {"id": self.id, "zh": self.refusal.zh, "en": self.refusal.en}}


def wrong_card(found: str | None, wanted: str) -> PortalError:
    """Return `card.not_…`: what the card in the reader is, and which one to insert instead.

    Args:
        found: the subject type that its certificate names, None where it names none.
        wanted: the subject type that the person chose.
    """
    found_zh, found_en = _CARDS.get(found or "", ("別種卡片", "another kind of card"))
    wanted_zh, wanted_en = _CARDS[wanted]
    refusal = Refusal(
        f"這張是{found_zh}，請改插{wanted_zh}，再按一次登入。",
        f"This is {found_en}. Insert {wanted_en} and log in again.",
    )
    return PortalError(f"card.not_{wanted}", refusal)
