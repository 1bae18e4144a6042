"""Any card with an ISO/IEC 7816-15 (PKCS#15) directory: the card itself says what it can do, no profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Self, TypeVar

from hca_card import iso7816
from hca_card import pkcs15_directory as contents
from hca_card.certificate import describe
from hca_card.errors import CardDataError, ObjectMissingError, UnsupportedError
from hca_card.iso7816_card import Iso7816Card, KeyReference
from hca_card.model import (
    CardCertificate,
    CardKind,
    Channel,
    Citizen,
    KeyUse,
    Metadata,
)
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from hca_card.pkcs15_directory import DirectoryKind
from hca_card.pkcs15_roles import ListedCertificates, algorithm_for, holder_pin, key_for
from pcsc.status import StatusError

EF_DIR: Final = b"\x3f\x00\x2f\x00"
EF_ODF: Final = b"\x50\x31"
EF_TOKEN_INFO: Final = b"\x50\x32"

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Directory:
    """All that the directory lists, for people who want to see it; using the card needs less."""

    token: contents.TokenDescription
    pins: tuple[contents.PinObject, ...]
    private_keys: tuple[contents.PrivateKey, ...]
    public_keys: tuple[contents.PublicKey, ...]
    certificates: tuple[contents.CertificateObject, ...]
    data: tuple[contents.DataObject, ...]


class Pkcs15Card(Iso7816Card):
    """The PKCS#15 application of a card, selected. Each file of the directory is read when first needed."""

    def __init__(self, channel: Channel, base: bytes, kind: CardKind) -> None:
        """Use `open`; `base` is the application's path, empty where it was selected by its AID."""
        self.kind = kind
        self._channel = channel
        self._base = base
        self._token = contents.token_info(self._file(EF_TOKEN_INFO))
        self.serial = self._token.serial

    @classmethod
    def open(cls, channel: Channel, *, kind: CardKind = CardKind.PKCS15) -> Self | None:
        """SELECT the application by AID, else by the path that EF.DIR gives; None where there is none.

        Raises:
            CardDataError: the directory is there and cannot be read.
            StatusError: it is there and may not be read.
        """
        answer = iso7816.select_aid(channel, contents.AID)
        if answer.ok or answer.sw in iso7816.FOUND:
            return cls(channel, b"", kind)
        try:
            path = contents.application_path(iso7816.read_file(channel, EF_DIR))
        except StatusError:
            return None
        if not path:
            return None
        iso7816.select_file(channel, path)
        return cls(channel, path, kind)

    def metadata(self) -> Metadata:  # noqa: D102
        return Metadata(self.kind, version="", serial=self.serial, holder=self._holder())

    def directory(self) -> Directory:
        """Everything that the directory lists. Raises as reading each of its files does."""
        return Directory(
            token=self._token,
            pins=self._pins,
            private_keys=self._private_keys,
            public_keys=self._listed(contents.public_keys, DirectoryKind.PUBLIC_KEYS),
            certificates=self._listed_certificates,
            data=self._listed(contents.data_objects, DirectoryKind.DATA),
        )

    def certificate_indexes(self) -> tuple[int, ...]:  # noqa: D102
        return self._certificates.numbers()

    def certificate(self, index: int) -> CardCertificate:  # noqa: D102
        return self._certificates.get(index)

    def still_has(self, index: int, certificate: bytes) -> bool:  # noqa: D102
        place = self._certificates.place(index)
        if place is None:
            return super().still_has(index, certificate)
        try:
            iso7816.select_file(self._channel, self._absolute(place.path))
        except StatusError:
            return False
        return iso7816.begins_as(self._channel, certificate, offset=place.index)

    @cached_property
    def _object_files(self) -> tuple[tuple[DirectoryKind, contents.ObjectPath | bytes], ...]:
        return contents.directory_files(self._file(EF_ODF))

    @cached_property
    def _pins(self) -> tuple[contents.PinObject, ...]:
        return self._listed(contents.pins, DirectoryKind.AUTHENTICATION)

    @cached_property
    def _private_keys(self) -> tuple[contents.PrivateKey, ...]:
        return self._listed(contents.private_keys, DirectoryKind.PRIVATE_KEYS)

    @cached_property
    def _listed_certificates(self) -> tuple[contents.CertificateObject, ...]:
        return self._listed(
            contents.certificates,
            DirectoryKind.CERTIFICATES,
            DirectoryKind.TRUSTED_CERTIFICATES,
            DirectoryKind.USEFUL_CERTIFICATES,
        )

    @cached_property
    def _certificates(self) -> ListedCertificates:
        read = partial(self._place, der=True)
        return ListedCertificates(self._listed_certificates, self._private_keys, read)

    def _puk_form(self) -> PinFormat:
        code = next((entry for entry in self._pins if entry.unblocking and not entry.officer), None)
        if code is None or code.protected:
            raise UnsupportedError("this card takes no PUK in the plain")
        return code.form

    @cached_property
    def _pin(self) -> PinUse:
        entry = holder_pin(self._pins, self._private_keys)
        if entry is None:
            raise UnsupportedError("the card's directory names no PIN that this program can send")
        if entry.protected:
            raise UnsupportedError("this card takes its PIN encrypted only, in its maker's own way")
        return PinUse(
            self._channel,
            reference=entry.reference,
            form=entry.form,
            reselect=self._reselect,
            why_refused=self._why_refused,
            confirm_drop=True,
        )

    def _listed(
        self, parse: Callable[[bytes], tuple[_Item, ...]], *kinds: DirectoryKind
    ) -> tuple[_Item, ...]:
        found: list[_Item] = []
        for kind, place in self._object_files:
            if kind in kinds:
                found += parse(place if isinstance(place, bytes) else self._place(place))
        return tuple(found)

    def _find_key(self, use: KeyUse) -> KeyReference | None:
        key = key_for(self._private_keys, use)
        if key is None:
            return None
        return KeyReference(
            key.reference,
            algorithm_for(key, self._token),
            key.bits,
            elliptic=key.elliptic,
            pss=None if key.elliptic else algorithm_for(key, self._token, pss=True),
        )

    def _holder(self) -> Citizen | None:
        try:
            name = describe(self.certificate(1).der).common_name
        except (CardDataError, ObjectMissingError, UnsupportedError):
            return None
        return None if name is None else Citizen(name)

    def _place(self, place: contents.ObjectPath, *, der: bool = False) -> bytes:
        path = self._absolute(place.path)
        return iso7816.read_file(self._channel, path, index=place.index, length=place.length, der=der)

    def _file(self, path: bytes) -> bytes:
        return iso7816.read_file(self._channel, self._absolute(path))

    def _absolute(self, path: bytes) -> bytes:
        return self._base + path if self._base and len(path) == 2 else path

    def _reselect(self) -> None:
        if self._base:
            iso7816.select_file(self._channel, self._base)
        else:
            iso7816.select_aid(self._channel, contents.AID).require(*iso7816.FOUND)
