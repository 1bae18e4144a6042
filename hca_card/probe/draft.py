"""The draft of a card profile, as TOML with a word on each line: known, guessed, or to be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hca_card import profile
from hca_card.certificate_numbers import USES
from hca_card.errors import CardError
from hca_card.hca import HcaCard
from hca_card.model import Channel, KeyUse
from hca_card.pin_block import PinFormat
from hca_card.probe.found import Findings
from hca_card.probe.guess import NOTHING, Guess, guess
from hca_card.probe.names import KNOWN
from hca_card.probe.only_reads import ProbeLimitError
from hca_card.profile import ProfileError
from hca_card.profile_format import Profile
from pcsc.errors import PcscError
from pcsc.status import StatusError

KNOWN_MARK: Final = "# 已知 known"
GUESSED: Final = "# 推測 guessed"
FILL_IN: Final = "# 待填 FILL IN"

_PLACEHOLDER_AID: Final = bytes.fromhex("F000000000")
MISSING_ON: Final = {
    2: '["personnel-1"]',
    3: '["personnel-1", "institution-1"]',
    4: '["personnel-1", "institution-1"]',
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft profile.

    Attributes:
        text: TOML that `hca_card.profile.parse` takes.
        complete: whether it drives the card as it is; otherwise it says `draft = true` and is never used.
        missing: what is to be filled in.
    """

    text: str
    complete: bool
    missing: tuple[str, ...]


def draft(found: Findings, channel: Channel) -> Draft:
    """Return the draft for the card that was probed, tried on it as far as that needs no PIN.

    Args:
        found: what the probe gave.
        channel: still to the card, and still unable to send anything but reads.
    """
    parts = guess(found)
    if not _can_be_written(found, parts):
        parts = NOTHING
    missing = parts.missing
    if not missing:
        whole = _text(found, parts, missing)
        trouble = tried(channel, profile.parse(whole))
        if not trouble:
            return Draft(whole, True, ())
        missing = (trouble,)
    text = _text(found, parts, missing)
    profile.parse(text)
    return Draft(text, False, missing)


def _can_be_written(found: Findings, parts: Guess) -> bool:
    """Return whether what the card says fits into a profile at all: a hostile one may say anything."""
    try:
        profile.parse(_text(found, parts, parts.missing))
    except ProfileError:
        return False
    return True


def tried(channel: Channel, entry: Profile) -> str:
    """Return what goes wrong when the profile reads the card's public data; empty if nothing does."""
    try:
        card = HcaCard.open(channel, entry)
        if card is None:
            return "the application is not found again"
        card.metadata()
        card.certificate(1)
    except (CardError, StatusError, PcscError, ProbeLimitError) as error:
        return f"tried on the card: {error}"
    return ""


def _text(found: Findings, parts: Guess, missing: tuple[str, ...]) -> str:
    return "\n".join(_lines(found, parts, missing)) + "\n"


def _lines(found: Findings, parts: Guess, missing: tuple[str, ...]) -> Iterator[str]:
    yield from _head(found, missing)
    application = parts.application
    aid = application.aid if application else _PLACEHOLDER_AID
    yield f'name = "probed-{aid.hex()}"'
    if missing:
        yield "draft = true                    # 填好後刪除這一行 · remove this line once all is filled in"
    yield f'atrs = ["{found.atr.hex(" ").upper()}"]  {KNOWN_MARK}'
    yield f'aid = "{aid.hex(" ").upper()}"  {KNOWN_MARK if application else FILL_IN}'
    if found.read_most:
        yield from ("", "[commands]", f"read_most = {found.read_most}  {KNOWN_MARK}")
    yield from _identity(parts)
    yield from _files(parts)
    yield from _records()
    yield from _certificates(parts)
    yield from _pin(parts)
    yield from _keys(parts)


def _head(found: Findings, missing: tuple[str, ...]) -> Iterator[str]:
    yield "# 卡片設定檔草稿，由 hca-agent card probe 產生。說明見 docs/card-profiles.md。"
    yield "# Draft of a card profile, made by hca-agent card probe: see docs/card-profiles.md."
    yield f"{KNOWN_MARK}: 卡片自己說的 the card says so"
    yield f"{GUESSED}: 請確認 please check"
    yield f"{FILL_IN}: 卡片沒有說 the card does not say"
    if found.chip:
        yield f"# 晶片 chip: {found.chip}"
    names = [KNOWN[one.aid] for one in found.applications if one.aid in KNOWN]
    if found.hicos:
        names.append(f"HiCOS, generation {found.hicos}")
    if names:
        yield f"# 卡片上的應用程式 applications on this card: {', '.join(dict.fromkeys(names))}"
    if missing and (found.hicos or names):
        yield "# 本程式已認得的卡片不需要設定檔。A card that this program knows already needs no profile."
    for part in missing:
        yield f"{FILL_IN}: {comment(part)}"
    yield ""


