"""Rows of the error table about newer versions: no page ever meets them."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

_SERVISIGN: Final = 61905


def _row(error_id: str, zh: str, en: str, next_zh: str, next_en: str) -> ErrorRow:
    return ErrorRow(error_id, zh, en, next_zh, next_en, _SERVISIGN, JsonRpc.SETUP)


UPDATE_ROWS: Final = (
    _row(
        "update.off",
        "更新檢查沒有開啟，所以沒有連線到任何地方。",
        "The update check is off, so nothing was connected.",
        "需要時請在設定檔 [update] 寫上 enabled = true 與 url。",
        "Where it is wanted, set enabled = true and url under [update] in the configuration.",
    ),
    _row(
        "update.no_root",
        "找不到更新用的根金鑰檔，無法辨別更新的真假。",
        "The file with the update's root keys is missing: nothing could tell a true update from a false one.",
        "請管理者把 update-root.json 放進管理者的資料夾，或在 [update] root 寫明它的位置。",
        "The administrator puts update-root.json into the administrator's folder, or names it in root under"
        " [update].",
    ),
    _row(
        "update.unreachable",
        "更新伺服器沒有可用的回應。",
        "The update server gave no usable answer.",
        "請檢查網路、代理伺服器與 [update] url，稍後再試一次。",
        "Check the network, the proxy and url under [update], and try again later.",
    ),
    _row(
        "update.refused",
        "更新資料的簽章或內容不對，已經拒絕。",
        "The update was refused: a signature or a content does not hold.",
        "請不要從別處安裝，並通知管理者：伺服器上的檔案可能被動過。",
        "Do not install it from elsewhere; tell the administrator that the server's files may have been"
        " changed.",
    ),
    _row(
        "update.expired",
        "更新資料已過期，已經拒絕。",
        "The update was refused: its signed data has expired.",
        "請確認電腦的日期；日期正確的話，請通知管理者更新伺服器的簽章。",
        "Check this computer's date; if it is right, tell the administrator that the server's signatures"
        " are due.",
    ),
    _row(
        "update.rolled_back",
        "更新資料比以前看過的還舊，已經拒絕。",
        "The update was refused: it is older than what was seen before.",
        "請通知管理者：伺服器可能被換成舊的內容。",
        "Tell the administrator: the server may have been put back to something old.",
    ),
    _row(
        "update.no_package",
        "新版沒有這台電腦可用的安裝檔。",
        "The new version has no package for this computer.",
        "請向提供更新的單位詢問。",
        "Ask whoever provides the updates.",
    ),
    _row(
        "update.no_command",
        "管理者沒有指定安裝的方式，所以沒有安裝。",
        "Nothing was installed: the administrator has not said how.",
        "請管理者在 policy.toml 的 [update] 寫上 install_command；"
        "或執行 hca-agent update download 後自行安裝。",
        "The administrator sets install_command under [update] in policy.toml; or run hca-agent update"
        " download and install the file yourself.",
    ),
    _row(
        "update.needs_administrator",
        "只有系統管理者可以安裝更新。",
        "Only the administrator can install an update.",
        "請以系統管理者身分執行 hca-agent update install，通常是用排程。",
        "Run hca-agent update install as the administrator, usually by a scheduled task.",
    ),
    _row(
        "update.not_safe",
        "其他使用者可以更動更新所依據的檔案，所以沒有安裝。",
        "Nothing was installed: other users could change a file that the update rests on.",
        "請讓這一列所列的檔案與它的資料夾屬於系統管理者，且只有管理者可以寫入。",
        "Have the file named here, and its folder, belong to the administrator and be writable by nobody"
        " else.",
    ),
    _row(
        "update.install_failed",
        "安裝程式沒有成功。",
        "The installer did not succeed.",
        "請看這一列的結束代碼與系統的安裝紀錄，再試一次。",
        "Look at the exit code named here and at the system's installation log, then try again.",
    ),
)
