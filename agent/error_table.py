"""The table of errors: stable id, both sentences, what to do next, and the number each dialect gives.

A row is found by its id and an id never changes its meaning. `servisign` is the library or framework number
of docs/servisign.md; `jsonrpc` the family of JSON-RPC 2.0 §5.1 (programs tell errors apart by the id). Words
follow the portals' own: 醫事人員卡, PIN 碼, 一般讀卡機.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class JsonRpc(IntEnum):
    """Error families: the predefined ones of JSON-RPC 2.0 and ours in the range left to servers."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    READER = -32001
    CARD = -32002
    PIN = -32003
    PERMISSION = -32004
    CERTIFICATE = -32005
    DATA = -32006
    BUSY = -32007
    SETUP = -32008


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One kind of error.

    Attributes:
        id: stable, dotted, lower case.
        zh: what happened, Traditional Chinese.
        en: what happened, English.
        next_zh: what to do next, one sentence.
        next_en: the same in English.
        servisign: the number ServiSign pages know for it.
        jsonrpc: the JSON-RPC error code.
    """

    id: str
    zh: str
    en: str
    next_zh: str
    next_en: str
    servisign: int
    jsonrpc: int


_UNLOCK_ZH = "請用用戶代碼到 hca.nat.gov.tw 解鎖，或撥 0800-364-422；若您有 PUK 碼也可以用它解鎖。"
_UNLOCK_EN = (
    "Unlock it at hca.nat.gov.tw with your user code, or call 0800-364-422; a PUK also works if you have one."
)
_REINSERT_ZH = "請把卡片拔出、擦拭晶片後重新插入，再試一次。"
_REINSERT_EN = "Take the card out, wipe its chip, put it back, then try again."
_AGAIN_ZH = "請再試一次；若一直發生，請執行 hca-agent selftest 並把報告交給服務人員。"
_AGAIN_EN = "Try again; if it keeps happening, run hca-agent selftest and give its report to your help desk."
_DEVELOPER_ZH = "請聯絡網站管理者：網頁送出的要求有誤。"
_DEVELOPER_EN = "Tell the site's administrator: the page sent a faulty request."
_RENEW_ZH = "請到 hca.nat.gov.tw 辦理「醫事憑證到期線上插卡換發」。"
_RENEW_EN = "Renew the certificate at hca.nat.gov.tw (醫事憑證到期線上插卡換發)."

_READER_ROWS = (
    ErrorRow(
        "service.unavailable",
        "這台電腦的智慧卡服務沒有執行。",
        "The smart card service of this computer is not running.",
        "請啟動智慧卡服務（Windows: Smart Card；Linux: pcscd）後再試一次。",
        "Start the smart card service (Windows: Smart Card; Linux: pcscd) and try again.",
        9056,
        JsonRpc.READER,
    ),
    ErrorRow(
        "reader.none",
        "找不到讀卡機。",
        "There is no card reader.",
        "請接上一般讀卡機（不要使用健保卡專用讀卡機），再試一次。",
        "Connect an ordinary card reader (not the NHI one) and try again.",
        9056,
        JsonRpc.READER,
    ),
    ErrorRow(
        "reader.unavailable",
        "指定的讀卡機不見了。",
        "The card reader asked for is not there any more.",
        "請重新接上讀卡機，再試一次。",
        "Connect the reader again and try again.",
        9056,
        JsonRpc.READER,
    ),
    ErrorRow(
        "reader.busy",
        "另一個程式正在獨占這張卡片。",
        "Another program is using this card exclusively.",
        "請關閉其他正在使用讀卡機的程式，再試一次。",
        "Close the other programs that use the reader and try again.",
        9016,
        JsonRpc.BUSY,
    ),
    ErrorRow(
        "reader.failed",
        "讀卡機發生錯誤。",
        "The card reader reported an error.",
        "請拔下讀卡機重新接上，再試一次。",
        "Unplug the reader, connect it again, and try again.",
        9016,
        JsonRpc.READER,
    ),
)

_CARD_ROWS = (
    ErrorRow(
        "card.none",
        "讀卡機裡沒有卡片。",
        "There is no card in the reader.",
        "請於讀卡機插入您的卡片，再試一次。",
        "Put your card into the reader and try again.",
        9056,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.removed",
        "卡片在處理途中被拔出。",
        "The card was pulled out in the middle of the work.",
        "請插回卡片，等到完成後再拔出。",
        "Put the card back and leave it in until the work is done.",
        9018,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.reset",
        "另一個程式在處理途中重置了卡片。",
        "Another program reset the card in the middle of the work.",
        "請關閉其他正在使用讀卡機的程式，再試一次。",
        "Close the other programs that use the reader and try again.",
        9016,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.mute",
        "卡片沒有回應。",
        "The card does not answer.",
        "請確認晶片朝正確方向並擦拭乾淨，重新插入後再試一次。",
        "Check that the chip faces the right way and is clean, put the card back, and try again.",
        9056,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.communication",
        "與卡片的通訊失敗。",
        "The exchange with the card failed.",
        _REINSERT_ZH,
        _REINSERT_EN,
        9016,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.malformed",
        "卡片回覆的資料不正確。",
        "The card answered data that cannot be right.",
        _REINSERT_ZH,
        _REINSERT_EN,
        9016,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.status",
        "卡片拒絕了這個動作。",
        "The card refused this step.",
        _AGAIN_ZH,
        _AGAIN_EN,
        9005,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.failed",
        "卡片無法完成這個動作。",
        "The card could not do this.",
        _AGAIN_ZH,
        _AGAIN_EN,
        9005,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.timeout",
        "卡片太久沒有完成這個動作。",
        "The card took too long.",
        "請關閉其他正在使用讀卡機的程式、重新插入卡片，再試一次。",
        "Close other programs that use the reader, put the card in again, and try again.",
        9016,
        JsonRpc.BUSY,
    ),
    ErrorRow(
        "card.unknown",
        "這張卡片不是本程式認得的卡片。",
        "This card is none that this program knows.",
        "請插入醫事人員卡、醫事機構卡、健保卡或自然人憑證。",
        "Put in an HCA personnel or institution card, an NHI card or a citizen card.",
        9056,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.wrong_kind",
        "讀卡機裡的卡片種類不對。",
        "The card in the reader is not of the kind that is needed here.",
        "請換成網站要求的卡片，再試一次。",
        "Put in the kind of card that the site asks for and try again.",
        9057,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.unsupported",
        "這張卡片不支援這個功能。",
        "This card cannot do what was asked.",
        "請改用支援此功能的卡片（健保卡不能簽章，簽章請用醫事憑證卡）。",
        "Use a card that can (an NHI card cannot sign; an HCA card can).",
        9023,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.changed",
        "讀卡機裡的卡片已經換過，沒有使用 PIN 碼。",
        "The card in the reader is not the one this began with; no PIN was used.",
        "請插回原來的卡片，從頭再做一次。",
        "Put the first card back and start again.",
        9018,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.not_activated",
        "這張卡片未開卡。",
        "This card has not been activated (未開卡).",
        "請先到 hca.nat.gov.tw 完成開卡，或撥 0800-364-422。",
        "Activate it first at hca.nat.gov.tw, or call 0800-364-422.",
        9064,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.terminated",
        "這張卡片已經停用。",
        "This card has been terminated.",
        "請改用有效的卡片，或撥 0800-364-422 詢問換發。",
        "Use a valid card, or call 0800-364-422 about a new one.",
        9057,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.object_missing",
        "卡片裡沒有需要的憑證或金鑰。",
        "The card does not have the certificate or key that is needed.",
        "請改用有這個憑證的卡片（第一版醫事人員卡沒有加密憑證）。",
        "Use a card that has it (a version 1 personnel card has no encryption certificate).",
        9100,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "card.ambiguous",
        "有一張以上的卡片可用，不知道該用哪一張。",
        "More than one card could be used and nobody said which.",
        "請只留下要用的卡片，或指定讀卡機。",
        "Leave only the card you want in its reader, or name the reader.",
        9003,
        JsonRpc.CARD,
    ),
)

_PIN_ROWS = (
    ErrorRow(
        "pin.wrong",
        "PIN 碼錯誤。",
        "The PIN was wrong.",
        "請確認 PIN 碼後再輸入；連續錯誤三次會鎖卡。",
        "Check the PIN before you enter it again; three wrong ones in a row lock the card.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow("pin.locked", "PIN 碼已鎖住。", "The PIN is locked.", _UNLOCK_ZH, _UNLOCK_EN, 9043, JsonRpc.PIN),
    ErrorRow(
        "pin.length",
        "PIN 碼的長度不對，沒有送給卡片。",
        "The PIN has a length this card does not take; it was not sent.",
        "請輸入 6 到 8 個字元的 PIN 碼。",
        "Enter a PIN of 6 to 8 characters.",
        9041,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.last_try",
        "PIN 碼只剩最後一次機會，沒有人確認要使用，所以沒有送給卡片。",
        "Only one try is left and nobody confirmed using it; the PIN was not sent.",
        "請在本程式自己的視窗輸入 PIN 碼並確認，或先解鎖：hca.nat.gov.tw、0800-364-422。",
        "Enter the PIN in this program's own window and confirm, or unlock it first (hca.nat.gov.tw).",
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.failed",
        "PIN 碼無法驗證。",
        "The PIN could not be verified.",
        _AGAIN_ZH,
        _AGAIN_EN,
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.cancelled",
        "已取消輸入 PIN 碼。",
        "Entering the PIN was cancelled.",
        "需要時請重新操作。",
        "Start again when you want to go on.",
        9001,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.unavailable",
        "需要 PIN 碼，但沒有人可以詢問。",
        "A PIN is needed and there is nobody to ask.",
        "請在有畫面或終端機的環境使用，或改用 --pin-stdin。",
        "Use this where there is a screen or a terminal, or use --pin-stdin.",
        9063,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.tries_changed",
        "詢問期間有別的程式用掉了 PIN 碼的嘗試次數，所以沒有送出您的 PIN 碼。",
        "Another program used up PIN tries while you were asked; your PIN was not sent.",
        "請關閉其他使用卡片的程式，再試一次。",
        "Close the other programs that use the card and try again.",
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.changed_elsewhere",
        "本次登入所保留的 PIN 碼已不正確，已刪除。",
        "The PIN kept for this session is no longer right and has been deleted.",
        "卡片的 PIN 碼可能被別的程式改過，請重新登入並輸入現在的 PIN 碼。",
        "Another program may have changed the card's PIN: log in again with the present one.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.not_kept",
        "這次登入的 PIN 碼已不再保留。",
        "The PIN of this session is no longer kept.",
        "請重新登入並輸入 PIN 碼。",
        "Log in again and enter the PIN.",
        9063,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "puk.wrong",
        "PUK 碼錯誤。",
        "The PUK was wrong.",
        "請確認 PUK 碼後再輸入；錯誤太多次就無法再用它解鎖。",
        "Check the PUK before you enter it again; too many wrong ones end its use.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "puk.locked",
        "PUK 碼已鎖住。",
        "The PUK is locked.",
        "請用用戶代碼到 hca.nat.gov.tw 解鎖，或撥 0800-364-422。",
        "Unlock the card at hca.nat.gov.tw with your user code, or call 0800-364-422.",
        9043,
        JsonRpc.PIN,
    ),
)

_PERMISSION_ROWS = (
    ErrorRow(
        "origin.refused",
        "這個網站不被允許使用本程式。",
        "This site is not allowed to use this program.",
        "若您信任這個網站，請用 hca-agent origins allow 加入，或請管理者加入。",
        "If you trust the site, add it with hca-agent origins allow, or ask your administrator to.",
        61908,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "origin.not_https",
        "只有 https 網站可以要求登入。",
        "Only https sites can ask for a log-in.",
        "請改用網站的 https 網址。",
        "Use the https address of the site.",
        61906,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "consent.refused",
        "您沒有允許這個網站這樣做。",
        "You have not allowed the site to do this.",
        "若要允許，請十分鐘後再試，或用 hca-agent origins forget 清除這個回答。",
        "To allow it, try again in ten minutes, or clear the answer with hca-agent origins forget.",
        61906,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "consent.timeout",
        "沒有人回答是否允許這個網站。",
        "Nobody answered whether the site may do this.",
        "請再試一次，並在本程式的視窗回答。",
        "Try again and answer in this program's window.",
        9001,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "interaction.unavailable",
        "需要詢問使用者，但沒有畫面可用。",
        "A person must be asked and there is no screen to ask on.",
        "請管理者把這個網站加入允許清單，或在有畫面的環境使用。",
        "Have the administrator allow the site, or use this where there is a screen.",
        61906,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "digest.refused",
        "這個網站不可以要求直接簽署雜湊值。",
        "This site may not ask for signatures over bare digests.",
        "網站應改送要簽署的文件；需要時請管理者把網站列入 [origins] digest。",
        "The site should send the document; an administrator can list it under [origins] digest.",
        5906,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "access.denied",
        "網頁不可以要求這個動作。",
        "Pages may not ask for this.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        5906,
        JsonRpc.PERMISSION,
    ),
)

_DATA_ROWS = (
    ErrorRow(
        "document.refused",
        "這份內容可能是偽裝的登入訊息，不能簽署。",
        "This content could be a disguised log-in and is not signed.",
        "請改簽其他文件；長度正好 64、96 或 128 位元組的非文字內容一律不簽。",
        "Sign another document; content of exactly 64, 96 or 128 bytes that is not text is never signed.",
        9014,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "hash.unsupported",
        "不支援這個雜湊演算法或長度。",
        "This hash algorithm or digest length is not supported.",
        "請使用 SHA-256。",
        "Use SHA-256.",
        9034,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "signature.invalid",
        "簽章與內容不符。",
        "The signature does not belong to this content.",
        "請確認檔案沒有被改過，且簽章與憑證是同一份。",
        "Check that the file has not been changed and that signature and certificate belong together.",
        9052,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "cipher.invalid",
        "密文無法用這張卡片解開。",
        "The data cannot be decrypted with this card.",
        "請確認密文是用這張卡片的加密憑證加密的。",
        "Check that it was encrypted for this card's encryption certificate.",
        9019,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "token.invalid",
        "登入憑據無效。",
        "The log-in token is not valid.",
        "請重新登入。",
        "Log in again.",
        5036,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "nonce.invalid",
        "網站給的登入亂數不合格。",
        "The nonce that the site gave is not acceptable.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        9014,
        JsonRpc.INVALID_PARAMS,
    ),
    ErrorRow(
        "data.too_long",
        "資料太長，無法用卡片的金鑰加密。",
        "The data is too long to encrypt with a card's key.",
        "請改用較短的資料（RSA 2048 金鑰最多 245 位元組）。",
        "Use shorter data (at most 245 bytes with an RSA 2048 key).",
        9020,
        JsonRpc.DATA,
    ),
)

_CERTIFICATE_ROWS = (
    ErrorRow(
        "certificate.malformed",
        "憑證內容無法解讀。",
        "The certificate cannot be read.",
        _REINSERT_ZH,
        _REINSERT_EN,
        5060,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.expired",
        "憑證已經過期。",
        "The certificate has expired.",
        _RENEW_ZH,
        _RENEW_EN,
        5011,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.not_yet_valid",
        "憑證還沒生效。",
        "The certificate is not valid yet.",
        "請確認電腦的日期與時間正確。",
        "Check that this computer's date and time are right.",
        5012,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.untrusted",
        "憑證不是由信任的機構簽發。",
        "The certificate was not issued by anybody trusted here.",
        "請改用醫事憑證管理中心簽發的卡片（模擬卡不能用於正式環境）。",
        "Use a card issued by HCA (simulated cards are not for real sites).",
        5015,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.wrong_use",
        "這張憑證不是作這個用途的。",
        "The certificate is not meant for this use.",
        "簽章請用簽章憑證，加密請用加密憑證。",
        "Use the signature certificate for signatures and the encryption one for encryption.",
        5017,
        JsonRpc.CERTIFICATE,
    ),
)

_REQUEST_ROWS = (
    ErrorRow(
        "request.malformed",
        "要求的格式不正確。",
        "The request is malformed.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.INVALID_REQUEST,
    ),
    ErrorRow(
        "request.not_json",
        "要求不是正確的 JSON。",
        "The request is not valid JSON.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.PARSE_ERROR,
    ),
    ErrorRow(
        "request.encoding",
        "要求不是正確的 UTF-8 文字。",
        "The request is not valid UTF-8 text.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.PARSE_ERROR,
    ),
    ErrorRow(
        "request.binary",
        "要求必須是文字，不能是二進位資料。",
        "A request is text; binary frames are not taken.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.INVALID_REQUEST,
    ),
    ErrorRow(
        "request.batch",
        "不接受成批的要求。",
        "Batches of requests are not taken.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.INVALID_REQUEST,
    ),
    ErrorRow(
        "request.parameters",
        "要求裡有欄位的值不正確，或缺少欄位。",
        "A member of the request has a wrong value or is missing.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.INVALID_PARAMS,
    ),
    ErrorRow(
        "request.too_large",
        "要求的內容太大。",
        "The request is too large.",
        "請改簽較小的文件，或分批處理。",
        "Use a smaller document, or several requests.",
        61005,
        JsonRpc.INVALID_REQUEST,
    ),
    ErrorRow(
        "request.unknown_method",
        "沒有這個功能。",
        "There is no such method.",
        "請更新本程式；若已是最新版，請聯絡網站管理者。",
        "Update this program; if it is up to date, tell the site's administrator.",
        61013,
        JsonRpc.METHOD_NOT_FOUND,
    ),
    ErrorRow(
        "request.unknown_member",
        "要求裡有不認得的欄位。",
        "The request has a member that is not known.",
        _DEVELOPER_ZH,
        _DEVELOPER_EN,
        61005,
        JsonRpc.INVALID_PARAMS,
    ),
    ErrorRow(
        "request.rate",
        "這個網站的要求太頻繁。",
        "This site asks too often.",
        "請稍候再試。",
        "Wait a little and try again.",
        61010,
        JsonRpc.BUSY,
    ),
    ErrorRow(
        "request.cancelled",
        "要求已取消。",
        "The request was cancelled.",
        "需要時請重新操作。",
        "Start again when you want to go on.",
        9021,
        JsonRpc.BUSY,
    ),
    ErrorRow(
        "session.unknown",
        "這個連線已經結束。",
        "This session has ended or never was.",
        "請重新整理網頁後再試一次。",
        "Reload the page and try again.",
        61012,
        JsonRpc.INVALID_REQUEST,
    ),
    ErrorRow(
        "busy",
        "讀卡機正忙，等候的工作太多。",
        "The reader is busy; too much work is waiting for it.",
        "請等目前的工作完成後再試一次。",
        "Wait until the present work is done and try again.",
        61010,
        JsonRpc.BUSY,
    ),
)

_SETUP_ROWS = (
    ErrorRow(
        "config.invalid",
        "設定檔有錯。",
        "The configuration is wrong.",
        "請依訊息修改 config.toml 或 policy.toml。",
        "Correct config.toml or policy.toml as the message says.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "port.taken",
        "需要的連接埠被別的程式占用。",
        "Another program holds a port that this one needs.",
        "請關閉該程式（可能是舊的 HCAServiSign），再重新啟動本程式。",
        "Close that program (it may be the old HCAServiSign) and start this one again.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "token.unreadable",
        "無法讀取本程式的使用者權杖，或它的權限不安全。",
        "The per-user token cannot be read, or others could read it.",
        "請刪除代理程式資料夾裡的 token 檔，再重新啟動本程式。",
        "Delete the file token in the agent's folder and start this program again.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "internal",
        "本程式發生未預期的錯誤。",
        "This program failed in a way nobody foresaw.",
        "請再試一次；若一直發生，請把 hca-agent report 的結果交給服務人員。",
        "Try again; if it keeps happening, give the result of hca-agent report to your help desk.",
        9999,
        JsonRpc.INTERNAL,
    ),
)

TABLE: Final[Mapping[str, ErrorRow]] = MappingProxyType(
    {
        row.id: row
        for rows in (
            _READER_ROWS,
            _CARD_ROWS,
            _PIN_ROWS,
            _PERMISSION_ROWS,
            _DATA_ROWS,
            _CERTIFICATE_ROWS,
            _REQUEST_ROWS,
            _SETUP_ROWS,
        )
        for row in rows
    }
)
