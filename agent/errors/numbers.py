"""Every number that a ServiSign page can meet, in words: the other side of the table of errors.

The rows of `agent.errors.table` are kinds of trouble, and several share a number, because the old protocol
has fewer. Here each number stands once, those that this program never gives included: people bring them from
the vendor's program. 9001 to 9083 are PKCS#11's return values in the order of its specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final


class Advice(Enum):
    """What to do about a number: Traditional Chinese, English."""

    PIN = (
        "請確認 PIN 碼後再試；鎖住時請到 hca.nat.gov.tw 解鎖，或撥 0800-364-422。",
        "Check the PIN and try again; a locked one is unlocked at hca.nat.gov.tw or by 0800-364-422.",
    )
    CARD = (
        "請把卡片拔出、擦拭晶片後重新插入，再試一次。",
        "Take the card out, wipe its chip, put it back, then try again.",
    )
    READER = (
        "請確認一般讀卡機已接上、卡片已插好，再試一次。",
        "Check that an ordinary reader is connected and the card is in it, then try again.",
    )
    SITE = (
        "請把這個代碼告訴網站管理者：網頁送出的要求有誤。",
        "Tell the site's administrator this number: the page sent a faulty request.",
    )
    AGAIN = (
        "請再試一次；若一直發生，請執行 hca-agent selftest 並把報告交給服務人員。",
        "Try again; if it keeps happening, give your help desk the report of hca-agent selftest.",
    )
    CERTIFICATE = (
        "請到 hca.nat.gov.tw 查詢憑證狀態，必要時換發。",
        "Look at the certificate's state at hca.nat.gov.tw, and renew it where needed.",
    )
    DOUBT = (
        "請不要採信這份資料，並通知網站管理者。",
        "Do not rely on this data, and tell the site's administrator.",
    )
    NETWORK = ("請檢查網路連線，稍後再試一次。", "Check the network connection and try again later.")
    CONSENT = (
        "若要使用，請在詢問時選「允許」，或執行 hca-agent origins 修改先前的回答。",
        "To use it, choose yes when asked, or change your answer with hca-agent origins.",
    )
    OTHER_WAY = (
        "請改用這個網站的其他登入方式，例如醫事憑證。",
        "Use another way to log in to this site, an HCA card for example.",
    )
    PROGRAM = (
        "請確認 HCA Card Agent 正在執行，並執行 hca-agent selftest。",
        "Check that HCA Card Agent is running, and run hca-agent selftest.",
    )


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number in words.

    Attributes:
        zh: what it means, Traditional Chinese.
        en: the same in English.
        next_zh: what to do next.
        next_en: the same in English.
    """

    number: int
    zh: str
    en: str
    next_zh: str
    next_en: str


_S, _A, _C, _P, _R, _CERT, _DOUBT, _NET, _YES, _PROG = (
    Advice.SITE,
    Advice.AGAIN,
    Advice.CARD,
    Advice.PIN,
    Advice.READER,
    Advice.CERTIFICATE,
    Advice.DOUBT,
    Advice.NETWORK,
    Advice.CONSENT,
    Advice.PROGRAM,
)

