"""What every dialect can ask for, whatever its own words for it are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Self, TypeVar, overload

from msgspec.structs import replace

from agent.access.answers import Answers
from agent.access.consents import Consents, ranking
from agent.audit import AuditLog
from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import DocumentShown, Interaction, ItemShown
from agent.interaction.asking import Asking
from agent.interaction.silence import Silence
from agent.operations import transaction_jobs as jobs
from agent.operations.activity import Activity
from agent.operations.card_selection import CardRequirement
from agent.operations.certificate_facts import facts_about
from agent.operations.documents import DocumentSigning, NearEvidence, digest_of
from agent.operations.messages import (
    Caller,
    CardView,
    ReadCertificate,
    ReaderView,
    Selected,
    SignedDocument,
    SignResult,
)
from agent.operations.pin_entry import PagePin, PinCommand, PinEntry, SessionPin
from agent.operations.pin_watch import PinWatch
from agent.operations.signing_sessions import SigningSession, SigningSessions
from agent.operations.workflow import Workflow
from agent.paths import Paths
from agent.pins.kept import KeptPin
from agent.pins.unattended import Grant
from agent.pkcs11_modules import ModuleView
from agent.places import Ranking
from agent.previews import Previews
from agent.profiles import loaded
from agent.vocabulary import SessionEnd, Verb
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import UnsupportedError
from hca_card.model import Card, CardCertificate, CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.service import Service
from signing.certificate import public_key
from signing.cipher import decrypt, encrypt
from signing.cms.build import CmsForm, sign_cms
from signing.cms.encrypt import envelope_of
from signing.cms.envelope import Envelope, content_key, decrypt_content
from signing.errors import EvidenceError, HashUnsupportedError
from signing.formats import Evidence, Form, Level
from signing.guard import check_document
from signing.hashes import Hash
from signing.login import LoginToken, create_token
from signing.origin import check_nonce, check_origin
from signing.preview import Preview
from signing.sign import sign_digest
from signing.verify import verify

T = TypeVar("T")

_KEY_OF: Final = {index: use for use, index in CERTIFICATE_INDEX.items()}


def open_operations(
    service: Service,
    interaction: Interaction,
    config: Config,
    paths: Paths,
    *,
    evidence: Evidence | None = None,
    previews: Previews | None = None,
) -> Operations:
    """Return operations with the answers and the audit log of the agent's folder; use as `async with`.

    Without `evidence` documents are signed at level B-B alone, without `previews` they are named, not shown.

    Raises:
        OSError: the folder cannot be made.
    """
    paths.make()
    answers = Answers(paths.answers, settings=config.consent)
    person = Asking(interaction, config, ranking(config.origins, answers))
    consents = Consents(person, answers, config)
    audit = AuditLog(paths.audit, config.audit)
    workflow = Workflow(service, person, consents, audit, config, profiles=loaded(paths))
    sessions = SigningSessions(config.sessions, workflow.audit, consents.rank)
    watch = PinWatch(paths, any_kept=workflow.any_kept, forget=workflow.forget_pins, apply=sessions.apply)
    return Operations(workflow, person.silence, sessions, watch, evidence=evidence, previews=previews)


class Operations:
    """What pages and programs can ask of the card.

    Every method is awaited on one event loop and may raise, besides what it names: AgentError (origin and
    consent ids, interaction.unavailable, busy, card.timeout, card.ambiguous, request.cancelled),
    `pcsc.errors.PcscError`, `hca_card.errors.CardError`, `pcsc.status.StatusError`.

    Most methods take `caller`, who asks; `reader`, the reader's name, None to find the card; and `kinds` of
    card: where these are not empty, the card is one of them, or AgentError card.wrong_kind is raised.
    """

    def __init__(
        self,
        workflow: Workflow,
        silence: Silence,
        sessions: SigningSessions,
        watch: PinWatch,
        *,
        evidence: Evidence | None = None,
        previews: Previews | None = None,
    ) -> None:
        self._workflow = workflow
        self._watch = watch
        workflow.watch = watch.begin
        self._evidence = evidence
        self._previews = previews
        self.silence: Final = silence
        """Which unknown sites are refused unasked now."""
        self.consents: Final[Consents] = workflow.consents
        """Who may do what, for whoever else is asked."""
        self.rank: Final[Ranking] = workflow.consents.rank
        """Who goes first: the person's own programs, then sites that they allowed, strangers last."""
        self.activity: Final[Activity] = workflow.activity
        """What is being done with cards and what is known of them; sends no command."""
        self.on_change: Final = workflow.readers.listen
        """Calls a function on the event loop at each change of readers and cards; the result ends that."""
        self.on_outcome: Final = workflow.audit.listen
        """Calls a function with each kind of work that ended, and `ok` or the id of its error."""
        self.forget_pins: Final[Callable[[SessionEnd], None]] = workflow.forget_pins
        """Wipes every PIN that is kept: the person went away."""
        self.sessions: Final = sessions
        """The signing sessions that are open."""

    async def __aenter__(self) -> Self:
        self._workflow.readers.start()
        self._watching = asyncio.create_task(self._watch.run())
        return self

    async def __aexit__(self, *_details: object) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._workflow.close()

    @property
    def busy(self) -> bool:
        """Whether anything is under way, what waits for a person and open signing sessions included."""
        return self._workflow.audit.under_way > 0 or bool(self.sessions.open)

    @property
    def modules(self) -> tuple[ModuleView, ...]:
        """The PKCS#11 modules that are used here, as they were when somebody last asked for the readers."""
        return self._workflow.modules.views

    def allowed(self, caller: Caller, verb: Verb) -> bool:
        """Return whether `caller` may do `verb` now without anybody being asked."""
        return self.consents.allowed(caller.origin, verb)

    async def permit(self, caller: Caller, verb: Verb) -> None:
        """Return if `caller` may do `verb`, asking where nobody has answered yet; nothing else is done.

        For work of a dialect's own that needs no card and that not every page may cause.
        """
        async with self._workflow.allowed(caller, verb) as audit:
            audit.quiet = True

    async def readers(self, caller: Caller) -> tuple[ReaderView, ...]:
        """Return all readers; no command is sent to any card."""
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            audit.quiet = True
            return await self._workflow.readers.look()

    async def card(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> CardView:
        """Return the card's own data; works for terminated and unopened cards too."""
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds))
            snapshot, metadata = await self._workflow.visit(caller, reader, jobs.read, required, audit)
            facts = await self._workflow.note(audit, snapshot)
            return CardView(snapshot.reader, metadata, facts.simulated, snapshot.pin, facts.ends)

    async def certificates(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> tuple[CardCertificate, ...]:
        """Return all certificates on the card."""
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds), certificate=True)
            card = await self._workflow.visit(caller, reader, jobs.certificates, required, audit)
            await self._workflow.note_certificates(audit, card)
            return card.certificates

    async def certificate(
        self,
        caller: Caller,
        index: int,
        reader: str | None = None,
        *,
        kinds: Collection[CardKind] = (),
        known: bytes = b"",
    ) -> ReadCertificate:
        """Return one certificate, by its HCA number 0 to 4, and the number of the card it was read from.

        What is `known` of it from an earlier read is not read again, only looked at.
        """
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds), _KEY_OF.get(index), certificate=True)
            job = partial(jobs.certificates, index=index, known=known)
            card = await self._workflow.visit(caller, reader, job, required, audit)
            await self._workflow.note_certificates(audit, card)
            [found] = card.certificates
            return ReadCertificate(card.serial, found.index, found.use, found.der)

    async def pin_status(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> PinStatus:
        """Return tries left and lengths; no try is spent."""
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds), pin=True)
            snapshot = await self._workflow.visit(caller, reader, jobs.look_for_pin, required, audit)
            await self._workflow.note(audit, snapshot)
            if snapshot.pin is None:
                raise UnsupportedError
            return snapshot.pin

    async def choose(
        self, caller: Caller, kinds: Collection[CardKind] | None = None, reader: str | None = None
    ) -> Selected:
        """Return the card that a session will work with, of one of `kinds` when given."""
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds or ()))
            card = await self._workflow.visit(caller, reader, jobs.look, required, audit)
            await self._workflow.note(audit, card)
            return Selected(card.reader, card.serial, card.event_counter, card.kind, card.atr)

    async def examine(
        self,
        caller: Caller,
        job: Callable[[Card], T],
        *,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> jobs.Examined[T]:
        """Return what `job` reads of the card without its PIN, and nothing else.

        It may block, is run in the reader's thread with the card recognised, and must not keep the card.
        """
        async with self._workflow.allowed(caller, Verb.READ) as audit:
            required = CardRequirement(frozenset(kinds))
            examine = partial(jobs.examine, job=job)
            found = await self._workflow.visit(caller, reader, examine, required, audit)
            audit.serial = found.serial
            return found

    async def encryption_certificate(
        self, caller: Caller, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> bytes:
        """Return the certificate to which what is for the card's holder is encrypted, DER."""
        index = CERTIFICATE_INDEX[KeyUse.ENCRYPTION]
        return (await self.certificate(caller, index, reader, kinds=kinds)).der

    async def encrypt(
        self,
        caller: Caller,
        data: bytes,
        *,
        certificate: bytes | None = None,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """Return `data` encrypted to `certificate`, or to the card's own encryption certificate when None.

        Raises:
            signing.errors.DataTooLongError: it does not fit one block.
        """
        if certificate is None:
            certificate = await self.encryption_certificate(caller, reader=reader, kinds=kinds)
        return await asyncio.to_thread(encrypt, certificate, data)

    async def make_envelope(
        self,
        caller: Caller,
        content: bytes,
        certificates: Sequence[bytes] = (),
        *,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """Return CMS with `content` encrypted to the certificates, or to the card's own without any.

        Raises:
            signing.errors.CertificateError: nothing may be encrypted to one of them.
        """
        if not certificates:
            certificates = (await self.encryption_certificate(caller, reader=reader, kinds=kinds),)
        return await asyncio.to_thread(envelope_of, content, certificates)

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
        """Return a web-eid:1.0 token for `nonce`, base64 of at least 32 bytes, 44 to 128 characters.

        It holds at `origin`, which for a page comes from its Origin header: a page can only log in to itself.
        """
        plain_http = self.consents.plain_http_allowed(origin)
        with self._workflow.checked(caller, Verb.LOGIN):
            if caller.origin is not None and caller.origin != origin:
                raise AgentError(ErrorId.ORIGIN_REFUSED)
            check_origin(origin, allow_loopback_http=plain_http)
            check_nonce(nonce)

        def work(card: Card, certificate: bytes) -> LoginToken:
            return create_token(card, certificate, origin, nonce, allow_loopback_http=plain_http)

        required = CardRequirement(frozenset(kinds), KeyUse.SIGNATURE)
        return (await self._workflow.use_pin(caller, Verb.LOGIN, work, required, reader=reader))[1]

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
        name: str = "",
        cms: CmsForm | None = None,
        kinds: Collection[CardKind] = (),
        rsa: bool = False,
    ) -> SignResult:
        """Return a PKCS#1 v1.5 signature over a document, or a bare digest where that is allowed; or CMS.

        A digest is signed for origins that are listed for it and for the person's own commands. `kept` is the
        session's PIN, whose reader is then the one; without it the person is asked, or the keyring where the
        document lies in a `folder` (resolved) or comes from an origin that a PIN is kept for. `allow_sha1`
        is for an old portal that can verify nothing better, `rsa` for one that knows no other signatures;
        with `cms` the signature is CMS of this form.

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

        def work(card: Card, certificate: bytes) -> bytes:
            if rsa:
                public_key(certificate)
            if cms is None or document is None:
                return sign_digest(card, settled, hash, use, certificate=certificate, allow_sha1=allow_sha1)
            return sign_cms(
                card, document, hash, cms, use, certificate=certificate, digest=settled, allow_sha1=allow_sha1
            )

        card, signature, _ = await self._workflow.use_pin(
            caller,
            Verb.SIGN,
            work,
            CardRequirement(frozenset(kinds), use, rsa=rsa),
            given=None if kept is None else SessionPin(kept, self._workflow.guesses, caller.origin, key=use),
            session=kept,
            reader=reader,
            document=partial(self._shown, document, hash, settled, name, []),
            folder=folder,
        )
        return SignResult(signature, card.certificate, hash, card.serial)

    async def sign_document(
        self,
        caller: Caller,
        form: Form,
        document: bytes,
        *,
        hash: Hash = Hash.SHA_256,  # noqa: A002  (the protocol's own word)
        level: Level = Level.B_B,
        use: KeyUse = KeyUse.SIGNATURE,
        reader: str | None = None,
        kept: KeptPin | None = None,
        folder: Path | None = None,
        name: str = "",
        kinds: Collection[CardKind] = (),
    ) -> SignedDocument:
        """Return the document signed in one of the formats and brought to `level`; the rest is as in `sign`.

        It is prepared while the person types, and what the level needs is fetched after the card is free.

        Raises:
            AgentError: pin.*.
            signing.errors.SigningError: document.refused, document.unusable, hash.unsupported,
                signature.invalid, evidence.unavailable: the card has signed, and a time stamp or an
                authority's answer was not to be had.
        """
        with self._workflow.checked(caller, Verb.SIGN):
            if hash is Hash.SHA_1:
                raise HashUnsupportedError
            if level is not Level.B_B and self._evidence is None:
                raise EvidenceError("no authority is listed under [timestamps] authorities")
            check_document(document)
        signing = DocumentSigning(form, document, hash, use)
        if kept is not None and use in kept.certificates:
            await signing.ahead_for(kept.certificates[use], kept.chain)
        card, signed, _ = await self._workflow.use_pin(
            caller,
            Verb.SIGN,
            signing.work,
            CardRequirement(frozenset(kinds), use),
            given=None if kept is None else SessionPin(kept, self._workflow.guesses, caller.origin, key=use),
            session=kept,
            reader=reader,
            document=partial(self._shown_whole, document, hash, name, []),
            folder=folder,
            ahead=signing.ahead,
        )
        done = await signed.finish()
        if level is not Level.B_B and self._evidence is not None:
            done = await form.augment(done, level, NearEvidence(self._evidence, done, card.chain))
        # The curve of a key may decide another hash than was asked for (JWS).
        return SignedDocument(done, form.format, level, card.certificate, signed.ready.hash, card.serial)

    async def _shown_whole(
        self, document: bytes, algorithm: Hash, name: str, made: list[Preview]
    ) -> DocumentShown:
        """Return a document of which nobody needs the digest unless somebody is asked."""
        return await self._shown(document, algorithm, await digest_of(document, algorithm), name, made)

    async def _shown(
        self, document: bytes | None, algorithm: Hash, digest: bytes, name: str, made: list[Preview]
    ) -> DocumentShown:
        """Return a document for whoever is asked; `made` keeps its preview, which is made once."""
        shown = DocumentShown(None if document is None else len(document), algorithm.value, digest, name)
        if document is None or self._previews is None:
            return shown
        if not made:
            made.append(await self._previews.of(document))
        return replace(shown, preview=made[0])

    async def _digest(
        self, caller: Caller, algorithm: Hash, document: bytes | None, digest: bytes | None
    ) -> bytes:
        """Return what is to be signed, or refuse it now rather than after the person was asked."""
        if document is not None and digest is None:
            check_document(document)
            return await digest_of(document, algorithm)
        if document is not None or digest is None:
            raise ValueError("either a document or a digest is signed")
        if not self.consents.digest_allowed(caller.origin):
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
        """Return the plain text of one RSA PKCS#1 v1.5 block.

        Raises:
            signing.errors.CipherInvalidError: it was not made for this card.
        """

        def work(card: Card, _certificate: bytes) -> bytes:
            return decrypt(card, cipher)

        required = CardRequirement(frozenset(kinds), KeyUse.ENCRYPTION, rsa=True)
        return await self._with_encryption_key(caller, work, required, reader, kept)

    async def open_envelope(
        self,
        caller: Caller,
        envelope: Envelope,
        target: BinaryIO,
        *,
        reader: str | None = None,
        kept: KeptPin | None = None,
        kinds: Collection[CardKind] = (),
    ) -> None:
        """Write the content of encrypted CMS to `target`; nothing of it may be used before this returns.

        Of several cards the one that is a recipient is taken. The card decrypts the content's key alone, and
        is free while the content is decrypted.

        Raises:
            signing.errors.CipherInvalidError: cipher.not_for_card and cipher.format before a PIN is asked;
                cipher.damaged.
            OSError: `target` cannot be written.
        """
        required = CardRequirement(frozenset(kinds), KeyUse.ENCRYPTION, recipient=envelope.recipient)

        def work(card: Card, certificate: bytes) -> bytes:
            return content_key(card, envelope, certificate)

        key = await self._with_encryption_key(caller, work, required, reader, kept)
        await asyncio.to_thread(decrypt_content, envelope, key, target)

    async def _with_encryption_key(
        self,
        caller: Caller,
        work: Callable[[Card, bytes], T],
        required: CardRequirement,
        reader: str | None,
        kept: KeptPin | None,
    ) -> T:
        key = KeyUse.ENCRYPTION
        given = None if kept is None else SessionPin(kept, self._workflow.guesses, caller.origin, key=key)
        return (
            await self._workflow.use_pin(
                caller, Verb.DECRYPT, work, required, given=given, session=kept, reader=reader
            )
        )[1]

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
        """Verify a PIN once and keep it for the caller's session, which alone may use it.

        What a page collected is copied, and the caller wipes its own; None asks the person. Where
        it was typed on the reader's keypad, which keeps it from this program, nothing is returned.

        Raises:
            AgentError: pin.*.
            PinLastTryError: only one try is left, and a page cannot give the extra yes; nothing was sent.
            hca_card.errors.PinError: one try spent at most; nothing is kept.
        """
        return await self._keep(caller, pin, reader, kinds, on_keypad=True)

    async def _keep(
        self,
        caller: Caller,
        pin: Pin | None,
        reader: str | None,
        kinds: Collection[CardKind] = (),
        *,
        on_keypad: bool,
    ) -> KeptPin | None:
        guesses = self._workflow.guesses
        _, _, kept = await self._workflow.use_pin(
            caller,
            Verb.SIGN if pin is None else Verb.PAGE_PIN,
            _nothing_more,
            CardRequirement(frozenset(kinds), pin=True),
            given=None if pin is None else PagePin(PinCommand.VERIFY, guesses, caller.origin, (pin,)),
            reader=reader,
            keep=True,
            on_keypad=on_keypad,
        )
        return kept

    async def open_session(
        self,
        caller: Caller,
        *,
        most: int | None = None,
        seconds: int | None = None,
        items: Sequence[ItemShown] = (),
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> SigningSession:
        """Return a signing session for one card, after the person agreed to its terms with the PIN.

        The PIN is asked in this program's window or terminal, never on the reader's keypad, which would keep
        it from being sent for each signature.

        Args:
            caller: who may use it, and nobody else of that origin as long as it is there.
            most: how many signatures; None for as many as one PIN is good for, or one for each of the items.
            seconds: for how long; None for half an hour, or as long as is allowed where there are items.
            items: the documents; no others will be signed.
            reader: the reader's name.
            kinds: of card.

        Raises:
            AgentError: signing_session.disabled, signing_session.limit, busy; pin.*; signing_session.ended:
                what ends sessions, such as a locked screen, came before it began.
        """
        sessions = self.sessions
        await self._watch.look_at_settings()
        with self._workflow.checked(caller, Verb.SESSION):
            terms = sessions.terms(most, seconds, items)
        opened = SigningSession(self, caller, terms, sessions)
        with sessions.place_for(opened):
            snapshot, _, kept = await self._workflow.use_pin(
                opened.owner,
                Verb.SESSION,
                _nothing_more,
                CardRequirement(frozenset(kinds), KeyUse.SIGNATURE),
                reader=reader,
                keep=True,
                terms=terms,
                on_keypad=False,
                ahead=_nothing_ahead,
            )
            if kept is None:
                raise AgentError(ErrorId.PIN_UNAVAILABLE)
            try:
                opened.begin(kept, (await facts_about(snapshot)).shown(snapshot))
            except BaseException:  # whoever asked has left
                kept.wipe(SessionEnd.GONE)
                raise
        if opened.ended is not None:
            raise AgentError(ErrorId.SIGNING_SESSION_ENDED)
        return opened

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

        Both are given where a page or the person's own command has them; without a new one the person types
        both, here or on the reader's keypad. `kept` is the session's PIN: it stands for `old` where that is
        None, its reader is the one, and it is the new PIN afterwards. What other sessions kept of this card
        is wiped. With `serial` no other card will do.

        Raises:
            AgentError: pin.*.
            hca_card.errors.PinError: pin.length, for either, before anything is sent; else one try spent at
                most.
            ValueError: `old` without `new`, or `new` without anything to replace.
        """
        required = CardRequirement(frozenset(kinds), pin=True, serial=serial)
        await self._replace(caller, PinCommand.CHANGE, required, old=old, new=new, kept=kept, reader=reader)

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
        required = CardRequirement(frozenset(kinds), pin=True, serial=serial)
        await self._replace(caller, PinCommand.UNBLOCK, required, old=puk, new=new, reader=reader)

    async def _replace(
        self,
        caller: Caller,
        command: PinCommand,
        required: CardRequirement,
        *,
        old: Pin | None,
        new: Pin | None,
        kept: KeptPin | None = None,
        reader: str | None,
    ) -> None:
        guesses = self._workflow.guesses
        given: PinEntry | None = None
        if new is None:
            if old is not None:
                raise ValueError("the new PIN is missing")
        elif old is not None:
            given = PagePin(command, guesses, caller.origin, (old, new), session=kept)
        elif kept is not None:
            given = SessionPin(kept, guesses, caller.origin, new=new)
        else:
            raise ValueError("there is nothing to replace")
        await self._workflow.use_pin(
            caller,
            Verb.CHANGE_PIN,
            _nothing_more,
            required,
            command=command,
            given=given,
            session=kept,
            reader=reader,
        )

    async def remember_pin(
        self, caller: Caller, pin: Pin | None, grant: Grant, *, reader: str | None = None
    ) -> str:
        """Verify a PIN once and keep it in the system's keyring for the sites and folders of `grant`.

        For this person's own command alone. The PIN is copied; None asks the person, not on the keypad. The
        result is the number of the card it is kept for.

        Raises:
            AgentError: unattended.disabled, keyring.unavailable, origin.refused; pin.*.
        """
        if caller.origin is not None:
            raise AgentError(ErrorId.ORIGIN_REFUSED)
        unattended = self._workflow.unattended
        unattended.require_enabled()
        kept = await self._keep(caller, pin, reader, on_keypad=False)
        if kept is None:
            raise AgentError(ErrorId.PIN_UNAVAILABLE)
        with kept.take() as taken:
            await asyncio.to_thread(unattended.remember, kept.serial, taken, grant)
        return kept.serial

    async def forget_remembered_pin(self, serial: str) -> bool:
        """Delete what the keyring holds for the card of that number; False where that is nothing.

        Raises:
            AgentError: keyring.unavailable.
        """
        return await asyncio.to_thread(self._workflow.unattended.forget, serial)


async def _nothing_ahead(_snapshot: jobs.CardSnapshot) -> None:
    """Do nothing: that the card's issuers are read is all that is wanted."""


def _nothing_more(_card: Card, _certificate: bytes) -> None:
    """Do nothing: that the PIN was right is all that is wanted."""
