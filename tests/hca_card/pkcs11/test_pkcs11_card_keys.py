"""Which of a module's keys belongs to a certificate, and what is asked of it; the session is a fake."""

from __future__ import annotations

from typing import Any

import pytest

from hca_card.errors import CardDataError, ObjectMissingError
from hca_card.model import CardKind, KeyUse
from hca_card.pkcs11.card import ModuleCard
from hca_card.pkcs11.messages import Certificate, Key, Token
from hca_card.simulator.der import sequence
from pcsc.status import StatusError
from tests.support.softhsm import NUMBER, personnel_objects
from tests.support.software_card import rewritten

DIGEST, POINT = bytes(range(32)), b"\x04" + bytes(range(64))
RSA, CURVE = personnel_objects()[0], personnel_objects(bits=256)[0]


class Session:
    """A token with these certificates and keys; notes what it is asked for."""

    def __init__(self, *certificates: tuple[bytes, bytes], keys: tuple[Key, ...] = ()) -> None:
        self.token = Token(label="token", serial="", flags=0, min_length=6, max_length=8)
        self.listed = tuple(Certificate(*each) for each in certificates)
        self.shown = keys
        self.logged_in = True
        self.asked: list[tuple[str, int, bytes]] = []
        self.answer = b"answer"

    def certificates(self) -> tuple[Certificate, ...]:
        return self.listed

    def keys(self) -> tuple[Key, ...]:
        return self.shown

    def __getattr__(self, name: str) -> Any:
        return lambda key, data: self.asked.append((name, key, data)) or self.answer


def card(session: Session) -> ModuleCard:
    return ModuleCard(session)  # type: ignore[arg-type]


def key(handle: int, identifier: bytes = b"", *, elliptic: bool = False, modulus: bytes = b"") -> Key:
    return Key(handle, identifier, modulus, elliptic)


def test_pss_and_agreement_are_asked_of_the_key_of_the_certificate() -> None:
    session = Session((b"\1", RSA.der), keys=(key(6, b"\2"), key(7, b"\1")))
    assert card(session).sign_pss(KeyUse.SIGNATURE, DIGEST) == b"answer"
    assert session.asked == [("sign_pss", 7, DIGEST)]
    session = Session((b"\1", CURVE.der), keys=(key(8, b"\1"), key(9, b"\1", elliptic=True)))
    session.answer = b"\1" * 31
    joined = card(session)
    # A number of the curve is as long as the curve's; a whole point is cut to its x.
    assert joined.agree(KeyUse.SIGNATURE, POINT) == b"\0" + b"\1" * 31
    session.answer = POINT
    assert joined.agree(KeyUse.SIGNATURE, POINT) == bytes(range(32))
    session.answer = b"\1" * 33
    with pytest.raises(CardDataError):
        joined.agree(KeyUse.SIGNATURE, POINT)
    assert {(name, handle) for name, handle, _ in session.asked} == {("agree", 9)}


@pytest.mark.parametrize(
    ("identifier", "keys"),
    [
        pytest.param(b"\1", (key(7, b"\2"),), id="another's identifier"),
        pytest.param(b"", (key(7, b""),), id="no identifier"),
        pytest.param(b"\1", (key(7, b"\1", modulus=b"\xc5" * 256),), id="another modulus"),
        pytest.param(b"\1", (key(7, b"\1", elliptic=True),), id="a key on a curve"),
        pytest.param(b"\1", (), id="none"),
    ],
)
def test_a_key_that_is_not_the_certificates_is_not_used(identifier: bytes, keys: tuple[Key, ...]) -> None:
    session = Session((identifier, RSA.der), keys=keys)
    with pytest.raises(ObjectMissingError, match="shows no key"):
        card(session).sign(KeyUse.SIGNATURE, DIGEST)
    assert not session.asked


def test_without_a_certificate_or_a_login_no_key_is_looked_for() -> None:
    session = Session((b"\1", RSA.der), keys=(key(7, b"\1"),))
    known = card(session)
    assert not known.has_key(KeyUse.ENCRYPTION)
    with pytest.raises(ObjectMissingError, match="this card has no"):
        known.decipher(KeyUse.ENCRYPTION, bytes(256))
    session.logged_in = False
    with pytest.raises(StatusError):
        known.sign(KeyUse.SIGNATURE, DIGEST)
    assert not session.asked


def test_a_holders_certificate_whose_text_cannot_be_taken_apart_names_nobody() -> None:
    whole = card(Session((b"\1", RSA.der)))
    assert (whole.kind, whole.serial) == (CardKind.PERSONNEL, NUMBER)
    session = Session((b"\1", rewritten(RSA.der, "ca", times=sequence())), keys=(key(7, b"\1"),))
    damaged = card(session)
    assert (damaged.kind, damaged.serial, damaged.metadata().holder) == (CardKind.PKCS15, "token", None)
    # Its key can be used all the same.
    assert damaged.sign(KeyUse.SIGNATURE, DIGEST) == b"answer"
