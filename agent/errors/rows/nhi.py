"""Rows of the error table about what only NHI's own component can do with NHI cards."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

NHI_ROWS: Final = (
    ErrorRow(
        "nhi.signature",
        "健保卡的簽章要用健保卡專用讀卡機的安全模組與健保署的主機產生，本程式無法產生。",
        "The signature of an NHI card is made by the security module of the NHI reader and NHI's own servers;"
        " this program cannot make it.",
        "請改用這個網站的其他登入方式（例如醫事憑證），或在裝有健保署元件的電腦上操作。",
        "Use another way to log in to this site (an HCA card, for example), or a computer with NHI's own"
        " component.",
        5004,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "nhi.encryption",
        "網站要的是以健保署元件的金鑰加密的資料，本程式沒有那些金鑰。",
        "The site wants data encrypted under keys of NHI's own component, which this program does not have.",
        "請改用這個網站的其他登入方式（例如醫事憑證），或在裝有健保署元件的電腦上操作。",
        "Use another way to log in to this site (an HCA card, for example), or a computer with NHI's own"
        " component.",
        5004,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "nhi.password_length",
        "健保卡網路服務註冊密碼必須是 6 到 12 個字元。",
        "The registered password of NHI's online services has 6 to 12 characters.",
        "請在網頁重新輸入密碼。",
        "Enter the password in the page again.",
        5005,
        JsonRpc.INVALID_PARAMS,
    ),
    ErrorRow(
        "nhi.hosts_entry",
        "iccert.nhi.gov.tw 這個名稱沒有指向這台電腦，使用這個名稱的網頁連不到本程式。",
        "The name iccert.nhi.gov.tw does not lead to this computer; pages that use it cannot reach this"
        " program.",
        "請系統管理者在 hosts 檔加入一行「127.0.0.1 iccert.nhi.gov.tw」；只用 wss://localhost:7777"
        " 的網頁不受影響。",
        "Have the administrator add the line “127.0.0.1 iccert.nhi.gov.tw” to the hosts file; pages that use"
        " wss://localhost:7777 work without it.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "nhi.port_held",
        "健保卡的網頁要連的連接埠由另一個程式使用中：網頁會連到那個程式，不是本程式。",
        "Another program holds the port that pages of NHI cards look for: they reach that program and not"
        " this one.",
        "要用本程式讀健保卡，請結束這一列所列的程式（通常是健保署的元件）並取消它的開機自動執行，"
        "再重新啟動 HCA Card Agent。",
        "To read NHI cards with this program, end the one named in this row (usually NHI's component), take"
        " it out of start-up, then start HCA Card Agent again.",
        61905,
        JsonRpc.SETUP,
    ),
)
