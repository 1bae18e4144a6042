"""What a profile says where it is, read: files, records and data objects, in one piece or several."""

from __future__ import annotations

from typing import Final

from hca_card import iso7816, tlv
from hca_card.errors import CardDataError
from hca_card.inflate import inflate
from hca_card.model import Channel
from hca_card.profile_format import NOWHERE, Compression, FilePlace, Piece, Profile
from pcsc.apdu import LE_EXTENDED_MAX, Command, Response
from pcsc.status import StatusError


class ProfileFiles:
    """The applications of a card of one profile, and what is in their files.

    One application is selected at a time, and it is known here which; what is sent by `keys` finds its own.

    Args:
        channel: the transaction.
        profile: the card type; its application is selected.
    """

    def __init__(self, channel: Channel, profile: Profile) -> None:
        self._channel = channel
        self._aid = profile.aid
        self._keys_aid = profile.pin.aid or profile.aid
        self._most = profile.commands.read_most or LE_EXTENDED_MAX
        self._selected = profile.aid
        self.keys: Final = _KeysChannel(channel, self) if _has_others(profile) else channel
        """The channel of PIN and key commands: their application is selected first, if another one is."""

    def select_keys(self) -> None:
        """SELECT the application of PIN and keys, again if it is selected: that drops its state."""
        self._select(self._keys_aid)

    def enter_keys(self) -> None:
        """SELECT the application of PIN and keys, if another one is selected."""
        self._enter(self._keys_aid)

    def read(self, place: FilePlace, *, size: int | None = None, der: bool = False) -> bytes:
        """Return what is there.

        Args:
            place: where.
            size: the bytes of it, exactly; files that are padded behind have more.
            der: it begins with one DER object, and that object is what is wanted; nothing where nothing was
                ever written.

        Raises:
            StatusError: the card has none, or refuses.
            CardDataError: it is shorter or longer than it says, or not compressed as the profile says.
        """
        if place.plain:
            return self._whole(place, size=size, der=der)
        content = b"".join(map(self._piece, place.pieces))
        if place.within:
            found = tlv.find(content, *place.within)
            if found is None:
                raise CardDataError("the objects that the profile names are not in what the card gave")
            content = found
        if place.compression is not Compression.NONE:
            content = inflate(content, place.compression, iso7816.FILE_LIMIT)
        if der:
            if not content or content[0] in tlv.PADDING:
                return b""
            size = tlv.announced_length(content)
        return content if size is None else _cut(content, size)

    def begins_as(self, place: FilePlace, content: bytes) -> bool | None:
        """Return whether a place begins as it did when its `content` was read, by one short read.

        None where its content does not stand in one file, as it is.
        """
        if place != FilePlace(sfi=place.sfi, path=place.path):
            return None
        self._enter(self._aid)
        if place.path:
            try:
                iso7816.select_file(self._channel, place.path)
            except StatusError:
                return False
        return iso7816.begins_as(self._channel, content, sfi=place.sfi or None, most=self._most)

    def _piece(self, piece: Piece) -> bytes:
        size = piece.skip + piece.length if piece.length else None
        if piece.object is not None:
            self._enter(piece.aid or self._aid)
            content = iso7816.get_data(self._channel, piece.object, piece.object_data, ins=piece.object_ins)
        elif piece.records != NOWHERE:
            self._enter(piece.aid or self._aid)
            if piece.path:
                iso7816.select_file(self._channel, piece.path)
            first, end = piece.records
            content = iso7816.read_records(self._channel, sfi=piece.sfi, first=first, end=end)
        else:
            content = self._whole(piece, size=size)
        if size is not None and len(content) < size:
            raise CardDataError(f"the card gave {len(content)} bytes where the profile says {size}")
        return content[piece.skip : size]

    def _whole(self, place: Piece, *, size: int | None = None, der: bool = False) -> bytes:
        """Read a transparent file from its beginning."""
        self._enter(place.aid or self._aid)
        if place.sfi:
            return iso7816.read_binary(self._channel, sfi=place.sfi, size=size, der=der, most=self._most)
        return iso7816.read_file(self._channel, place.path, length=size, der=der, most=self._most)

    def _enter(self, aid: bytes) -> None:
        if aid != self._selected:
            self._select(aid)

    def _select(self, aid: bytes) -> None:
        self._selected = b""
        iso7816.select_aid(self._channel, aid).require(*iso7816.FOUND)
        self._selected = aid


class _KeysChannel:
    def __init__(self, channel: Channel, files: ProfileFiles) -> None:
        self._files = files
        self._send = channel.send
        self.before_end = channel.before_end

    def send(self, command: Command) -> Response:
        self._files.enter_keys()
        return self._send(command)


def _has_others(profile: Profile) -> bool:
    """Return whether anything of the profile is in another application than its own."""
    places = [entry.file for entry in profile.certificates]
    if profile.files is not None:
        places += (profile.files.basic, profile.files.info)
    if profile.identity is not None and profile.identity.file is not None:
        places.append(profile.identity.file)
    for place in places:
        for piece in place.parts or (place,):
            if piece.aid not in (b"", profile.aid):
                return True
    return profile.pin.aid not in (b"", profile.aid)


def _cut(content: bytes, size: int) -> bytes:
    if len(content) < size:
        raise CardDataError(f"the card gave {len(content)} bytes of {size}")
    if content[size:].strip(b"\x00\xff "):
        raise CardDataError(f"the card gave {len(content)} bytes where {size} are known")
    return content[:size]
