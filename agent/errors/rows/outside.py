"""Rows of the error table for what is asked of other machines: time stamps, OCSP, the directory."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

_SITE_ZH: Final = "請聯絡網站管理者：網頁或伺服器送出的資料有誤。"
_SITE_EN: Final = "Tell the site's administrator: the page or its server sent faulty data."

OUTSIDE_ROWS: Final = (
    ErrorRow(
        "host.not_listed",
        "這個網頁想連線的主機不在允許的清單中，所以沒有連線。",
        "The page wanted a host that is not on the list of allowed ones, so nothing was connected.",
        "若確實需要，請管理者把該主機加入設定檔 [servisign] 的 hosts。",
        "If it is needed, the administrator can add the host to hosts under [servisign].",
        5906,
        JsonRpc.PERMISSION,
    ),
    ErrorRow(
        "host.unreachable",
        "時戳、OCSP 或目錄服務的主機沒有可用的回應。",
        "The host for time stamps, OCSP or the directory gave no usable answer.",
        "請檢查網路連線，稍後再試一次。",
        "Check the network connection and try again later.",
        5500,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "timestamp.malformed",
        "時戳的內容無法讀取。",
        "The time stamp cannot be read.",
        _SITE_ZH,
        _SITE_EN,
        5040,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "timestamp.refused",
        "時戳服務沒有發給時戳。",
        "The time stamping authority did not give a stamp.",
        "請稍後再試一次；若一直發生，請洽時戳服務的提供者。",
        "Try again later; if it keeps happening, ask whoever runs the authority.",
        5061,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "timestamp.other_data",
        "時戳不是為這份資料所發。",
        "The time stamp is over other data.",
        "請確認資料與時戳屬於同一份文件。",
        "Check that data and time stamp belong to the same document.",
        5035,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "timestamp.invalid",
        "時戳的簽章無效，或憑證不是時戳憑證。",
        "The time stamp's signature does not hold, or its certificate is not one for time stamps.",
        "請不要採信這個時戳，並洽時戳服務的提供者。",
        "Do not rely on this time stamp, and ask whoever runs the authority.",
        5036,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "ocsp.malformed",
        "OCSP 的要求或回應無法讀取。",
        "The OCSP request or answer cannot be read.",
        _SITE_ZH,
        _SITE_EN,
        5401,
        JsonRpc.DATA,
    ),
    ErrorRow(
        "ocsp.untrusted",
        "OCSP 回應不是由指定的伺服器憑證所簽章。",
        "The OCSP answer is not signed by the responder whose certificate was given.",
        "請不要採信這個回應，並通知網站管理者。",
        "Do not rely on this answer, and tell the site's administrator.",
        5036,
        JsonRpc.CERTIFICATE,
    ),
    ErrorRow(
        "ocsp.unrelated",
        "OCSP 回應已過期，或不是這個要求的回應。",
        "The OCSP answer is out of date, or answers another question.",
        "請檢查這台電腦的時間，再試一次。",
        "Check the clock of this computer and try again.",
        5401,
        JsonRpc.CERTIFICATE,
    ),
)
