"""From what a trace shows to the draft of a card profile: each line says whether it was seen, or guessed.

The draft is tried on the card as it was recorded, so that it says at least what the other program got.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hca_card import profile, tlv
from hca_card.certificate import curve_bits
from hca_card.certificate_numbers import USES
from hca_card.errors import CardDataError
from hca_card.model import KeyUse
from hca_card.pin_block import PinFormat
from hca_card.pkcs15_roles import algorithm_for
from hca_card.probe.draft import FILL_IN, GUESSED, KNOWN_MARK, MISSING_ON, Draft, comment, pin_format, tried
from hca_card.profile import ProfileError
from hca_card.profile_format import Form, KeyKind, Operation
from hca_card.traces.contents import quoted
from hca_card.traces.dealings import INTERNAL_AUTHENTICATE
from hca_card.traces.parts import Parts, parts_of
from hca_card.traces.recorded_card import RecordedCard
from hca_card.traces.secrets import PinShape
from hca_card.traces.understanding import KeyUsed, Understood

SEEN: Final = "# 已見 seen"

_PIN_LENGTHS: Final = (6, 8)
_TEMPLATES: Final = {True: 0xB6, False: 0xB8}
_CHAIN_MOST: Final = 255
_SET: Final = 0x41
_RESTORE: Final = 0xF3
_KEY_TAGS: Final = {0x80: "algorithm", 0x84: "reference"}


def draft(card: RecordedCard, understood: Understood) -> Draft:
    """Return the draft for a card that was recorded."""
    parts = parts_of(card, understood)
    missing = tuple(_missing(card, understood, parts))
    if not missing:
        whole = _text(card, understood, parts, ())
        try:
            trouble = tried(card, profile.parse(whole))
        except ProfileError as error:
            trouble = str(error)
        if not trouble:
            return Draft(whole, True, ())
        missing = (trouble,)
    text = _text(card, understood, parts, missing)
    try:
        profile.parse(text)
    except ProfileError as error:
        # A trace may show what no profile can say: then the draft says that, and nothing of it.
        missing = (*missing, str(error))
        nothing = Parts(b"", None, {}, None, None, None)
        text = _text(RecordedCard(card.atr), Understood(), nothing, missing)
    return Draft(text, False, missing)


def _keys_application(understood: Understood) -> bytes:
    return understood.keys[-1].application if understood.keys else b""


def _missing(card: RecordedCard, understood: Understood, parts: Parts) -> Iterator[str]:
    if not parts.aid:
        yield "aid: no application was selected by its identifier"
    if 1 not in parts.certificates:
        yield "certificates: the holder's certificate for signatures was not read"
    if parts.identity is None and not card.atr:
        yield "atrs: the trace does not tell the answer to reset (import-trace --atr)"
    verified = understood.verified
    if verified is None and parts.pin is None:
        secure = any(one.dealing.secure for one in understood.pins) or understood.secure
        yield "pin: it is sent under secure messaging" if secure else "pin: no PIN was taken by the card"
    elif verified is not None and verified.dealing.shape is None and parts.pin is None:
        yield "pin: it is written in a way that is not known, encrypted perhaps"
    signing = [one for one in understood.keys if one.signs]
    if parts.key(KeyUse.SIGNATURE) is not None:
        return
    if not signing:
        yield "keys: nothing was signed"
    elif all(_form(one) is None for one in signing):
        yield "keys: what the key was given to sign is no digest, no DigestInfo and no padded block"


def _text(card: RecordedCard, understood: Understood, parts: Parts, missing: tuple[str, ...]) -> str:
    return "\n".join(_lines(card, understood, parts, missing)) + "\n"


def _lines(
    card: RecordedCard, understood: Understood, parts: Parts, missing: tuple[str, ...]
) -> Iterator[str]:
    yield "# 卡片設定檔草稿，由 hca-agent card import-trace 產生。說明見 docs/card-profiles.md。"
    yield "# Draft of a card profile, made by hca-agent card import-trace: see docs/card-profiles.md."
    yield f"{SEEN}: 紀錄裡看到的 the trace shows it"
    if parts.directory is not None:
        yield f"{KNOWN_MARK}: 卡片的 PKCS#15 目錄說的 the card's PKCS#15 directory says so"
    yield f"{GUESSED}: 請確認 please check"
    yield f"{FILL_IN}: 紀錄裡沒有 the trace does not show it"
    for part in missing:
        yield f"{FILL_IN}: {comment(part)}"
    yield ""
    yield f'name = "traced-{parts.aid.hex() or "unknown"}"'
    if missing:
        yield "draft = true                    # 填好後刪除這一行 · remove this line once all is filled in"
    if card.atr:
        yield f"atrs = [{quoted(card.atr)}]  {SEEN}"
    elif parts.identity is None:
        yield f'atrs = ["3B 00"]  {FILL_IN}'
    yield f"aid = {quoted(parts.aid or bytes.fromhex('F000000000'))}  {SEEN if parts.aid else FILL_IN}"
    yield from _identity_lines(parts)
    yield from _file_lines(parts)
    yield from _certificate_lines(parts)
    yield from _pin_lines(understood, parts)
    yield from _key_lines(understood, parts)
    yield from _command_lines(card, understood)


def _identity_lines(parts: Parts) -> Iterator[str]:
    if parts.identity is None:
        yield f"{GUESSED}: 種類與號碼由憑證得知 no [identity]: the certificate says kind and number"
        return
    identity, where = parts.identity
    yield from ("", "[identity]", f"{where}  {SEEN}", f"length = {identity.length}  {SEEN}")
    yield f"serial = [{identity.serial[0]}, {identity.serial[1]}]  {SEEN}"
    for name, part in (("version", identity.version), ("type", identity.type), ("rank", identity.rank)):
        yield f"{name} = [{part[0]}, {part[1]}]  {GUESSED}"
    for name in ("personnel", "institution", "secondary"):
        yield f'{name} = "{getattr(identity, name)}"  {GUESSED}'


def _file_lines(parts: Parts) -> Iterator[str]:
    if parts.basic is None or parts.info is None:
        yield f"{GUESSED}: 沒有 [files]：基本資料與卡片資訊沒有都讀到 no [files]: not both records were read"
        return
    yield from ("", "[files]")
    for name, place in (("basic", parts.basic), ("info", parts.info)):
        yield f"{name} = {place.toml(parts.aid)}  {SEEN}"


def _certificate_lines(parts: Parts) -> Iterator[str]:
    for index in sorted({1, *parts.certificates}):
        place = parts.certificates.get(index)
        yield from ("", "[[certificates]]", f"index = {index}", f'use = "{USES[index]}"')
        yield f"file = {place.toml(parts.aid) if place else '{ sfi = 11 }'}  {SEEN if place else FILL_IN}"
        if index in MISSING_ON:
            yield f"missing_on = {MISSING_ON[index]}  {GUESSED}"


def _pin_lines(understood: Understood, parts: Parts) -> Iterator[str]:
    verified = understood.verified
    listed = parts.pin
    yield from ("", "[pin]")
    if verified is not None:
        yield f"reference = 0x{verified.dealing.header[3]:02X}  {SEEN}"
    else:
        yield f"reference = 0x{listed.reference if listed else 1:02X}  {KNOWN_MARK if listed else FILL_IN}"
    shape = verified.dealing.shape if verified else None
    if listed is not None:
        yield f"format = {pin_format(listed.form)}  {KNOWN_MARK}"
    else:
        mark = SEEN if shape else FILL_IN
        yield f"format = {pin_format(_format_of(shape))}  {mark}；{_about_lengths(shape)}"
    if understood.tries:
        yield f"tries = {understood.tries}  {GUESSED}: 看過最多的次數 the most that was seen"
    if understood.asked_tries:
        yield f'status = "empty-verify"  {SEEN}'
    else:
        yield f'status = "never"  {GUESSED}: 沒看到不帶資料的 VERIFY no VERIFY without data was seen'
    if understood.dropped_by_ff:
        yield f'drop = "verify-ff"  {SEEN}'
    else:
        yield f'drop = "reset"  {GUESSED}: 最可靠 the surest way'
    elsewhere = _keys_application(understood)
    if elsewhere and elsewhere != parts.aid:
        yield f"aid = {quoted(elsewhere)}  {SEEN}"


def _format_of(shape: PinShape | None) -> PinFormat:
    least, most = _PIN_LENGTHS
    if shape is None:
        return PinFormat(least, most)
    # Eight characters show no padding: until somebody knows it, no other length is sent.
    return PinFormat(
        most if shape.full else least, most, shape.encoding, shape.stored_length, shape.pad, shape.prefix
    )


def _about_lengths(shape: PinShape | None) -> str:
    if shape is not None and shape.full:
        return "推測 guessed: 只看到 8 碼，不知道較短的如何填補 how a shorter PIN is padded was not seen"
    return "推測 guessed: 長度 6 至 8 碼 lengths of 6 to 8"


def _key_lines(understood: Understood, parts: Parts) -> Iterator[str]:
    found = False
    elliptic = 1 in parts.certificates and curve_bits(parts.certificates[1].data) > 0
    for use in KeyUse:
        signs = use is KeyUse.SIGNATURE
        fitting = [one for one in understood.keys if one.signs is signs and (not signs or _form(one))]
        listed = parts.key(use)
        if not fitting and listed is None:
            continue
        found = found or signs
        yield from ("", "[[keys]]", f'use = "{use}"')
        if fitting:
            yield from _choice_lines(fitting[-1])
            yield from _work_lines(fitting[-1], elliptic=elliptic)
        elif listed is not None and parts.directory is not None:
            yield f"reference = 0x{listed.reference:02X}  {KNOWN_MARK}"
            if algorithm := algorithm_for(listed, parts.directory.token):
                yield f"algorithm = 0x{algorithm:02X}  {KNOWN_MARK}"
            if listed.elliptic:
                yield f'kind = "{KeyKind.EC}"  {KNOWN_MARK}'
        if use is KeyUse.ENCRYPTION:
            yield f'missing_on = ["personnel-1"]  {GUESSED}'
    if not found:
        yield from ("", "[[keys]]", 'use = "signature"', f"reference = 0x01  {FILL_IN}")


def _choice_lines(used: KeyUsed) -> Iterator[str]:
    chosen = used.chosen
    if chosen is None:
        yield f'chosen_by = "nothing"  {SEEN}'
        return
    _, _, p1, p2 = chosen.header
    if p1 & 0x0F == 0x03 and not chosen.data:
        yield f'chosen_by = "restore"  {SEEN}'
        yield f"reference = 0x{p2:02X}  {SEEN}"
        if p1 != _RESTORE:
            yield f"environment_p1 = 0x{p1:02X}  {SEEN}"
        return
    simple = _references(chosen.data)
    if simple is None:
        yield f"environment = {quoted(chosen.data)}  {SEEN}"
    else:
        for name, value in simple.items():
            yield f"{name} = 0x{value:02X}  {SEEN}"
    if p1 != _SET:
        yield f"environment_p1 = 0x{p1:02X}  {SEEN}"
    if p2 != (0xA4 if used.work.ins == INTERNAL_AUTHENTICATE else _TEMPLATES[used.signs]):
        yield f"environment_p2 = 0x{p2:02X}  {SEEN}"


def _references(data: bytes) -> dict[str, int] | None:
    """Return algorithm and key of a control reference template, if there is nothing else in it."""
    try:
        items = tlv.objects(data, padded=False)
    except CardDataError:
        return None
    if [item.tag for item in items] not in ([0x84], [0x80, 0x84]) or any(
        len(item.value) != 1 for item in items
    ):
        return None
    return {_KEY_TAGS[item.tag]: item.value[0] for item in items}


def _form(used: KeyUsed) -> str | None:
    """Return what the key was given, as a profile writes it."""
    if used.hashed is not None:
        return str(Form.DIGEST)
    return {"DigestInfo": str(Form.DIGEST_INFO), "digest": str(Form.DIGEST), "block": str(Form.BLOCK)}.get(
        used.work.input
    )


def _work_lines(used: KeyUsed, *, elliptic: bool) -> Iterator[str]:
    work = used.work
    usual = (0x9E, 0x9A)
    if not used.signs:
        usual = (0x80, 0x86)
        if work.indicator != b"\x00":
            yield f"indicator = {quoted(work.indicator)}  {SEEN}"
        if work.length == (work.lc or 0) - len(work.indicator):
            yield f'form = "{Form.BLOCK}"  {SEEN}'
    elif work.ins == INTERNAL_AUTHENTICATE:
        usual = (0x00, 0x00)
        yield f'operation = "{Operation.INTERNAL_AUTHENTICATE}"  {SEEN}'
    elif used.hashed is not None:
        yield f'operation = "{Operation.HASH_PSO}"  {SEEN}'
    for name, value, standard in (("p1", work.header[2], usual[0]), ("p2", work.header[3], usual[1])):
        if value != standard:
            yield f"{name} = 0x{value:02X}  {SEEN}"
    if not used.signs:
        return
    if elliptic:
        yield f'kind = "{KeyKind.EC}"  {SEEN}'
    elif (form := _form(used)) != Form.DIGEST_INFO:
        yield f'form = "{form}"  {SEEN}'


def _command_lines(card: RecordedCard, understood: Understood) -> Iterator[str]:
    lines = []
    for group, key in (
        ("select", "select_class"), ("read", "read_class"), ("data", "data_class"), ("pin", "pin_class"),
        ("key", "key_class"),
    ):  # fmt: skip
        cla = understood.class_for(group)
        if cla >= 0x80:  # others of the standard only name a logical channel
            lines.append(f"{key} = 0x{cla:02X}  {SEEN}")
    if understood.selections and set(understood.selections) <= {0x0C}:
        lines.append(f"select_p2 = 0x0C  {SEEN}")
    if card.read_most:
        lines.append(f"read_most = {card.read_most}  {GUESSED}: 每次讀這麼多 it was read in such pieces")
    if 0 < understood.chain <= _CHAIN_MOST:
        lines.append(f"chain = {understood.chain}  {SEEN}")
    if lines:
        yield from ("", "[commands]", *lines)
