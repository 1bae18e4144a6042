"""What every dialect can ask for, whatever its own words for it are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar, overload

from agent.access.answers import Answers
from agent.access.consents import Consents
from agent.audit import AuditLog
from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import DocumentShown, Interaction
from agent.interaction.asking import Asking
from agent.modules import ModuleView
from agent.operations import transaction_jobs
from agent.operations.activity import Activity
from agent.operations.card_selection import CardRequirement, need
from agent.operations.messages import Caller, CardView, ReadCertificate, ReaderView, Selected, SignResult
from agent.operations.pin_desk import PinDesk, Replacing
from agent.operations.workflow import Wish, Workflow
from agent.paths import Paths
from agent.pins.kept import KeptPin
from agent.pins.unattended import Grant
from agent.profiles import loaded
from agent.slots import Visit
from agent.vocabulary import Verb
from hca_card.errors import UnsupportedError
from hca_card.model import Card, CardCertificate, CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.service import Service
from signing.cipher import decrypt, encrypt
from signing.cms import CmsForm, sign_cms
from signing.errors import HashUnsupportedError
from signing.guard import check_document
from signing.hashes import Hash
from signing.login import LoginToken, create_token
from signing.origin import check_nonce, check_origin
from signing.pkcs1 import CERTIFICATE_INDEX, sign_digest
from signing.verify import verify

T = TypeVar("T")

_KEY_OF: Final = {index: use for use, index in CERTIFICATE_INDEX.items()}
# A thread's turn takes longer than hashing so much.
_HASHED_AT_ONCE: Final = 64 * 1024


def open_operations(service: Service, interaction: Interaction, config: Config, paths: Paths) -> Operations:
    """Operations with the answers and the audit log of the agent's folder; use as `async with`.

    Raises:
        OSError: the folder cannot be made.
    """
    paths.make()
    person = Asking(interaction, config)
    consents = Consents(person, Answers(paths.answers), config)
    audit = AuditLog(paths.audit, config.audit)
    return Operations(Workflow(service, person, consents, audit, config, profiles=loaded(paths)), config)


class Operations:
    """What pages and programs can ask of the card.

    Every method is awaited on one event loop and may raise, besides what it names: AgentError (origin and
    consent ids, interaction.unavailable, busy, card.timeout, card.ambiguous, request.cancelled),
    `pcsc.errors.PcscError`, `hca_card.errors.CardError`, `pcsc.status.StatusError`. Where `kinds` is taken
    and not empty, the card is one of these, or AgentError card.wrong_kind is raised.

    Args:
        workflow: consent, cards, the person and the audit log.
        config: how long a wrong PIN from a page is remembered.
    """

    def __init__(self, workflow: Workflow, config: Config) -> None:
        self._workflow = workflow
        self._pins = PinDesk(workflow, config)

    async def start(self) -> None:
        """Begin to watch the readers."""
        self._workflow.readers.start()

    async def close(self) -> None:
        """Forget every PIN, stop watching, end the readers' threads."""
        await self._workflow.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.close()

    def on_change(self, callback: Callable[[tuple[ReaderView, ...]], None]) -> Callable[[], None]:
        """Call `callback` on the event loop at each change of readers and cards; the result ends that."""
        return self._workflow.readers.listen(callback)

    @property
    def consents(self) -> Consents:
        """Who may do what, for whoever else is asked."""
        return self._workflow.consents

    @property
    def activity(self) -> Activity:
        """What is being done with cards and what is known of them, for showing; sends no command."""
        return self._workflow.activity

    @property
    def modules(self) -> tuple[ModuleView, ...]:
        """The PKCS#11 modules that are used here, as they were when somebody last asked for the readers."""
        return self._workflow.modules.views

    def on_outcome(self, callback: Callable[[Verb, str], None]) -> None:
        """Call `callback` with each kind of work that ended, and `ok` or the id of its error."""
        self._workflow.audit.listen(callback)

    def allowed(self, caller: Caller, verb: Verb) -> bool:
        """Whether `caller` may do `verb` now without anybody being asked: who is told of changes."""
        return self._workflow.consents.allowed(caller.origin, verb)

    async def permit(self, caller: Caller, verb: Verb) -> None:
        """Return if `caller` may do `verb`, asking where nobody has answered yet; nothing else is done.

        For work of a dialect's own that needs no card and that not every page may cause.
        """
        async with self._workflow.asked(caller, verb) as entry:
            entry.quiet = True

    async def readers(self, caller: Caller) -> tuple[ReaderView, ...]:
        """All readers; no command is sent to any card."""
        async with self._workflow.asked(caller, Verb.READ) as entry:
            entry.quiet = True
            return await self._workflow.readers.look()

    async def card(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> CardView:
        """The card's own data; works for terminated and unopened cards too."""
        async with self._workflow.asked(caller, Verb.READ) as entry:
            read = await self._workflow.visit(caller, reader, transaction_jobs.read, need(kinds))
            facts = await self._workflow.note(entry, read.seen)
            return CardView(read.seen.reader, read.metadata, facts.simulated, read.seen.pin)

    async def certificates(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> tuple[CardCertificate, ...]:
        """All certificates on the card."""
        async with self._workflow.asked(caller, Verb.READ) as entry:
            wanted = CardRequirement(frozenset(kinds), certificate=True)
            held = await self._workflow.visit(caller, reader, transaction_jobs.certificates, wanted)
            await self._workflow.note_held(entry, held)
            return held.certificates

    async def certificate(
        self, caller: Caller, index: int, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> ReadCertificate:
        """One certificate, by its HCA number 0 to 4, and the number of the card it was read from."""
        async with self._workflow.asked(caller, Verb.READ) as entry:
            wanted = CardRequirement(frozenset(kinds), _KEY_OF.get(index), certificate=True)
            job = partial(transaction_jobs.certificates, index=index)
            held = await self._workflow.visit(caller, reader, job, wanted)
            await self._workflow.note_held(entry, held)
            [found] = held.certificates
            return ReadCertificate(held.serial, found.index, found.use, found.der)

    async def pin_status(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> PinStatus:
        """Tries left and lengths; no try is spent."""
        async with self._workflow.asked(caller, Verb.READ) as entry:
            seen = await self._workflow.visit(
                caller, reader, transaction_jobs.look_for_pin, CardRequirement(frozenset(kinds), pin=True)
            )
            await self._workflow.note(entry, seen)
            if seen.pin is None:
                raise UnsupportedError
            return seen.pin

    async def choose(
        self, caller: Caller, kinds: Collection[CardKind] | None = None, reader: str | None = None
    ) -> Selected:
        """The card that a session will work with, of one of `kinds` when given.

        Raises:
            AgentError: card.wrong_kind.
        """
        async with self._workflow.asked(caller, Verb.READ) as entry:
            seen = await self._workflow.visit(caller, reader, transaction_jobs.look, need(kinds))
            await self._workflow.note(entry, seen)
            return Selected(seen.reader, seen.serial, seen.event_counter, seen.kind, seen.atr)

    async def examine(
        self,
        caller: Caller,
        job: Callable[[Card], T],
        *,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> transaction_jobs.Examined[T]:
        """One thing about the card that needs no PIN, read on its own.

        Args:
            caller: who asks.
            job: blocking, run in the reader's thread with the card recognised; must not keep the card.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any.
        """

        def look(visit: Visit) -> transaction_jobs.Examined[T]:
            return transaction_jobs.examine(visit, job)

        async with self._workflow.asked(caller, Verb.READ) as entry:
            found = await self._workflow.visit(caller, reader, look, need(kinds))
            entry.serial = found.serial
            return found

    async def encrypt(
        self,
        caller: Caller,
        data: bytes,
        *,
        certificate: bytes | None = None,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """`data` encrypted to `certificate`, or to the card's own encryption certificate when None.

        Raises:
            signing.errors.DataTooLongError: it does not fit one block.
        """
        if certificate is None:
            index = CERTIFICATE_INDEX[KeyUse.ENCRYPTION]
            certificate = (await self.certificate(caller, index, reader, kinds=kinds)).der
        return await asyncio.to_thread(encrypt, certificate, data)

    async def verify(self, document: bytes, signature: bytes, certificate: bytes, hash: Hash) -> None:  # noqa: A002
        """Return if the signature is the certificate's over the document; needs neither card nor consent.

        Raises:
            signing.errors.SigningError: signature.invalid, certificate.malformed.
        """
        await asyncio.to_thread(verify, certificate, document, signature, hash)

    async def authenticate(
        self,
        caller: Caller,
        nonce: str,
        *,
        origin: str,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> LoginToken:
        """A web-eid:1.0 token for `origin` and the portal's `nonce`.

        Args:
            caller: who asks; a page can only log in to itself.
            nonce: base64 of at least 32 bytes, 44 to 128 characters.
            origin: where the login is to hold; for a page from its Origin header.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any.
        """
        plain_http = self._workflow.consents.plain_http_allowed(origin)
        with self._workflow.checked(caller, Verb.LOGIN):
            if caller.origin is not None and caller.origin != origin:
                raise AgentError(ErrorId.ORIGIN_REFUSED)
            check_origin(origin, allow_loopback_http=plain_http)
            check_nonce(nonce)

        def action(card: Card, certificate: bytes) -> LoginToken:
            return create_token(card, certificate, origin, nonce, allow_loopback_http=plain_http)

        wish = Wish(caller, Verb.LOGIN, KeyUse.SIGNATURE, reader, kinds=frozenset(kinds))
        return (await self._workflow.with_pin(wish, action))[1]

    async def sign(
        self,
        caller: Caller,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        *,
        document: bytes | None = None,
        digest: bytes | None = None,
        use: KeyUse = KeyUse.SIGNATURE,
        reader: str | None = None,
        kept: KeptPin | None = None,
        allow_sha1: bool = False,
        folder: Path | None = None,
        cms: CmsForm | None = None,
        kinds: Collection[CardKind] = (),
    ) -> SignResult:
        """A PKCS#1 v1.5 signature over a document, or over a bare digest where that is allowed; or CMS.

        Args:
            caller: who asks.
            hash: the hash of the signature.
            document: what is signed; or else
            digest: its digest, for origins that are listed for it and the person's own commands.
            use: which key.
            reader: the reader's name; with `kept` its reader is the one.
            kept: the session's PIN; None asks the person.
            allow_sha1: the caller speaks for an old portal that can verify nothing better.
            folder: where this person's own document lies, resolved; a PIN may be kept for it in the keyring.
            cms: make a CMS signature of this form over the document.
            kinds: the kinds of card wanted; empty for any.

        Raises:
            AgentError: digest.refused; pin.*.
            signing.errors.SigningError: document.refused, hash.unsupported, signature.invalid.
            ValueError: not exactly one of document and digest, or CMS over a digest.
        """
        if cms is not None and document is None:
            raise ValueError("a CMS signature is made over a document")
        with self._workflow.checked(caller, Verb.SIGN):
            if hash is Hash.SHA_1 and not allow_sha1:
                raise HashUnsupportedError
            settled = await self._digest(caller, hash, document, digest)

        def action(card: Card, certificate: bytes) -> bytes:
            if cms is None or document is None:
                return sign_digest(card, settled, hash, use, certificate=certificate, allow_sha1=allow_sha1)
            return sign_cms(
                card, document, hash, cms, use, certificate=certificate, digest=settled, allow_sha1=allow_sha1
            )

        shown = DocumentShown(None if document is None else len(document), hash.value, settled)
        wish = Wish(caller, Verb.SIGN, use, reader, kept, shown, folder, frozenset(kinds))
        seen, signature = await self._workflow.with_pin(wish, action)
        return SignResult(signature, seen.certificate, hash, seen.serial)

    async def _digest(
        self, caller: Caller, algorithm: Hash, document: bytes | None, digest: bytes | None
    ) -> bytes:
        """What is to be signed, refused now rather than after the person was asked."""
        if document is not None and digest is None:
            check_document(document)
            if len(document) <= _HASHED_AT_ONCE:
                return algorithm.digest(document)
            return await asyncio.to_thread(algorithm.digest, document)
        if document is not None or digest is None:
            raise ValueError("either a document or a digest is signed")
        if not self._workflow.consents.digest_allowed(caller.origin):
            raise AgentError(ErrorId.DIGEST_REFUSED)
        algorithm.digest_info(digest)
        return digest

    async def decrypt(
        self,
        caller: Caller,
        cipher: bytes,
        *,
        reader: str | None = None,
        kept: KeptPin | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """The plain text of one RSA PKCS#1 v1.5 block.

        Raises:
            signing.errors.CipherInvalidError: it was not made for this card.
        """

        def action(card: Card, _certificate: bytes) -> bytes:
            return decrypt(card, cipher)

        wish = Wish(caller, Verb.DECRYPT, KeyUse.ENCRYPTION, reader, kept, kinds=frozenset(kinds))
        return (await self._workflow.with_pin(wish, action))[1]

    @overload
    async def keep_pin(
        self, caller: Caller, pin: Pin, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin: ...

    @overload
    async def keep_pin(
        self, caller: Caller, pin: Pin | None, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin | None: ...

    async def keep_pin(
        self, caller: Caller, pin: Pin | None, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin | None:
        """Verify a PIN once and keep it for the caller's session.

        Args:
            caller: who asks, and who alone may use it.
            pin: what a page collected, copied; the caller wipes its own. None asks the person.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any. A card of another kind is not sent the PIN.

        Returns:
            None where it was typed on the reader's keypad, which keeps it from this program.

        Raises:
            AgentError: pin.*.
            PinLastTryError: only one try is left, and a page cannot give the extra yes; nothing was sent.
            hca_card.errors.PinError: one try spent at most; nothing is kept.
        """
        wanted = CardRequirement(frozenset(kinds), pin=True)
        if pin is None:
            return await self._pins.open(caller, reader, wanted)
        return await self._pins.keep(caller, pin, reader, wanted)

    async def change_pin(
        self,
        caller: Caller,
        *,
        old: Pin | None = None,
        new: Pin | None = None,
        reader: str | None = None,
        kept: KeptPin | None = None,
        kinds: Collection[CardKind] = (),
        serial: str = "",
    ) -> None:
        """Replace the PIN.

        Args:
            caller: who asks.
            old: the PIN, where a page collected it or a person's own command has it.
            new: the new one, likewise; None has the person type both, here or on the reader's keypad.
            reader: the reader's name; with `kept` its reader is the one.
            kept: the session's PIN: stands for `old` where that is None, and is the new one afterwards. What
                other sessions kept of this card is wiped.
            kinds: the kinds of card wanted; empty for any.
            serial: the number of the very card; empty for any.

        Raises:
            AgentError: pin.*.
            hca_card.errors.PinError: pin.length, for either, before anything is sent; else one try spent at
                most.
            ValueError: `old` without `new`, or `new` without anything to replace.
        """
        wanted = Replacing(caller, _given(old, new, kept), kept, reader, frozenset(kinds), serial)
        await self._pins.change(wanted)

    async def unblock_pin(
        self,
        caller: Caller,
        *,
        puk: Pin | None = None,
        new: Pin | None = None,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
        serial: str = "",
    ) -> None:
        """Set a new PIN and the full number of tries with the PUK; None for both has the person type them.

        Raises:
            AgentError: pin.cancelled, pin.unavailable.
            hca_card.errors.PinError: pin.length before anything is sent; puk.wrong, puk.locked.
            UnsupportedError: the card takes no PUK.
            ValueError: one without the other.
        """
        await self._pins.unblock(Replacing(caller, _given(puk, new), None, reader, frozenset(kinds), serial))

    async def remember_pin(
        self, caller: Caller, pin: Pin | None, grant: Grant, *, reader: str | None = None
    ) -> str:
        """Verify a PIN once and keep it in the system's keyring for signatures that nobody attends.

        Args:
            caller: this person's own command; nobody else may.
            pin: copied; None asks the person.
            grant: for which sites and folders.
            reader: the reader's name.

        Returns:
            The number of the card it is kept for.

        Raises:
            AgentError: unattended.disabled, keyring.unavailable, origin.refused; pin.*.
        """
        return await self._pins.remember(caller, pin, grant, reader)

    async def forget_remembered_pin(self, serial: str) -> bool:
        """Delete what the keyring holds for the card of that number; False where that is nothing.

        Raises:
            AgentError: keyring.unavailable.
        """
        return await asyncio.to_thread(self._workflow.unattended.forget, serial)

    def forget_pins(self) -> None:
        """Wipe every PIN that is kept: the person went away."""
        self._workflow.forget_pins()


def _given(old: Pin | None, new: Pin | None, kept: KeptPin | None = None) -> tuple[Pin | None, Pin] | None:
    if new is None:
        if old is not None:
            raise ValueError("the new PIN is missing")
        return None
    if old is None and kept is None:
        raise ValueError("there is nothing to replace")
    return old, new
