"""The rows of the HCA check page, in its order and its words."""

from __future__ import annotations

from typing import Final

from agent.selftest import card_work as work
from agent.selftest.model import Probe, Run, Text

_Line = tuple[str, str, str, Run, tuple[str, ...]]

_HCA: Final[tuple[_Line, ...]] = (
    ("module", "安全模組環境", "Security module", work.module, ()),
    ("init", "初始化", "Initialisation", work.initialise, ()),
    ("session", "開啟SESSION", "Open session", work.open_session, ("init",)),
    ("version", "卡片版本", "Card version", work.version, ("init",)),
    ("kind", "卡片類別", "Kind of card", work.kind, ("init",)),
    ("holder", "卡片基本資料", "Basic data", work.holder, ("init",)),
    ("serial", "卡片序號", "Card number", work.serial, ("init",)),
    ("info", "卡片資訊", "Card information", work.info, ("init",)),
    ("sign", "簽章", "Sign", work.sign, ("session",)),
    ("verify", "驗章", "Verify the signature", work.verify, ("sign",)),
    ("encrypt", "公鑰加密", "Encrypt with the public key", work.encrypt, ("init",)),
    ("decrypt", "私鑰解密", "Decrypt with the private key", work.decrypt, ("session", "encrypt")),
    ("session_close", "關閉SESSION", "Close session", work.close_session, ("session",)),
    ("module_close", "關閉密碼模組", "Close the cryptographic module", work.close_module, ("init",)),
)

_NHI: Final[tuple[_Line, ...]] = (
    ("module", "安全模組環境", "Security module", work.module, ()),
    ("port", "開啟讀卡機通訊埠", "Open the reader's port", work.initialise, ()),
    ("holder", "卡片基本資料", "Basic data", work.holder, ("port",)),
    ("info", "卡片資訊", "Card information", work.info, ("port",)),
    ("kind", "卡片類別", "Kind of card", work.kind, ("port",)),
    ("serial", "卡片序號", "Card number", work.serial, ("port",)),
    ("pin", "驗PIN碼", "Verify the PIN", work.open_session, ("port",)),
    ("certificate", "取憑證", "Get the certificate", work.certificate, ("port",)),
    ("sign", "簽章", "Sign", work.sign, ("pin",)),
    ("verify", "驗章", "Verify the signature", work.verify, ("sign",)),
    ("encrypt", "公鑰加密", "Encrypt with the public key", work.encrypt, ("port",)),
    ("decrypt", "私鑰解密", "Decrypt with the private key", work.decrypt, ("pin", "encrypt")),
    ("port_close", "關閉讀卡機通訊埠", "Close the reader's port", work.close_module, ("port",)),
)

_OFF_CARD: Final = (work.module, work.verify, work.close_module)
_WAITS_FOR_A_PERSON: Final = (work.initialise, work.open_session, work.sign, work.decrypt)


def _probes(group: str, lines: tuple[_Line, ...]) -> tuple[Probe, ...]:
    return tuple(
        Probe(
            f"{group}.{name}",
            Text(zh, en),
            run,
            tuple(f"{group}.{needed}" for needed in needs),
            number=number,
            on_card=run not in _OFF_CARD,
            # A person may be choosing a card, or typing a PIN here or on the reader's keypad.
            **({"seconds": None} if run in _WAITS_FOR_A_PERSON else {}),
        )
        for number, (name, zh, en, run, needs) in enumerate(lines, 1)
    )


HCA_ROWS: Final = _probes("hca", _HCA)
"""Fourteen, for an ordinary reader (一般讀卡機)."""

NHI_ROWS: Final = _probes("nhi", _NHI)
"""Thirteen, as the page has them for an NHI reader (健保專用讀卡機)."""

PIN_ROW: Final = Probe(
    "card.pin", Text("PIN 碼可試次數", "PIN tries left"), work.pin_left, on_card=True, seconds=None
)
