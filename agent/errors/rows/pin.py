"""Rows of the error table about PINs and PUKs, and those that are kept."""

from __future__ import annotations

from typing import Final

from agent.errors.row import ErrorRow, JsonRpc
from agent.errors.rows.next_steps import AGAIN_EN, AGAIN_ZH

_UNLOCK_ZH: Final = "請用用戶代碼到 hca.nat.gov.tw 解鎖，或撥 0800-364-422；若您有 PUK 碼也可以用它解鎖。"
_UNLOCK_EN: Final = (
    "Unlock it at hca.nat.gov.tw with your user code, or call 0800-364-422; a PUK also works if you have one."
)

PIN_ROWS: Final = (
    ErrorRow(
        "pin.wrong",
        "PIN 碼錯誤。",
        "The PIN was wrong.",
        "請確認 PIN 碼後再輸入；連續錯誤三次會鎖卡。",
        "Check the PIN before you enter it again; three wrong ones in a row lock the card.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.tries_used",
        "PIN 碼曾經輸入錯誤，剩下的次數比較少。",
        "A wrong PIN has been entered before; fewer tries are left.",
        "輸入一次正確的 PIN 碼，次數就會恢復；忘記時請不要猜，到 hca.nat.gov.tw 用用戶代碼重設，"
        "或撥 0800-364-422。",
        "One right PIN brings all tries back; if you forgot it, do not guess: reset it at hca.nat.gov.tw with"
        " your user code, or call 0800-364-422.",
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow("pin.locked", "PIN 碼已鎖住。", "The PIN is locked.", _UNLOCK_ZH, _UNLOCK_EN, 9043, JsonRpc.PIN),
    ErrorRow(
        "pin.length",
        "PIN 碼的長度不對，沒有送給卡片。",
        "The PIN has a length this card does not take; it was not sent.",
        "請輸入 6 到 8 個字元的 PIN 碼。",
        "Enter a PIN of 6 to 8 characters.",
        9041,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.last_try",
        "PIN 碼只剩最後一次機會，沒有人確認要使用，所以沒有送給卡片。",
        "Only one try is left and nobody confirmed using it; the PIN was not sent.",
        "請在本程式自己的視窗或終端機輸入 PIN 碼並確認；"
        "忘記 PIN 碼時請先到 hca.nat.gov.tw 用用戶代碼重設，或撥 0800-364-422。",
        "Enter the PIN in this program's own window or terminal and confirm; if you forgot it, first reset it"
        " at hca.nat.gov.tw with your user code, or call 0800-364-422.",
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.failed",
        "PIN 碼無法驗證。",
        "The PIN could not be verified.",
        AGAIN_ZH,
        AGAIN_EN,
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.cancelled",
        "已取消輸入 PIN 碼。",
        "Entering the PIN was cancelled.",
        "需要時請重新操作。",
        "Start again when you want to go on.",
        9001,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.unavailable",
        "需要 PIN 碼，但沒有人可以詢問。",
        "A PIN is needed and there is nobody to ask.",
        "請在有畫面或終端機的環境使用，或改用 --pin-stdin。",
        "Use this where there is a screen or a terminal, or use --pin-stdin.",
        9063,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.tries_changed",
        "詢問期間有別的程式用掉了 PIN 碼的嘗試次數，所以沒有送出您的 PIN 碼。",
        "Another program used up PIN tries while you were asked; your PIN was not sent.",
        "請關閉其他使用卡片的程式，再試一次。",
        "Close the other programs that use the card and try again.",
        9040,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.changed_elsewhere",
        "本次登入所保留的 PIN 碼已不正確，已刪除。",
        "The PIN kept for this session is no longer right and has been deleted.",
        "卡片的 PIN 碼可能被別的程式改過，請重新登入並輸入現在的 PIN 碼。",
        "Another program may have changed the card's PIN: log in again with the present one.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "pin.not_kept",
        "這次登入的 PIN 碼已不再保留。",
        "The PIN of this session is no longer kept.",
        "請重新登入並輸入 PIN 碼。",
        "Log in again and enter the PIN.",
        9063,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "unattended.disabled",
        "設定檔沒有開啟無人值守簽章。",
        "Signing without a person is not turned on.",
        "若您真的需要，請在設定檔的 [unattended] 寫 enabled = true，再試一次。",
        "If you really need it, write enabled = true under [unattended] in the configuration and try again.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "keyring.unavailable",
        "這台電腦沒有可用的系統鑰匙圈，PIN 碼沒有保存。",
        "This computer has no system keyring that can be used; no PIN is kept.",
        "請登入桌面並解鎖鑰匙圈（GNOME 鑰匙圈、KWallet、Windows 認證管理員或 macOS 鑰匙圈）後再試。",
        "Log in to the desktop and unlock its keyring (GNOME, KWallet, Windows credentials, macOS keychain).",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "puk.wrong",
        "PUK 碼錯誤。",
        "The PUK was wrong.",
        "請確認 PUK 碼後再輸入；錯誤太多次就無法再用它解鎖。",
        "Check the PUK before you enter it again; too many wrong ones end its use.",
        9039,
        JsonRpc.PIN,
    ),
    ErrorRow(
        "puk.locked",
        "PUK 碼已鎖住。",
        "The PUK is locked.",
        "請用用戶代碼到 hca.nat.gov.tw 解鎖，或撥 0800-364-422。",
        "Unlock the card at hca.nat.gov.tw with your user code, or call 0800-364-422.",
        9043,
        JsonRpc.PIN,
    ),
)
