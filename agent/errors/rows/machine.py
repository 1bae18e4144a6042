"""The rows of the error table about the computer around the card: what the self-test finds wrong with it.

No page ever meets these, so all have the numbers of a faulty set-up (docs/servisign.md).
"""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

_SERVISIGN: Final = 61905


def _row(error_id: str, zh: str, en: str, next_zh: str, next_en: str) -> ErrorRow:
    return ErrorRow(error_id, zh, en, next_zh, next_en, _SERVISIGN, JsonRpc.SETUP)


MACHINE_ROWS: Final = (
    _row(
        "probe.limit",
        "卡片的回應太多或太慢，探測提早結束；已寫下目前讀到的內容。",
        "The card answers too much or too slowly, so the probe ended early; what was read so far is written"
        " down.",
        "請把卡片重新插入後再探測一次；若又如此，請把 trace.jsonl 交給開發者。",
        "Put the card in again and probe once more; if it ends the same way, send trace.jsonl to the"
        " developers.",
    ),
    _row(
        "check.timeout",
        "這項檢查太久沒有完成。",
        "This check took too long.",
        "請再執行一次檢測；若又停在這一列，請執行 hca-agent report，把產生的檔案交給服務人員。",
        "Run the self-test again; if it stops here again, run hca-agent report and give its file to your help"
        " desk.",
    ),
    _row(
        "agent.not_running",
        "尚未安裝元件或未啟動ServiSign元件：本程式沒有在執行，入口網站連不到它。",
        "This program is not running, so portals cannot reach it.",
        "請從應用程式選單啟動 HCA Card Agent（或在終端機執行 hca-agent run），再重新整理入口網站的網頁。",
        "Start HCA Card Agent from the applications menu (or run hca-agent run), then reload the portal's"
        " page.",
    ),
    _row(
        "port.vendor",
        "另一個程式占用了入口網站要連的連接埠，並像原廠元件一樣回答：入口網站會連到它，不是本程式。",
        "Another program holds the port that portals look for and answers as the vendor's program does:"
        " portals"
        " reach it and not this one.",
        "請結束這裡所列的程式（通常是 HCAServiSign）並把它移除或取消開機自動執行，然後重新啟動 HCA"
        " Card Agent。",
        "End the program named here (usually HCAServiSign), remove it or take it out of start-up, then"
        " start HCA Card Agent again.",
    ),
    _row(
        "port.silent",
        "另一個程式占用了入口網站要連的連接埠，但不回答：入口網站的網頁會停住。",
        "Another program holds the port that portals look for and does not answer: the portal's page will"
        " hang.",
        "請結束這一列所列的程式，然後重新啟動 HCA Card Agent。",
        "End the program named in this row, then start HCA Card Agent again.",
    ),
    _row(
        "vendor.running",
        "原廠的 HCAServiSign 正在執行，下次開機可能比本程式先占用連接埠。",
        "The vendor's HCAServiSign is running and may take the port first when this computer starts again.",
        "請結束 HCAServiSign 並把它移除或取消開機自動執行，然後重新啟動 HCA Card Agent。",
        "End HCAServiSign, remove it or take it out of start-up, then start HCA Card Agent again.",
    ),
    _row(
        "clock.behind",
        "電腦的日期太早，比本程式或憑證產生的日期還早。",
        "This computer's date is too early: this program or a certificate was made after it.",
        "請在作業系統的「日期與時間」設定打開自動設定時間（或改成正確日期），再重新檢測。",
        "Turn on automatic time in the system's date and time settings (or set the right date), then run the"
        " self-test again.",
    ),
    _row(
        "clock.doubtful",
        "電腦的日期比本程式上一次留下紀錄的日期晚了一年以上，可能太晚。",
        "This computer's date is more than a year after the last trace this program left; it may be too"
        " late.",
        "請看這一列顯示的日期：不是今天的話，請在「日期與時間」設定打開自動設定時間；是今天就不用處理。",
        "Look at the date in this row: if it is not today's, turn on automatic time in the system's date and"
        " time settings; if it is, there is nothing to do.",
    ),
    _row(
        "session.remote",
        "您正在使用遠端桌面，讀卡機必須從您面前的電腦帶到這台電腦。",
        "This is a remote session: the card reader must be brought along from the computer in front of you.",
        "若找不到讀卡機，請在遠端桌面連線的「本機資源」勾選智慧卡後重新連線；讀卡機正常就不用處理。",
        "If no reader is found, tick smart cards under Local Resources of the remote desktop connection and"
        " connect again; if the reader works, there is nothing to do.",
    ),
    _row(
        "trust.missing",
        "有瀏覽器還不信任本程式的憑證，在那裡入口網站連不到本程式。",
        "A browser does not trust this program's certificate yet; portals cannot reach this program there.",
        "請執行 hca-agent trust install，然後把瀏覽器全部關閉再重新開啟。",
        "Run hca-agent trust install, then close all browser windows and open the browser again.",
    ),
    _row(
        "trust.intercepted",
        "連到本程式時看到的不是本程式的 TLS 憑證：防毒軟體或其他程式攔截了本機的加密連線。",
        "The TLS certificate seen on the way to this program is not its own: an antivirus or another program"
        " intercepts encrypted connections on this computer.",
        "請在防毒軟體的 HTTPS 掃描（網頁防護）例外清單加入 localhost 和 127.0.0.1，再重新檢測。",
        "Add localhost and 127.0.0.1 to the exceptions of your antivirus's HTTPS scanning (web shield), then"
        " run"
        " the self-test again.",
    ),
    _row(
        "proxy.loopback",
        "代理伺服器設定沒有排除本機，連到本程式的要求可能被送到別的電腦。",
        "The proxy settings do not leave out this computer: requests to this program may be sent elsewhere.",
        "請在代理伺服器設定的例外加入 localhost 和 127.0.0.1（環境變數：no_proxy=localhost,127.0.0.1）。",
        "Add localhost and 127.0.0.1 to the exceptions of the proxy settings (environment variable:"
        " no_proxy=localhost,127.0.0.1).",
    ),
    _row(
        "autostart.off",
        "本程式不會在登入電腦時自動啟動。",
        "This program does not start by itself when you log in to this computer.",
        "請執行 hca-agent autostart on；或每次使用入口網站前自行啟動 HCA Card Agent。",
        "Run hca-agent autostart on, or start HCA Card Agent yourself before you use a portal.",
    ),
    _row(
        "browser.confined",
        "這台電腦有 snap 或 flatpak 版的瀏覽器，它有自己的憑證資料夾，看不到系統信任的憑證。",
        "A browser on this computer is a snap or flatpak: it keeps certificates of its own and does not see"
        " the"
        " system's.",
        "請先開啟那個瀏覽器一次再關閉，然後執行 hca-agent trust install；仍不行請改用非 snap、非 flatpak"
        " 的瀏覽器。",
        "Open that browser once and close it, then run hca-agent trust install; if that does not help, use a"
        " browser that is neither snap nor flatpak.",
    ),
)