# One line each, so that the table can be read as one.
# fmt: off
_LIBRARY: Final = (
    (13, _R, "一般錯誤，請檢查讀卡機與卡片", "General error: check reader and card"),
    (5001, _A, "一般錯誤", "General error"),
    (5002, _A, "記憶體不足", "Out of memory"),
    (5003, _S, "緩衝區太小", "Buffer too small"),
    (5004, _S, "不支援的功能", "Not supported"),
    (5005, _S, "參數錯誤", "Bad parameter"),
    (5006, _S, "代碼（handle）不存在", "No such handle"),
    (5007, _A, "試用期已過", "Trial expired"),
    (5008, _S, "不是 Base64 編碼", "Not base64"),
    (5010, _S, "找不到憑證", "No certificate found"),
    (5011, _CERT, "憑證已過期", "Certificate expired"),
    (5012, _CERT, "憑證尚未生效", "Certificate not yet valid"),
    (5013, _CERT, "憑證可能已過期", "Certificate may have expired"),
    (5014, _CERT, "憑證主體錯誤", "Wrong certificate subject"),
    (5015, _CERT, "找不到可信任的憑證簽發者", "No trusted issuer found"),
    (5016, _DOUBT, "憑證簽章無效", "Certificate signature invalid"),
    (5017, _CERT, "憑證金鑰用途不符", "Wrong key usage"),
    (5020, _CERT, "憑證已廢止", "Certificate revoked"),
    (5021, _CERT, "憑證已廢止：金鑰遭破解", "Certificate revoked: key compromised"),
    (5022, _CERT, "憑證已廢止：憑證機構金鑰遭破解", "Certificate revoked: authority compromised"),
    (5023, _CERT, "憑證已廢止：資料變更", "Certificate revoked: affiliation changed"),
    (5024, _CERT, "憑證已廢止：已被取代", "Certificate revoked: superseded"),
    (5025, _CERT, "憑證已廢止：停止使用", "Certificate revoked: cessation of operation"),
    (5026, _CERT, "憑證已暫時停用", "Certificate on hold"),
    (5028, _CERT, "憑證已自廢止清冊移除", "Certificate removed from the revocation list"),
    (5030, _S, "廢止清冊錯誤", "Bad revocation list"),
    (5031, _S, "廢止清冊已過期或尚未生效", "Revocation list not of now"),
    (5032, _DOUBT, "廢止清冊的簽章無效", "Signature of the revocation list invalid"),
    (5034, _S, "找不到廢止清冊", "No revocation list found"),
    (5035, _DOUBT, "摘要不符", "Digest does not match"),
    (5036, _DOUBT, "簽章無效", "Signature invalid"),
    (5037, _DOUBT, "內容不符", "Content does not match"),
    (5038, _S, "圖形驗證碼錯誤", "Wrong captcha"),
    (5040, _S, "格式錯誤", "Wrong format"),
    (5041, _S, "憑證格式錯誤", "Wrong certificate format"),
    (5042, _S, "廢止清冊格式錯誤", "Wrong revocation list format"),
    (5043, _S, "PKCS#7 格式錯誤", "Wrong PKCS#7 format"),
    (5044, _S, "金鑰格式錯誤", "Wrong key format"),
    (5045, _S, "憑證申請檔格式錯誤", "Wrong certificate request format"),
    (5050, _S, "找不到物件", "Object not found"),
    (5051, _S, "PKCS#7 沒有內容", "PKCS#7 without content"),
    (5052, _S, "PKCS#7 沒有憑證", "PKCS#7 without certificate"),
    (5053, _S, "PKCS#7 沒有簽章者", "PKCS#7 without signer"),
    (5060, _S, "憑證或金鑰無法使用", "Certificate or key cannot be used"),
    (5061, _A, "簽章失敗", "Signing failed"),
    (5062, _DOUBT, "驗章失敗", "Verification failed"),
    (5063, _A, "加密失敗", "Encryption failed"),
    (5064, _A, "解密失敗", "Decryption failed"),
    (5065, _A, "產生金鑰失敗", "Key generation failed"),
    (5070, _A, "使用者取消", "Cancelled by the person"),
    (5071, _P, "密碼錯誤", "Wrong password"),
    (5080, _S, "XML 錯誤", "Bad XML"),
    (5081, _S, "XML 簽章錯誤", "Bad XML signature"),
    (5204, _C, "找不到私密金鑰", "Private key missing"),
    (5205, _S, "私密金鑰不可匯出", "Private key cannot be exported"),
    (5206, _A, "無法存取憑證儲存區", "Certificate store cannot be accessed"),
    (5401, _DOUBT, "OCSP 的要求或回應無法採用", "OCSP request or answer cannot be used"),
    *((number, _NET, "OCSP 查詢錯誤", "OCSP query failed") for number in range(5410, 5426)),
    *((number, _NET, "網路錯誤", "Network error") for number in (*range(5500, 5506), 5509, 5510)),
    (5901, _S, "Unicode 轉換錯誤", "Unicode conversion failed"),
    (5902, _S, "找不到檔案", "File not found"),
    (5906, _YES, "存取被拒絕", "Access denied"),
    (5907, _S, "元件未獲授權", "Component not authorised"),
    (5908, _S, "元件授權驗證失敗", "Component authorisation failed"),
    (9001, _A, "操作已取消", "Cancelled"),
    (9002, _A, "主機記憶體不足", "Out of host memory"),
    (9003, _R, "讀卡機代碼錯誤，或不知道要用哪一張卡片", "Wrong slot, or no telling which card is meant"),
    (9004, _A, "一般錯誤", "General error"),
    (9005, _C, "功能執行失敗", "Function failed"),
    (9006, _S, "參數錯誤", "Bad arguments"),
    (9007, _A, "沒有事件", "No event"),
    (9008, _A, "需要建立執行緒", "Needs to create threads"),
    (9009, _A, "無法鎖定", "Cannot lock"),
    (9010, _S, "屬性唯讀", "Attribute is read-only"),
    (9011, _S, "屬性為機密，不可讀取", "Attribute is sensitive"),
    (9012, _S, "屬性類型無效", "Attribute type invalid"),
    (9013, _S, "屬性值無效", "Attribute value invalid"),
    (9014, _S, "資料無效，或不可簽章", "Data invalid, or not to be signed"),
    (9015, _S, "資料長度錯誤", "Wrong length of data"),
    (9016, _C, "裝置錯誤", "Device error"),
    (9017, _C, "裝置記憶體不足", "Out of device memory"),
    (9018, _C, "卡片已移除或更換", "Card removed or exchanged"),
    (9019, _S, "密文無效", "Encrypted data invalid"),
    (9020, _S, "密文長度錯誤", "Wrong length of encrypted data"),
    (9021, _A, "功能已取消", "Function cancelled"),
    (9022, _A, "沒有平行執行", "Function not parallel"),
    (9023, _C, "卡片不支援這個功能", "Function not supported by the card"),
    (9024, _S, "金鑰代碼無效", "Key handle invalid"),
    (9025, _S, "金鑰長度錯誤", "Wrong key size"),
    (9026, _S, "金鑰類型不符", "Wrong key type"),
    (9027, _S, "不需要金鑰", "Key not needed"),
    (9028, _S, "金鑰已變更", "Key changed"),
    (9029, _S, "需要金鑰", "Key needed"),
    (9030, _S, "金鑰無法摘要", "Key cannot be digested"),
    (9031, _S, "金鑰不可用於這個功能", "Key not permitted for this function"),
    (9032, _S, "金鑰不可包裝", "Key cannot be wrapped"),
    (9033, _S, "金鑰不可取出", "Key cannot be extracted"),
    (9034, _S, "演算法不支援", "Mechanism not supported"),
    (9035, _S, "演算法參數錯誤", "Wrong mechanism parameter"),
    (9036, _S, "物件代碼無效", "Object handle invalid"),
    (9037, _A, "已有操作進行中", "Operation already active"),
    (9038, _S, "尚未開始操作", "Operation not initialised"),
    (9039, _P, "PIN 碼錯誤", "PIN incorrect"),
    (9040, _P, "PIN 碼無效，或只剩最後一次而沒有送出", "PIN invalid, or not sent because one try is left"),
    (9041, _P, "PIN 碼長度錯誤，或沒有輸入", "Wrong length of PIN, or none given"),
    (9042, _P, "PIN 碼已過期", "PIN expired"),
    (9043, _P, "PIN 碼已鎖住", "PIN locked"),
    (9044, _A, "連線已關閉", "Session closed"),
    (9045, _A, "連線數過多", "Too many sessions"),
    (9046, _S, "連線代碼無效", "Session handle invalid"),
    (9047, _S, "不支援平行連線", "Parallel sessions not supported"),
    (9048, _S, "連線唯讀", "Session is read-only"),
    (9049, _A, "連線已存在", "Session exists"),
    (9050, _A, "唯讀連線已存在", "Read-only session exists"),
    (9051, _A, "管理者連線已存在", "Security officer's session exists"),
    (9052, _DOUBT, "簽章無效", "Signature invalid"),
    (9053, _DOUBT, "簽章長度錯誤", "Wrong length of signature"),
    (9054, _S, "樣板不完整", "Template incomplete"),
    (9055, _S, "樣板不一致", "Template inconsistent"),
    (9056, _R, "找不到讀卡機或 HCA 卡片", "No reader, or no HCA card in it"),
    (9057, _C, "無法辨識的卡片，或卡片已終止使用", "Card not recognised, or no longer in use"),
    (9058, _C, "卡片防寫", "Card is write-protected"),
    (9059, _S, "解包金鑰代碼無效", "Unwrapping key handle invalid"),
    (9060, _S, "解包金鑰長度錯誤", "Wrong size of unwrapping key"),
    (9061, _S, "解包金鑰類型不符", "Wrong type of unwrapping key"),
    (9062, _A, "已經登入", "Already logged in"),
    (9063, _P, "尚未登入，或無人可輸入 PIN 碼", "Not logged in, or nobody there to enter the PIN"),
    (9064, _C, "PIN 碼尚未啟用，卡片未開卡", "PIN not initialised, the card is not activated"),
    (9065, _S, "使用者類型無效", "User type invalid"),
    (9066, _A, "另一位使用者已登入", "Another user is logged in"),
    (9067, _A, "使用者類型過多", "Too many user types"),
    (9068, _S, "被包裝金鑰無效", "Wrapped key invalid"),
    (9069, _S, "被包裝金鑰長度錯誤", "Wrong length of wrapped key"),
    (9070, _S, "包裝金鑰代碼無效", "Wrapping key handle invalid"),
    (9071, _S, "包裝金鑰長度錯誤", "Wrong size of wrapping key"),
    (9072, _S, "包裝金鑰類型不符", "Wrong type of wrapping key"),
    (9073, _A, "不支援亂數種子", "Random seed not supported"),
    (9074, _A, "沒有亂數產生器", "No random number generator"),
    (9075, _S, "緩衝區太小", "Buffer too small"),
    (9076, _A, "儲存的狀態無效", "Saved state invalid"),
    (9077, _S, "資訊為機密", "Information is sensitive"),
    (9078, _A, "狀態無法儲存", "State cannot be saved"),
    (9079, _A, "密碼模組尚未初始化", "Cryptographic module not initialised"),
    (9080, _A, "密碼模組已經初始化", "Cryptographic module already initialised"),
    (9081, _A, "互斥鎖錯誤", "Bad mutex"),
    (9082, _A, "互斥鎖未鎖定", "Mutex not locked"),
    (9083, _A, "廠商自訂錯誤", "Vendor defined"),
    (9100, _C, "卡片上沒有這個物件", "Object missing on the card"),
    (9101, _C, "物件已存在", "Object exists"),
    (9102, _C, "物件重複", "Object duplicated"),
    (9110, _A, "密碼模組載入失敗", "Library cannot be loaded"),
    (9111, _A, "密碼模組尚未載入", "Library not loaded"),
    (9112, _R, "找不到讀卡機", "Slot not found"),
    (9999, _A, "未知的錯誤", "Unknown error"),
    (30037, _R, "沒有插入卡片", "No card inserted"),
)

