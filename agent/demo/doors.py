"""The log-ins of the imitated sites, as their servers see them: what a page posts, and who that is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from agent.demo.errors import PortalError
from agent.demo.login import SignedIn, Trust, Way, challenge_text, log_in, log_in_insured, log_in_signed
from agent.demo.register import ACCOUNTS, INSURED, PASSWORD, Role, Site
from agent.demo.sessions import CardRead, Session, Sessions, same_secret

MOST_CHARACTERS = 100
_SIGNING = frozenset((Way.SERVISIGN, Way.NHI_READER, Way.HIPKI))
_READING = frozenset((Way.NHI_COMPONENT, Way.NATIVE_READ))
_NHI_SITES = frozenset((Site.EUSERVICE, Site.VPN))

_Choice = TypeVar("_Choice", bound=StrEnum)


class Doors:
    """What the portal's pages can ask for before anybody is logged in.

    Args:
        origin: the portal's own.
        trust: whose certificates log in.
        sessions: where challenges are kept.
    """

    def __init__(self, origin: str, trust: Trust, sessions: Sessions) -> None:
        self._origin = origin
        self._trust = trust
        self._sessions = sessions

    def native(self, session: Session, body: Mapping[str, Any]) -> SignedIn:
        """Log in with the token of the native API.

        Raises:
            PortalError: as `agent.demo.login.log_in`; `nonce.unknown`, `request.malformed`.
        """
        nonce = self._sessions.take_nonce(session)
        token, role = body.get("token"), _chosen(Role, body.get("role"))
        if not isinstance(token, dict) or role is Role.INSURED:
            raise PortalError("request.malformed")
        return log_in(token, role=role, origin=self._origin, nonce=nonce, trust=self._trust)

    def challenge(self, session: Session) -> dict[str, str]:
        """The text that the card is to sign next, where the old components sign a document."""
        return {"challenge": challenge_text(self._origin, self._sessions.issue_nonce(session))}

    def signed(self, session: Session, body: Mapping[str, Any]) -> SignedIn:
        """Log in with the signature of a challenge.

        Raises:
            PortalError: as `agent.demo.login.log_in_signed`; `nonce.unknown`.
        """
        challenge = challenge_text(self._origin, self._sessions.take_nonce(session))
        site, way = _chosen(Site, body.get("site")), _chosen(Way, body.get("way"))
        role, proof = _chosen(Role, body.get("role")), body.get("proof")
        if way not in _SIGNING or role is Role.INSURED or not isinstance(proof, dict):
            raise PortalError("request.malformed")
        return log_in_signed(
            proof,
            site=site,
            way=way,
            role=role,
            challenge=challenge,
            trust=self._trust,
            account=session.account,
        )

    def account(self, session: Session, body: Mapping[str, Any]) -> None:
        """帳號, 密碼 and 圖形驗證碼, before any card is used: a slip here must not cost a PIN try.

        Raises:
            PortalError: `captcha.wrong`, `account.wrong`, `account.other_kind`.
        """
        session.account = None
        self._sessions.take_captcha(session, body.get("captcha"))
        account = ACCOUNTS.get(_text(body.get("account")))
        if account is None or not same_secret(_text(body.get("password")), PASSWORD):
            raise PortalError("account.wrong")
        if account.role is not _chosen(Role, body.get("role")):
            raise PortalError("account.other_kind")
        session.account = account

    def card_read(self, session: Session, body: Mapping[str, Any]) -> dict[str, str]:
        """An NHI card that the page says it read; it proves nothing, so the password is asked next.

        Raises:
            PortalError: `id.not_of_card`, `person.unknown`, `person.not_added`.
        """
        session.card_read = None
        site, way, card = _chosen(Site, body.get("site")), _chosen(Way, body.get("way")), body.get("card")
        if site not in _NHI_SITES or way not in _READING or not isinstance(card, dict):
            raise PortalError("request.malformed")
        number, id_number = _text(card.get("number")), _text(card.get("idNumber"))
        if "idNumber" in body and _text(body["idNumber"]).upper() != id_number:
            raise PortalError("id.not_of_card")
        person = INSURED.get(id_number)
        if person is None:
            raise PortalError("person.not_added" if site is Site.VPN else "person.unknown")
        session.card_read = CardRead(person, number, site, way)
        return {"name": person.name}

    def password(self, session: Session, body: Mapping[str, Any]) -> SignedIn:
        """健保卡網路服務註冊密碼: who the holder of the card that was read is.

        Raises:
            PortalError: `password.wrong`; `session.expired`: no card was read in this session.
        """
        read = session.card_read
        if read is None:
            raise PortalError("session.expired")
        if not same_secret(_text(body.get("password")), read.person.password):
            raise PortalError("password.wrong")
        return log_in_insured(read.person, read.card_number, site=read.site, way=read.way)


def _chosen(kind: type[_Choice], value: object) -> _Choice:
    if not isinstance(value, str) or value not in set(kind):
        raise PortalError("request.malformed")
    return kind(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
        raise PortalError("request.malformed")
    return value.strip()
