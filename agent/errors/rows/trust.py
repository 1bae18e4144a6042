"""Rows of the error table about having browsers accept this program's certificate."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

TRUST_ROWS: Final = (
    ErrorRow(
        "trust.tool_missing",
        "少了管理瀏覽器憑證要用的程式。",
        "A program for changing browsers' certificates is missing.",
        "請安裝它，再執行一次 hca-agent trust install；"
        "certutil 在 Debian、Ubuntu 是 libnss3-tools 套件，Fedora 是 nss-tools，Arch 是 nss。",
        "Install it and run hca-agent trust install again; certutil comes with libnss3-tools "
        "(Debian, Ubuntu), nss-tools (Fedora) or nss (Arch).",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.tool_failed",
        "系統的憑證程式沒有完成工作。",
        "The system's certificate program did not do its work.",
        "請關閉瀏覽器，再執行一次 hca-agent trust install。",
        "Close the browser and run hca-agent trust install again.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.needs_root",
        "整台電腦共用的憑證只有系統管理者能改。",
        "Only the administrator can change the certificates of the whole machine.",
        "瀏覽器不需要它；若其他程式要用，請執行下面括號裡的指令。",
        "Browsers do not need it; where other programs do, type the line in brackets below.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.locked",
        "這個 Firefox 設定檔有主控密碼，本程式不會詢問它。",
        "This Firefox profile has a primary password, which this program never asks for.",
        "請在 Firefox 的「設定 → 隱私權與安全性 → 檢視憑證 → 憑證機構 → 匯入」"
        "匯入下面括號裡的檔案，並勾選信任它來識別網站。",
        "In Firefox, import the file in brackets at Settings, Privacy & Security, View "
        "Certificates, Authorities, Import, and trust it to identify websites.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.declined",
        "您在系統的視窗中選擇了不變更。",
        "You chose no in the system's window.",
        "若要讓瀏覽器接受本程式，請再執行一次 hca-agent trust install 並選「是」。",
        "To have browsers accept this program, run hca-agent trust install again and choose yes.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.not_yours",
        "這個資料夾屬於另一位使用者，本程式不會更動其中的憑證。",
        "This folder belongs to another user, whose certificates are not touched.",
        "請不要加 sudo，用您自己的帳號執行 hca-agent trust install。",
        "Run hca-agent trust install as yourself, without sudo.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.system_first",
        "這個 Firefox 依照系統的設定，而系統還不信任本程式的憑證。",
        "This Firefox follows the system, which does not trust this program's certificate yet.",
        "請再執行一次 hca-agent trust install，並在系統詢問時選「是」。",
        "Run hca-agent trust install again and choose yes when the system asks.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.firefox_setting",
        "這個 Firefox 被設定成不採用系統信任的憑證。",
        "This Firefox was told not to use the certificates that the system trusts.",
        "請在 Firefox 的「設定 → 隱私權與安全性 → 憑證」勾選「允許 Firefox 自動信任您安裝的第三方根憑證」。",
        "In Firefox, at Settings, Privacy & Security, Certificates, tick “Allow Firefox to "
        "automatically trust third-party root certificates you install”.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "trust.still_there",
        "憑證移除後仍在，可能是系統管理者為整台電腦安裝的。",
        "The certificate is still there after it was removed; an administrator may have installed "
        "it for the whole machine.",
        "請系統管理者移除它。",
        "Ask the administrator to remove it.",
        61905,
        JsonRpc.SETUP,
    ),
)
