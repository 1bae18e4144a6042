"""Rows of the error table for PKCS#11 modules: programs of other makers that some cards are used through."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc

_REINSTALL_ZH: Final = "請重新安裝或更新該卡片的軟體（例如 HiCOS），再試一次；管理者請查看 docs/pkcs11.md。"
_REINSTALL_EN: Final = (
    "Install or update that card's own software again (HiCOS, for example) and try again; administrators"
    " find more in docs/pkcs11.md."
)

MODULE_ROWS: Final = (
    ErrorRow(
        "module.failed",
        "這張卡片的 PKCS#11 模組拒絕或無法完成這項工作。",
        "The card's PKCS#11 module refused the work or could not do it.",
        "請把卡片拔出後重新插入，再試一次；若一直發生，請執行 hca-agent report 並把產生的檔案交給服務人員。",
        "Take the card out, put it back and try again; if it keeps happening, run hca-agent report and give"
        " its file to your help desk.",
        9005,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "module.crashed",
        "這張卡片的 PKCS#11 模組在處理途中當掉了；本程式不受影響。",
        "The card's PKCS#11 module crashed in the middle of the work; this program is not affected.",
        "請再試一次，模組會重新啟動；若一直發生，請更新該卡片的軟體（例如 HiCOS）。",
        "Try again, the module is started anew; if it keeps happening, update that card's own software"
        " (HiCOS, for example).",
        9004,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "module.timeout",
        "這張卡片的 PKCS#11 模組太久沒有回應，已將它結束。",
        "The card's PKCS#11 module did not answer in time and was ended.",
        "請把卡片拔出後重新插入，再試一次；若一直發生，請更新該卡片的軟體（例如 HiCOS）。",
        "Take the card out, put it back and try again; if it keeps happening, update that card's own software"
        " (HiCOS, for example).",
        9016,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "module.unusable",
        "PKCS#11 模組的檔案不存在，或無法載入。",
        "The file of the PKCS#11 module is missing or cannot be loaded.",
        _REINSTALL_ZH,
        _REINSTALL_EN,
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "module.unsafe",
        "PKCS#11 模組的檔案或資料夾可被其他使用者更動，所以沒有載入。",
        "Other users can change the file of the PKCS#11 module or its folder, so it was not loaded.",
        "請管理者讓該檔案及其資料夾只有 root 或您自己可以寫入（chmod go-w），再試一次。",
        "Have the administrator make the file and its folders writable by root or yourself alone (chmod"
        " go-w), then try again.",
        61905,
        JsonRpc.SETUP,
    ),
)
