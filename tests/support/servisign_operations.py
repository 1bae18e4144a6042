"""Operations on a card in software, for tests of dialects: no reader, no thread, no window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from agent.errors import AgentError, ErrorId
from agent.operations import (
    Caller,
    KeptPin,
    ReadCertificate,
    ReaderCondition,
    ReaderView,
    Selected,
    SignResult,
)
from agent.operations.transaction_jobs import Examined
from agent.places import Rank
from agent.vocabulary import Verb
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import ObjectMissingError, PinLengthError, PinLockedError, PinWrongError
from hca_card.model import (
    CardInfo,
    CardKind,
    CertificateUse,
    Holder,
    Institution,
    KeyUse,
    Metadata,
    Personnel,
)
from hca_card.pin import Pin
from pcsc.errors import NoCardError
from signing import cipher, sign, verify
from signing.hashes import Hash
from tests.support import software_card
from tests.support.signing import sign_document

READER = "Test Reader 0"
PERSON = Personnel("測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A", "西醫師")
PLACE = Institution("9900000001", "測試機構", "01", "診所", "西醫診所", "臺北市;1號", "02-0", "負責人")
INFO = CardInfo(False, "1120628", "1120628", "1220628", activated=True, terminated=False)


@dataclass
class FakeOperations:
    """What `agent.operations.Operations` offers a dialect.

    Attributes:
        card_in: None is an empty reader.
        pin: the right one.
        window_pin: what the person enters in the agent's own window; None cancels.
        tries: left; every VERIFY is counted in `verifies`.
        asked: what was asked, in order, without PINs.
        hold: operations wait for it where it is set.
        errors: raised once by the operation of that name.
        strangers: origins that nobody allowed, who are refused whatever asks for a permission.
        kept: every PIN kept; `given` every PIN handed over, which the giver must wipe.
    """

    card_in: Metadata | None = None
    pin: str = "123456"
    window_pin: str | None = None
    tries: int = 3
    verifies: int = 0
    event_counter: int = 1
    digests: bool = False
    asked: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    errors: dict[str, Exception] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    kept: list[KeptPin] = field(default_factory=list)
    given: list[Pin] = field(default_factory=list)
    missing: frozenset[int] = frozenset()
    software: software_card.SoftwareCard = field(default_factory=software_card.SoftwareCard)

    def __post_init__(self) -> None:
        if self.card_in is None:
            self.insert()

    def insert(
        self,
        kind: CardKind = CardKind.PERSONNEL,
        holder: Holder | None = PERSON,
        version: str = "2",
        serial: str = "000000335361",
    ) -> None:
        self.card_in = Metadata(kind, version, serial, holder, INFO)
        self.event_counter += 1

    def remove(self) -> None:
        self.card_in = None
        self.event_counter += 1

    def exchange_serial(self, serial: str) -> None:
        assert self.card_in is not None
        self.card_in = replace(self.card_in, serial=serial)
        self.event_counter += 1

    async def choose(
        self, caller: Caller, kinds: Collection[CardKind] | None = None, reader: str | None = None
    ) -> Selected:
        metadata = await self._present("choose", caller, reader)
        if kinds is not None and metadata.kind not in kinds:
            raise AgentError(ErrorId.CARD_WRONG_KIND)
        return Selected(READER, metadata.serial, self.event_counter, metadata.kind, b"\x3b\x00")

    async def readers(self, caller: Caller) -> tuple[ReaderView, ...]:
        condition = ReaderCondition.EMPTY if self.card_in is None else ReaderCondition.CARD
        return (ReaderView(READER, condition, False, True, b"", self.event_counter),)

    async def examine(
        self, caller: Caller, job: Callable[[Any], Metadata], *, reader: str | None = None
    ) -> Examined[Metadata]:
        metadata = await self._present("examine", caller, reader)
        read = job(SimpleNamespace(metadata=lambda: metadata))
        return Examined(READER, b"\x3b\x00", metadata.kind, metadata.serial, read)

    async def certificate(
        self, caller: Caller, index: int, reader: str | None = None, *, known: bytes = b""
    ) -> ReadCertificate:
        metadata = await self._present(f"certificate {index}", caller, reader)
        if index in self.missing:
            raise ObjectMissingError
        if index in (0, 4):
            use = CertificateUse.ROOT if index else CertificateUse.CA
            return ReadCertificate(metadata.serial, index, use, software_card.root())
        found = self.software.certificate(index)
        return ReadCertificate(metadata.serial, index, found.use, found.der)

    async def permit(self, caller: Caller, verb: Verb) -> None:
        self.asked.append(f"permit {verb}")
        if caller.origin in self.strangers:
            raise AgentError(ErrorId.CONSENT_REFUSED)

    def rank(self, origin: str | None) -> Rank:
        return Rank.STRANGER if origin in self.strangers else Rank.ALLOWED

    async def keep_pin(
        self, caller: Caller, pin: Pin | None, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin:
        if pin is None:
            if self.window_pin is None:
                raise AgentError(ErrorId.PIN_CANCELLED)
            with Pin(self.window_pin) as typed:
                return await self.keep_pin(caller, typed, reader=reader, kinds=kinds)
        metadata = await self._present("keep_pin", caller, reader)
        if metadata.kind not in kinds:
            raise AgentError(ErrorId.CARD_WRONG_KIND)
        self.given.append(pin)
        self._verify(pin)
        kept = KeptPin(
            pin, owner=caller, reader=READER, serial=metadata.serial, event_counter=self.event_counter
        )
        self.kept.append(kept)
        return kept

    async def sign(
        self,
        caller: Caller,
        hash: Hash,  # noqa: A002
        *,
        document: bytes | None = None,
        digest: bytes | None = None,
        use: KeyUse = KeyUse.SIGNATURE,
        reader: str | None = None,
        kept: KeptPin | None = None,
        allow_sha1: bool = False,
        rsa: bool = False,
    ) -> SignResult:
        metadata = await self._present("sign", caller, reader)
        if digest is not None and not self.digests:
            raise AgentError(ErrorId.DIGEST_REFUSED)
        self._unlock(metadata, kept)
        if document is not None:
            signature = sign_document(self.software, document, hash, use, allow_sha1=allow_sha1)
        else:
            assert digest is not None
            signature = sign.sign_digest(self.software, digest, hash, use, allow_sha1=allow_sha1)
        certificate = self.software.certificate(CERTIFICATE_INDEX[use]).der
        return SignResult(signature, certificate, hash, metadata.serial)

    async def decrypt(
        self, caller: Caller, cipher_: bytes, *, reader: str | None = None, kept: KeptPin | None = None
    ) -> bytes:
        self._unlock(await self._present("decrypt", caller, reader), kept)
        return cipher.decrypt(self.software, cipher_)

    async def encrypt(self, caller: Caller, data: bytes, *, certificate: bytes | None = None) -> bytes:
        assert certificate is not None
        return cipher.encrypt(certificate, data)

    async def verify(self, document: bytes, signature: bytes, certificate: bytes, hash: Hash) -> None:  # noqa: A002
        verify.verify(certificate, document, signature, hash)

    async def _present(self, name: str, caller: Caller, reader: str | None) -> Metadata:
        assert caller.origin is not None
        self.asked.append(name)
        if self.hold is not None:
            await self.hold.wait()
        if name in self.errors:
            raise self.errors.pop(name)
        if self.card_in is None:
            raise NoCardError
        assert reader in (None, READER)
        return self.card_in

    def _unlock(self, metadata: Metadata, kept: KeptPin | None) -> None:
        if kept is None:
            if self.window_pin is None:
                raise AgentError(ErrorId.PIN_CANCELLED)
            self.asked.append("window")
            with Pin(self.window_pin) as pin:
                self._verify(pin)
            return
        with kept.for_card(reader=READER, serial=metadata.serial, event_counter=self.event_counter) as pin:
            self._verify(pin)

    def _verify(self, pin: Pin) -> None:
        if not 6 <= len(pin) <= 8:
            raise PinLengthError
        if not self.tries:
            raise PinLockedError(tries_left=0)
        self.verifies += 1
        if pin.octets != self.pin.encode():
            self.tries -= 1
            raise PinWrongError(tries_left=self.tries)
        self.tries = 3
