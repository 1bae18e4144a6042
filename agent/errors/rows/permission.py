"""Rows of the error table about who may ask: origins, consent, what nobody may."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc
from agent.errors.rows.next_steps import DEVELOPER_EN, DEVELOPER_ZH

PERMISSION_ROWS: Final = (
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
        DEVELOPER_ZH,
        DEVELOPER_EN,
        5906,
        JsonRpc.PERMISSION,
    ),
)
