"""What to do next where the error table speaks to somebody who does something else than testing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.errors import ErrorId, ErrorRow, ErrorText

_AGAIN: Final = (
    "請把卡片拔出、擦拭晶片後重新插入，再檢測一次；"
    "若仍失敗，請執行 hca-agent report，把產生的檔案交給服務人員。",
    "Take the card out, wipe its chip, put it back and run the self-test again; if it still fails, run"
    " hca-agent report and give its file to your help desk.",
)
_ONCE_MORE: Final = (
    "請不要拔卡，再檢測一次並輸入現在的 PIN 碼。",
    "Leave the card in, run the self-test again and enter its present PIN.",
)
_KEYS: Final = (
    "請再檢測一次；若仍失敗，卡片的金鑰與憑證不符，請撥 0800-364-422 詢問換卡。",
    "Run the self-test again; if it still fails, the card's key and certificate do not belong together: call"
    " 0800-364-422 about a new card.",
)

_HERE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        ErrorId.READER_NONE: (
            "請接上一般讀卡機（不要使用健保卡專用讀卡機），再檢測一次；"
            "接上了仍找不到時，請換一個 USB 插孔，或安裝讀卡機廠商的驅動程式。",
            "Connect an ordinary card reader (not the NHI one) and run the self-test again; if it is not"
            " found,"
            " use another USB socket or install its maker's driver.",
        ),
        ErrorId.CARD_AMBIGUOUS: (
            "請只留下要用的卡片再檢測一次，或在指令加上 --reader 和讀卡機名稱（hca-agent readers"
            " 會列出名稱）。",
            "Leave only the card you want and run the self-test again, or add --reader and the reader's name"
            " (hca-agent readers lists the names).",
        ),
        ErrorId.CARD_UNKNOWN: (
            "請插入醫事人員卡、醫事機構卡、健保卡或自然人憑證，再檢測一次；"
            "若已是其中一種，請執行 hca-agent report，把產生的檔案交給服務人員。",
            "Put in an HCA personnel or institution card, an NHI card or a citizen card and run the self-test"
            " again; if it is one of these, run hca-agent report and give its file to your help desk.",
        ),
        ErrorId.CARD_UNSUPPORTED: (
            "健保卡不能簽章或解密：要測試這些列，請換成醫事憑證卡再檢測一次。",
            "An NHI card cannot sign or decrypt: to test these rows, put in an HCA card and run the self-test"
            " again.",
        ),
        ErrorId.CARD_OBJECT_MISSING: (
            "第一版醫事人員卡沒有加密憑證，只能簽章；需要加密時請撥 0800-364-422 詢問換發新卡。",
            "A version 1 personnel card has no encryption certificate and can only sign; if you need"
            " encryption,"
            " call 0800-364-422 about a new card.",
        ),
        ErrorId.CARD_COMMUNICATION: _AGAIN,
        ErrorId.CARD_MALFORMED: _AGAIN,
        ErrorId.CERTIFICATE_MALFORMED: _AGAIN,
        ErrorId.PIN_WRONG: (
            "請確認 PIN 碼後再檢測一次，連續錯誤三次會鎖卡；"
            "忘記時請不要猜，到 hca.nat.gov.tw 用用戶代碼重設，或撥 0800-364-422。",
            "Check the PIN and run the self-test again; three wrong ones in a row lock the card. If you"
            " forgot"
            " it, do not guess: reset it at hca.nat.gov.tw with your user code, or call 0800-364-422.",
        ),
        ErrorId.PIN_CANCELLED: (
            "要測試簽章與解密，請再檢測一次並輸入 PIN 碼。",
            "To test signing and decrypting, run the self-test again and enter the PIN.",
        ),
        ErrorId.PIN_UNAVAILABLE: (
            "要測試簽章與解密，請在終端機再檢測一次並輸入 PIN 碼，或用 --pin-stdin 從標準輸入給。",
            "To test signing and decrypting, run the self-test again in a terminal and enter the PIN, or"
            " give it"
            " on standard input with --pin-stdin.",
        ),
        ErrorId.PIN_NOT_KEPT: _ONCE_MORE,
        ErrorId.PIN_CHANGED_ELSEWHERE: _ONCE_MORE,
        ErrorId.SIGNATURE_INVALID: _KEYS,
        ErrorId.CIPHER_INVALID: _KEYS,
        ErrorId.CERTIFICATE_EXPIRED: (
            "若這一列顯示的今天日期不對，請先把電腦的日期改正；日期沒錯的話，"
            "請到 hca.nat.gov.tw 辦理「醫事憑證到期線上插卡換發」。",
            "If today's date is wrong in this row, set this computer's date first; otherwise renew the"
            " certificate at hca.nat.gov.tw (醫事憑證到期線上插卡換發).",
        ),
        ErrorId.CERTIFICATE_NOT_YET_VALID: (
            "請把電腦的日期改成正確的（在「日期與時間」設定打開自動設定時間），再檢測一次；"
            "日期沒錯的話，請等到憑證生效那天。",
            "Set this computer's date (turn on automatic time in the system's date and time settings) and run"
            " the self-test again; if the date is right, wait until the certificate begins.",
        ),
        ErrorId.PORT_TAKEN: (
            "請關閉這一列所列的程式（可能是舊的 HCAServiSign），再重新啟動 HCA Card Agent。",
            "Close the program named in this row (it may be the old HCAServiSign) and start HCA Card Agent"
            " again.",
        ),
        ErrorId.TRUST_LOCKED: (
            "請執行 hca-agent trust install：它會說明要在 Firefox 匯入哪個檔案、在哪裡匯入。",
            "Run hca-agent trust install: it tells which file to import in Firefox, and where.",
        ),
    }
)


def next_step(told: ErrorRow | ErrorText) -> tuple[str, str]:
    """What whoever reads a row of the self-test should do about an error, in both languages."""
    if "hca-agent selftest" in told.next_zh:
        # They have just run it: to be told to run it leads nowhere.
        return _AGAIN
    return _HERE.get(told.id, (told.next_zh, told.next_en))
