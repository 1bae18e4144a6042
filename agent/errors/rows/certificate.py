"""Rows of the error table about certificates: their time, their issuer, their revocation."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc
from agent.errors.rows.next_steps import REINSERT_EN, REINSERT_ZH

_RENEW_ZH: Final = "請到 hca.nat.gov.tw 辦理「醫事憑證到期線上插卡換發」。"
_RENEW_EN: Final = "Renew the certificate at hca.nat.gov.tw (醫事憑證到期線上插卡換發)."

CERTIFICATE_ROWS: Final = (
    ErrorRow(
        "certificate.malformed",
        "憑證內容無法解讀。",
        "The certificate cannot be read.",
        REINSERT_ZH,
        REINSERT_EN,
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
        "certificate.ends_soon",
        "憑證快要到期。",
        "The certificate ends soon.",
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
    ErrorRow(
        "certificate.revoked",
        "憑證已經廢止，入口網站不會接受它。",
        "The certificate has been revoked; portals will not accept it.",
        "請撥 0800-364-422 詢問廢止原因，並到 hca.nat.gov.tw 申請新卡。",
        "Call 0800-364-422 to ask why, and apply for a new card at hca.nat.gov.tw.",
        5020,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_unknown",
        "憑證管理中心的查詢服務不認得這張憑證。",
        "The authority's status service does not know this certificate.",
        "新卡請隔天再試；若仍然如此，請撥 0800-364-422。",
        "If the card is new, try again tomorrow; otherwise call 0800-364-422.",
        5030,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_unreachable",
        "憑證管理中心的查詢服務沒有回應，無法得知憑證是否被廢止。",
        "The authority's status service did not answer: whether the certificate is revoked cannot be told.",
        "卡片仍可使用；請稍後再試，若一直如此，請資訊人員確認這台電腦能連到憑證管理中心。",
        "The card still works; try again later, and if it stays so, have IT check that this computer can"
        " reach the authority.",
        5030,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_unusable",
        "憑證狀態查詢得到的答案無法使用。",
        "The answer about the certificate's status cannot be used.",
        "請稍後再試；若一直如此，請資訊人員檢查網路上的代理伺服器或登入頁是否擋住了查詢。",
        "Try again later; if it stays so, have IT check whether a proxy or a log-in page of the network"
        " stands in the way.",
        5030,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_stale",
        "憑證狀態查詢得到的答案已經過期，不予採用。",
        "The answer about the certificate's status is out of date and is not believed.",
        "請確認電腦的日期與時間正確，稍後再試。",
        "Check that this computer's date and time are right, and try again later.",
        5030,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_forged",
        "憑證狀態查詢得到的答案不是憑證管理中心簽的，可能有人竄改網路內容。",
        "The answer about the certificate's status was not signed by its authority; somebody may be altering"
        " what the network carries.",
        "請先不要用這個網路登入或簽章，並請資訊人員檢查網路。",
        "Do not log in or sign on this network for now, and have IT look at it.",
        5030,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "certificate.status_no_address",
        "憑證沒有寫明可以到哪裡查詢它的狀態。",
        "The certificate does not say where its status can be asked.",
        "不需要處理；系統管理者可以在設定檔的 [certificates] 指定查詢位址。",
        "Nothing needs doing; the administrator can name an address under [certificates].",
        5030,
        JsonRpc.CERTIFICATE,
    ),
)
