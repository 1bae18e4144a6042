"""Rows of the error table about this program: its configuration, its ports, its own faults."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

SETUP_ROWS: Final = (
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