_FRAMEWORK: Final = (
    (61001, _PROG, "元件沒有執行，或尚未連線", "Program not running, or not connected yet"),
    (61002, _A, "記憶體不足", "Out of memory"),
    (61003, _S, "文字轉換錯誤", "Character conversion error"),
    (61004, _S, "文字轉換錯誤：空白文字", "Character conversion error: empty text"),
    (61005, _S, "參數錯誤", "Bad parameter"),
    (61006, _PROG, "無法連線到元件", "Cannot connect to the program"),
    (61007, _PROG, "元件已過期", "Component expired"),
    (61008, _PROG, "請使用 TLS 1.1 以上", "TLS 1.1 or newer is needed"),
    (61009, _PROG, "元件未安裝或未啟用", "Component not installed or not enabled"),
    (61010, _A, "元件忙碌中", "Busy"),
    (61011, _PROG, "系統錯誤", "System error"),
    (61012, _A, "連線代碼不存在或已結束，請重新整理網頁", "Session not known or over: reload the page"),
    (61013, _S, "沒有這個功能", "No such function"),
    (61014, _PROG, "偵測到代理伺服器", "Proxy detected"),
    (61015, _PROG, "連線中斷", "Disconnected"),
    (61102, _S, "呼叫方式錯誤", "Bad method call"),
    (61103, _S, "呼叫方式錯誤", "Bad method call"),
    (61104, _S, "呼叫方式錯誤", "Bad method call"),
    (61105, _PROG, "元件執行錯誤", "Component run error"),
    (61201, _S, "元件版本格式錯誤", "Library version format error"),
    (61202, _S, "網頁元件版本錯誤", "Adapter version error"),
    (61203, _S, "網頁要求的主程式版本錯誤", "Version stated by the adapter is wrong"),
    (61204, _S, "元件版本錯誤", "Library version error"),
    (61902, _PROG, "找不到元件檔案", "Adapter file not found"),
    (61904, _S, "連線位址不是 localhost", "Not addressed to localhost"),
    (61905, _PROG, "服務初始化失敗", "Service initialisation failed"),
    (61906, _YES, "使用者或管理者沒有允許這個網站", "Not allowed by the person or the administrator"),
    (61908, _YES, "這個網站不可使用本程式", "This site may not use this program"),
)
# fmt: on

NUMBERS: Final[Mapping[int, NumberRow]] = MappingProxyType(
    {
        number: NumberRow(number, zh + "。", en + ".", *advice.value)
        for number, advice, zh, en in (*_LIBRARY, *_FRAMEWORK)
    }
)
"""Each number with its words."""
