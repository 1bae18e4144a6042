"""Rows of the error table about readers and the service behind them."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

READER_ROWS: Final = (
    ErrorRow(
        "service.unavailable",
        "這台電腦的智慧卡服務沒有執行。",
        "The smart card service of this computer is not running.",
        "請重新開機；若仍如此，請資訊人員啟動智慧卡服務"
        "（Windows：服務「Smart Card」；Linux：sudo systemctl enable --now pcscd.socket）。",
        "Restart the computer; if that does not help, have IT start the smart card service (Windows: the"
        " service Smart Card; Linux: sudo systemctl enable --now pcscd.socket).",
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
        "請重新接上讀卡機，再試一次；若您指定了讀卡機名稱，請用 hca-agent readers 查看正確的名稱。",
        "Connect the reader again and try again; if you named a reader, see its right name with hca-agent"
        " readers.",
        9056,
        JsonRpc.READER,
    ),
    ErrorRow(
        "reader.busy",
        "另一個程式正在獨占這張卡片。",
        "Another program is using this card exclusively.",
        "請關閉其他正在使用讀卡機的程式（例如醫療資訊系統），再試一次；找不到是哪一個時請重新開機。",
        "Close the other programs that use the reader (a hospital information system, for example) and try"
        " again; if you cannot tell which, restart the computer.",
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
