"""What a trace shows, in sentences, and what they become in the draft."""

from __future__ import annotations

from pathlib import Path

import pytest

from hca_card.traces.imported import import_traces
from hca_card.traces.report import report

SELECT = "-> 00 A4 04 00 05 F0 00 00 00 01 00\n<- 6F 07 84 05 F0 00 00 00 01 90 00\n"
VERIFY = "-> 00 20 00 81 08 31 32 33 34 35 36 FF FF\n<- 90 00\n"
CIPHER = "5A " * 128
DIGEST_SIGNED = f"-> 00 2A 9E 9A 20 {'AA ' * 32}00\n<- {CIPHER}90 00\n"
ROWS = {
    "an application": (SELECT, "選取了應用程式 F0 00 00 00 01", ""),
    "no application": ("-> 00 A4 00 00 02 3F 00\n<- 90 00", "沒有以 AID 選取應用程式", "FILL IN: aid"),
    "a file": (SELECT + "-> 00 B0 83 00 04\n<- 41 42 43 44 90 00\n", "短識別碼 3 的檔案（4 位元組）", ""),
    "records": (
        SELECT + "-> 00 B2 01 1C 00\n<- 41 42 90 00\n-> 00 B2 02 1C 00\n<- 43 90 00\n",
        "短識別碼 3 的檔案（3 位元組，2 筆紀錄）",
        "",
    ),
    "a data object": (SELECT + "-> 00 CA 01 02 00\n<- 41 90 00\n", "GET DATA（CA）讀取了物件 0102", ""),
    "a file that is closed": (SELECT + "-> 00 B0 83 00 04\n<- 69 82\n", "有 1 個檔案卡片不讓讀", ""),
    "a PIN": (
        SELECT + VERIFY,
        "以 00 20 00 81 送出（參照 81），ASCII，以 FF 補到 8 位元組",
        "reference = 0x81",
    ),
    "tries": (SELECT + "-> 00 20 00 81\n<- 63 C3\n" + VERIFY, "不帶資料的 VERIFY", '"empty-verify"'),
    "no question for tries": (SELECT + VERIFY, "PIN", 'status = "never"'),
    "a wrong PIN": (SELECT + VERIFY.replace("90 00", "63 C2"), "有 1 次 PIN 被卡片拒絕", "FILL IN: pin: no"),
    "an encrypted PIN": (
        SELECT + "-> 00 20 00 81 08 9A 5F 1D 03 C2 EE 77 81\n<- 90 00\n",
        "編碼方式不明，可能已加密",
        "FILL IN: pin: it is written in a way",
    ),
    "a PIN that the log left out": (
        SELECT + "-> 00 20 00 81 08\n<- 90 00\n-> 00 B0 83 00 04\n<- 41 42 43 44 90 00\n",
        "短識別碼 3 的檔案（4 位元組）",
        "reference = 0x81",
    ),
    "a class of 90": (
        SELECT + "-> 90 5A 00 00 01 41\n<- 90 00\n-> 90 5C 00 00 01\n<- 41 90 00\n",
        "INS 5A ×1, INS 5C ×1",
        "",
    ),
    "a PIN under secure messaging": (
        SELECT + "-> 0C 20 00 81 0A 87 08 11 22 33 44 55 66 77 88\n<- 90 00\n",
        "有 1 個指令在安全訊息之下（VERIFY 20 ×1）",
        "FILL IN: pin: it is sent under secure messaging",
    ),
    "a changed PIN": (SELECT + "-> 00 24 00 81 0C" + " 31" * 12 + "\n<- 90 00\n", "也變更了 PIN", ""),
    "a drop": (SELECT + VERIFY + "-> 00 20 FF 81\n<- 90 00\n", "PIN", 'drop = "verify-ff"'),
    "a digest": (
        SELECT + VERIFY + "-> 00 22 41 B6 03 84 01 05\n<- 90 00\n-> 00 2A 9E 9A 20 " + "AA " * 32 + "00\n"
        "<- " + CIPHER + "90 00\n",
        "簽章的金鑰以 00 22 41 B6 84 01 05 選用，再以 00 2A 9E 9A 簽章，給它的是只有雜湊值",
        'form = "digest"',
    ),
    "data that is no digest": (
        SELECT + VERIFY + "-> 00 22 41 B6 03 84 01 05\n<- 90 00\n-> 00 2A 9E 9A 05 01 02 03 04 05 00\n"
        "<- " + CIPHER + "90 00\n",
        "簽章的金鑰以 00 22 41 B6 84 01 05 選用",
        "FILL IN: keys: what the key was given to sign is no digest, no DigestInfo and no padded block",
    ),
    "an environment of another purpose": (
        SELECT + VERIFY + "-> 00 22 C1 A4 03 84 01 05\n<- 90 00\n" + DIGEST_SIGNED,
        "簽章的金鑰以 00 22 C1 A4 84 01 05 選用",
        "reference = 0x05  # 已見 seen\nenvironment_p1 = 0xC1  # 已見 seen\nenvironment_p2 = 0xA4",
    ),
    "an environment restored for one purpose": (
        SELECT + VERIFY + "-> 00 22 43 07\n<- 90 00\n" + DIGEST_SIGNED,
        "簽章的金鑰以 00 22 43 07",
        'chosen_by = "restore"  # 已見 seen\nreference = 0x07  # 已見 seen\nenvironment_p1 = 0x43',
    ),
    "an environment that is no list": (
        SELECT + VERIFY + "-> 00 22 41 B6 03 84 05 01\n<- 90 00\n" + DIGEST_SIGNED,
        "簽章的金鑰以 00 22 41 B6 84 05 01 選用",
        'environment = "84 05 01"',
    ),
    "a PIN that leaves no room": (
        SELECT + VERIFY.replace("FF FF", "37 38"),
        "以 00 20 00 81 送出",
        "只看到 8 碼，不知道較短的如何填補",
    ),
    "deciphering": (
        SELECT + VERIFY + "-> 00 22 41 B8 03 84 01 06\n<- 90 00\n-> 00 2A 80 86 81 00 " + CIPHER + "00\n"
        "<- 61 62 63 90 00\n",
        "解密的金鑰以 00 22 41 B8 84 01 06 選用，再以 00 2A 80 86 解密",
        'use = "encryption"\nreference = 0x06',
    ),
    "deciphering with padding": (
        SELECT + VERIFY + "-> 00 22 41 B8 03 84 01 06\n<- 90 00\n-> 00 2A 80 84 80 " + CIPHER + "00\n"
        "<- " + CIPHER + "90 00\n",
        "再以 00 2A 80 84 解密",
        'indicator = ""',
    ),
    "other commands": (SELECT + "-> 80 52 00 00 01 41\n<- 90 00\n", "另有本程式用不到的指令：INS 52 ×1", ""),
    "no answer to reset": (SELECT, "沒有卡片的重置回應", "FILL IN: atrs"),
}  # fmt: skip


@pytest.mark.parametrize("what", ROWS)
def test_a_trace_is_explained_and_drafted(tmp_path: Path, what: str) -> None:
    log, sentence, line = ROWS[what]
    (tmp_path / "trace").write_text(log)
    with import_traces([tmp_path / "trace"], "0") as imported:
        made = report(imported)
    told, text = [zh for zh, _ in made.sentences], made.drafted.text
    assert any(sentence in zh for zh in told), told
    assert (
        "".join(part.partition("  #")[0] + "\n" for part in text.splitlines()).count(line) or line in text
    ), text
