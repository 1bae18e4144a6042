"""What a card says of its holder and itself, in the words of the HCA page; and the same masked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent.masking import mask_id, mask_name
from agent.selftest.model import Bilingual
from hca_card.big5 import REPLACEMENT
from hca_card.errors import CardDataError
from hca_card.model import CardInfo, Citizen, Holder, Institution, Insured, Personnel

Value = tuple[str, str, str, str]
"""Title in Chinese, in English, the value, the value masked."""

_HIDDEN: Final = "***"


def holder_values(holder: Holder) -> list[Value]:
    """Return the fields in the order of the HCA page.

    Raises:
        CardDataError: a field that is plain ASCII on every card holds something else.
    """
    match holder:
        case Personnel():
            _require_plain(holder.english_name, holder.sex, holder.birth, holder.id_number, holder.category)
            return [
                ("醫事人員中文姓名", "Chinese name", holder.name, mask_name(holder.name)),
                ("醫事人員英文姓名", "English name", holder.english_name, mask_name(holder.english_name)),
                ("醫事人員性別", "sex", holder.sex, holder.sex),
                ("醫事人員出生日期", "date of birth", holder.birth, _HIDDEN),
                ("醫事人員身份證號", "ID number", holder.id_number, mask_id(holder.id_number)),
                ("醫事人員類別", "category", _category(holder), _category(holder)),
            ]
        case Institution():
            _require_plain(holder.code, holder.card_sequence, holder.telephone)
            return [
                ("醫事機構代碼", "institution code", holder.code, mask_id(holder.code)),
                ("醫事機構名稱", "institution name", holder.name, mask_name(holder.name)),
                ("卡次", "card sequence", holder.card_sequence, holder.card_sequence),
                ("醫事機構種類", "kind", holder.kind, holder.kind),
                ("醫事機構類型", "type", holder.type, holder.type),
                ("醫事機構地址", "address", holder.address, _HIDDEN),
                ("醫事機構聯絡電話", "telephone", holder.telephone, _HIDDEN),
                ("醫事機構擁有者", "owner", holder.owner, mask_name(holder.owner)),
            ]
        case Insured():
            _require_plain(holder.sex, holder.birth, holder.id_number)
            return [
                ("姓名", "name", holder.name, mask_name(holder.name)),
                ("身分證號", "ID number", holder.id_number, mask_id(holder.id_number)),
                ("出生日期", "date of birth", holder.birth, _HIDDEN),
                ("性別", "sex", holder.sex, holder.sex),
            ]
        case Citizen():
            return [("姓名", "name", holder.name, mask_name(holder.name))]


def info_values(info: CardInfo) -> list[Value]:
    """Return the card information in the order of the HCA page; none of it is personal."""
    values = [
        ("卡片支援產生RSA金鑰", "generates RSA keys", *_yes(info.generates_keys)),
        ("卡片發行日期", "issued", info.issued, info.issued),
        ("卡片有效日期啟始日", "valid from", info.valid_from, info.valid_from),
        ("卡片有效日期結束日", "valid to", info.valid_to, info.valid_to),
    ]
    opened = ("已開卡", "activated") if info.activated else ("未開卡", "not activated")
    use = "Card termination" if info.terminated else "Card on use"
    return [*values, ("卡片狀態", "state", f"{opened[0]} {use}", f"{opened[1]}, {use}")]


def texts(values: Iterable[Value]) -> tuple[Bilingual, Bilingual]:
    """Return the values as one sentence, and as one without personal data."""
    listed = list(values)
    plain = Bilingual(
        "；".join(f"{zh}：{value}" for zh, _, value, _ in listed),
        "; ".join(f"{en}: {value}" for _, en, value, _ in listed),
    )
    masked = Bilingual(
        "；".join(f"{zh}：{value}" for zh, _, _, value in listed),
        "; ".join(f"{en}: {value}" for _, en, _, value in listed),
    )
    return plain, masked


def info_text(info: CardInfo) -> Bilingual:
    """Return the card information as one sentence."""
    values = info_values(info)
    return Bilingual(
        "；".join(f"{zh}：{value}" for zh, _, value, _ in values),
        "; ".join(f"{en}: {value}" for _, en, _, value in values),
    )


def _yes(value: bool) -> tuple[str, str]:
    return ("是", "yes") if value else ("否", "no")


def _category(holder: Personnel) -> str:
    return f"{holder.category} {holder.category_text}".strip()


def _require_plain(*fields: str) -> None:
    if any(REPLACEMENT in field or not field.isascii() for field in fields):
        raise CardDataError("a field that is plain ASCII on every card is not")