def _identity(parts: Guess) -> Iterator[str]:
    if parts.identity is None and "identity" not in parts.missing:
        yield from ("", "# 沒有 [identity]：卡別與卡號依憑證 kind and number are those in the certificate")
        return
    usual, known = profile.reference_identity(), parts.identity
    identity, mark = (known, KNOWN_MARK) if known else (usual, FILL_IN)
    checked = GUESSED if known else FILL_IN
    yield from ("", "[identity]")
    if parts.identity_file:
        yield f"file = {{ {parts.identity_file} }}  {mark}"
    elif identity.fci_tag:
        yield f"fci_tag = 0x{identity.fci_tag:02X}  {mark}"
    else:
        yield f"sfi = {identity.sfi}  {mark}"
    yield f"length = {identity.length}  {mark}"
    yield f"serial = [{identity.serial[0]}, {identity.serial[1]}]  {mark}"
    for name, part in (("version", identity.version), ("type", identity.type), ("rank", identity.rank)):
        yield f"{name} = [{part[0]}, {part[1]}]  {checked}"
    for name in ("personnel", "institution", "secondary"):
        yield f'{name} = "{getattr(identity, name)}"  {checked}'


def _files(parts: Guess) -> Iterator[str]:
    yield from ("", "[files]")
    for name, place, usual in (("basic", parts.basic, 3), ("info", parts.info, 4)):
        where = place.toml if place else f"{{ sfi = {usual} }}"
        yield f"{name} = {where}  {KNOWN_MARK if place else FILL_IN}"


def _records() -> Iterator[str]:
    yield from ("", f"[records]  {GUESSED}: 衛福部文件所載的格式 the layouts that are documented")
    for name, layout in profile.reference().records.items():
        fields = ", ".join(f"{field} = [{first}, {end}]" for field, (first, end) in layout.fields.items())
        yield f'"{name}" = {{ length = {layout.length}, fields = {{ {fields} }} }}'


def _certificates(parts: Guess) -> Iterator[str]:
    found = parts.certificates
    for index in sorted({1, *found}):
        place = found.get(index)
        yield from ("", "[[certificates]]", f"index = {index}", f'use = "{USES[index]}"')
        yield f"file = {place.toml if place else '{ sfi = 11 }'}  {KNOWN_MARK if place else FILL_IN}"
        if index in MISSING_ON:
            yield f"missing_on = {MISSING_ON[index]}  {GUESSED}"


def _pin(parts: Guess) -> Iterator[str]:
    pin = parts.pin
    mark = KNOWN_MARK if pin else FILL_IN
    yield from ("", "[pin]", f"reference = 0x{pin.reference if pin else 1:02X}  {mark}")
    yield f"tries = 0                       {GUESSED}: 0 為未知 means unknown; HCA 卡為 3 on HCA cards"
    yield f'status = "empty-verify"         {GUESSED}: 會扣次數就寫 "never" if it costs a try'
    yield f'drop = "verify-ff"              {GUESSED}: 不接受就重新 SELECT falls back to SELECT'
    usual = profile.reference()
    yield f"format = {pin_format(pin.form if pin else usual.pin.format)}  {mark}"
    if parts.puk is not None:
        yield from ("", "[puk]", f"format = {pin_format(parts.puk.form)}  {KNOWN_MARK}")


def _keys(parts: Guess) -> Iterator[str]:
    keys = parts.keys or profile.reference().keys[:1]
    mark = KNOWN_MARK if parts.keys else FILL_IN
    for key in keys:
        yield from ("", "[[keys]]", f'use = "{key.use}"', f"reference = 0x{key.reference:02X}  {mark}")
        if key.algorithm:
            yield f"algorithm = 0x{key.algorithm:02X}  {mark}"
        if key.use is KeyUse.ENCRYPTION:
            yield f'missing_on = ["personnel-1"]  {GUESSED}'


def pin_format(form: PinFormat) -> str:
    """Return the format of a PIN as a profile writes it."""
    parts = [
        f"min_length = {form.min_length}",
        f"max_length = {form.max_length}",
        f'encoding = "{form.encoding}"',
    ]
    if form.stored_length:
        parts += [f"stored_length = {form.stored_length}", f"pad = 0x{form.pad:02X}"]
    if form.prefix:
        parts.append(f'prefix = "{form.prefix.hex(" ").upper()}"')
    return f"{{ {', '.join(parts)} }}"


def comment(text: str) -> str:
    """One line of printable ASCII: what a card says must not become a line of TOML."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)[:160]
