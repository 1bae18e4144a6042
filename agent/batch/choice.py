"""How one document is signed: format, level, hash and options, as a manifest, a command or a page chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from agent.vocabulary import SessionEnd
from signing.cms.build import CmsForm
from signing.formats import Form, Level, SignatureFormat
from signing.formats.choice import Options, form_for, format_of, highest_level
from signing.hashes import Hash

_PLAIN = (SignatureFormat.PKCS1, SignatureFormat.CMS)


class _Document(Protocol):
    @property
    def document(self) -> bytes: ...
    @property
    def certificate(self) -> bytes: ...


class _Value(Protocol):
    @property
    def signature(self) -> bytes: ...
    @property
    def certificate(self) -> bytes: ...


class Signs(Protocol):
    """What signs: a signing session of `agent.operations`, or a stand-in for it."""

    @property
    def ended(self) -> SessionEnd | None:
        """Why it signs no more; None as long as it does."""
        ...

    async def sign(
        self,
        form: Form,
        document: bytes,
        *,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        level: Level,
        name: str,
    ) -> _Document:
        """Return the document signed in a format."""
        ...

    async def sign_value(
        self,
        document: bytes,
        *,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        cms: CmsForm | None,
        name: str,
    ) -> _Value:
        """Return a signature value over the document, or plain CMS."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed document, or its signature, and the certificate that checks it."""

    content: bytes
    certificate: bytes


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one document is signed; the members are those of `hca-agent sign`.

    Attributes:
        format: None takes the one that fits the document.
    """

    format: SignatureFormat | None = None
    level: Level = Level.B_B
    hash: Hash = Hash.SHA_256
    detached: bool | None = None
    enveloping: bool = False
    over: bool = False
    reason: str = ""
    field: str = ""
    page: int = 0
    serialization: Literal["", "compact", "json", "jws", "xml"] = ""

    @property
    def kind(self) -> str:
        """What it takes to sign so: documents of one kind need the same parts of this program."""
        return f"{self.format} {self.level}"

    def fitted(self, document: bytes, name: str) -> Choice:
        """Return the choice with the format decided for this document.

        Raises:
            ValueError: the format has no such option or level.
        """
        if self.hash is Hash.SHA_1:
            raise ValueError("SHA-1 is for old portals alone")
        choice = msgspec.structs.replace(self, format=self.format or format_of(document, name))
        form = choice._form(document, name)
        highest = Level.B_B if form is None else highest_level(form.format)
        if not highest.reaches(self.level):
            raise ValueError(f"{choice.format} has no level {self.level}")
        return choice

    def target(self, document: bytes, name: str) -> str:
        """Return what the result is called: `report.signed.pdf`, `note.txt.p7s`."""
        form = self._form(document, name)
        suffix = self._plain_suffix() if form is None else form.suffix
        stem, dot, ending = name.rpartition(".")
        same = dot and suffix.count(".") > 1 and suffix.endswith(f".{ending.lower()}")
        return (stem if same else name) + suffix

    async def sign(self, session: Signs, document: bytes, name: str) -> Signed:
        """Have the document signed, with whatever the session raises."""
        form = self._form(document, name)
        if form is None:
            cms = CmsForm(detached=bool(self.detached)) if self.format is SignatureFormat.CMS else None
            value = await session.sign_value(document, hash=self.hash, cms=cms, name=name)
            return Signed(value.signature, value.certificate)
        done = await session.sign(form, document, hash=self.hash, level=self.level, name=name)
        return Signed(done.document, done.certificate)

    def _form(self, document: bytes, name: str) -> Form | None:
        """Return the form; None for a signature value and plain CMS. Raise `ValueError` as `fitted`."""
        assert self.format is not None  # noqa: S101  (`fitted` decides it)
        options = Options(
            detached=self.detached,
            enveloping=self.enveloping,
            over=self.over,
            name=name,
            reason=self.reason,
            field=self.field,
            page=self.page,
            serialization=self.serialization,
        )
        if self.format not in _PLAIN:
            return form_for(self.format, document, options)
        attached_value = self.format is SignatureFormat.PKCS1 and self.detached is False
        if attached_value or options != Options(detached=self.detached, name=name):
            raise ValueError(f"{self.format} has no such option")
        return None

    def _plain_suffix(self) -> str:
        """Return the endings of RFC 8551 §3.2.1 for CMS, and ours for the bare value."""
        if self.format is SignatureFormat.PKCS1:
            return ".sig"
        return ".p7s" if self.detached else ".p7m"
