"""What to do next, where several groups of rows say the same."""

from __future__ import annotations

from typing import Final

REINSERT_ZH: Final = "請把卡片拔出、擦拭晶片後重新插入，再試一次。"
REINSERT_EN: Final = "Take the card out, wipe its chip, put it back, then try again."
AGAIN_ZH: Final = "請再試一次；若一直發生，請執行 hca-agent selftest 並把報告交給服務人員。"
AGAIN_EN: Final = (
    "Try again; if it keeps happening, run hca-agent selftest and give its report to your help desk."
)
DEVELOPER_ZH: Final = "請聯絡網站管理者：網頁送出的要求有誤。"
DEVELOPER_EN: Final = "Tell the site's administrator: the page sent a faulty request."
