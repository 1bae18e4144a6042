"""Rows of the error table about what is to be signed, verified, encrypted or decrypted."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc
from agent.errors.rows.next_steps import DEVELOPER_EN, DEVELOPER_ZH

DATA_ROWS: Final = (
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
        DEVELOPER_ZH,
        DEVELOPER_EN,
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
