"""Every command of the program run in one process, as its locale and limits are: its words and its end.

The first word is a JSON file for the results. Each command is called for its help, with a word that it does
not know, and for its work wherever that stays in this process's own folders.
"""

from __future__ import annotations

import io
import json
import locale
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from agent.cli.program import program
from tests.support.command_line import every_command
from tests.support.medical_records import RECORD


def _typed(word: str) -> str:
    """Return what a person typed: in a locale that lacks Chinese, their terminal sends UTF-8."""
    try:
        return os.fsdecode(word.encode(locale.getpreferredencoding(do_setlocale=False)))
    except UnicodeEncodeError:
        return os.fsdecode(word.encode())


_CARD: Final = ("--simulate", "hpc")
_PIN: Final = (*_CARD, "--pin-stdin")
_WORK: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "readers": (_CARD, (*_CARD, "--json")),
    "card show": (_CARD, (*_CARD, "--json"), ("--simulate", "nhi"), ("--simulate", "hpc-hostile")),
    "card import-trace": (("document",), ("document", "-o", _typed("草稿"))),
    "card profiles": ((),),
    "card probe": (_CARD, (*_CARD, "-o", _typed("草稿.toml"))),
    "card trace": ((*_CARD, "-o", "trace.json"),),
    "certs": (_CARD,),
    "sign": (
        ("document", "--format", "pkcs1", *_PIN, "--force"),
        ("document", *_PIN, "--force"),
        ("document", *_CARD),
    ),
    "batch": (
        ("ward", *_PIN),
        ("ward", *_PIN, "--resume"),
        ("list.jsonl", "-o", _typed("結果"), *_PIN),
    ),
    "queue add": (("document",),),
    "queue list": ((), ("--json",)),
    "queue export": ((), ("--format", "jsonl", "-o", "records.jsonl", "--force")),
    "queue sign": (_PIN,),
    "sessions list": ((), ("--json",)),
    "sessions stop": ((), ("00000000",)),
    "preserve": (("document",), ("document.p7s", "--force")),
    "verify": (("document", "--signature", "document.sig", *_CARD),),
    "emr sign": (("record.xml", *_PIN, "--force"), ("document", *_PIN)),
    "emr verify": (("record.signed.xml", *_CARD),),
    "emr show": (("record.xml",), ("document",)),
    "encrypt": (("document", *_CARD, "-o", "secret"), ("document", *_CARD, "-o", "none/secret")),
    "decrypt": (("secret", *_PIN, "-o", "clear"),),
    "pin status": (_CARD,),
    "pin change": (_CARD, _PIN),
    "pin unblock": (_CARD,),
    "pin remember": (("--origin", "https://portal.example.tw", *_PIN),),
    "pin forget": (("--serial", "1"),),
    "origins list": ((),),
    "origins allow": (("https://portal.example.tw",), ("http://10.1.2.3",)),
    "origins forget": (("https://portal.example.tw",),),
    "trust status": ((),),
    "selftest": (("--no-pin", *_CARD), ("--html", "page.html", "--force", *_PIN)),
    "report": (("-o", "report.zip", "--force", *_CARD),),
    "audit": ((), ("--json",)),
    "simulate": (("hpc",),),
    "autostart on": ((),),
    "autostart status": ((), ("--json",)),
    "autostart off": ((),),
    "update check": ((),),
    "update download": ((),),
    "update install": ((),),
    "window": (("none",),),
    "windows-setup vendor": ((),),
}
HELP_ONLY: Final = {
    "run": "goes on until it is ended",
    "demo": "has a test of its own",
    "open": "starts a daemon, which goes on",
    "trust install": "changes the stores of this computer",
    "trust remove": "changes the stores of this computer",
    "submit": "needs a broker",
    "worker": "goes on until it is ended",
    "tray": "is a process of the daemon's",
    "module": "is a process of the daemon's",
    "preview": "is a process of the daemon's",
    "read-signatures": "is a process of the daemon's",
    "windows-setup apply": "changes a Windows installation",
    "windows-setup remove": "changes a Windows installation",
    "windows-setup forget-data": "changes a Windows installation",
    "windows-setup end": "changes a Windows installation",
    "windows-setup start": "changes a Windows installation",
}


def _groups() -> list[str]:
    return sorted({" ".join(path[:-1]) for path, _ in every_command()} - {"card"})


def calls() -> list[list[str]]:
    """Return every call, word by word."""
    made = [name.split() for name in _groups()]
    for path, _ in every_command():
        name = " ".join(path)
        made += [[*path, "--help"], [*path, _typed("--無此選項")]]
        if name not in HELP_ONLY:
            made += [[*path, *words] for words in _WORK[name]]
    return made


def _run(words: list[str]) -> dict[str, Any]:
    encoding = locale.getpreferredencoding(do_setlocale=False)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    sys.stdin = io.TextIOWrapper(io.BytesIO(b"123456\n654321\n"), encoding=encoding)
    before, code, raised = (sys.stdout, sys.stderr), 0, ""
    sys.stdout, sys.stderr = streams
    logging.lastResort = logging.StreamHandler(streams[1])
    try:
        program.main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        raised = traceback.format_exc()
    finally:
        sys.stdout, sys.stderr = before
    written = []
    for stream in streams:
        stream.flush()
        written.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    return {"words": words, "code": code, "raised": raised, "out": written[0], "err": written[1]}


def main(results: Path, limited: bool) -> None:
    """Run every call and write the results; with `limited`, no file takes a byte until then."""
    Path("document").write_bytes(b"document")
    Path("record.xml").write_bytes(RECORD)
    Path("ward").mkdir()
    Path("ward", _typed("病歷.txt")).write_bytes(b"record")
    Path("list.jsonl").write_text('{"file": "document", "format": "cms"}\n{"file": "../名單"}\n', "utf-8")
    if limited:
        import resource

        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The hard limit stays, so that this process itself can write down what it saw.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
    found = [_run(words) for words in calls()]
    if limited:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    results.write_text(json.dumps(found), "utf-8")
    os._exit(0)  # whatever a command left running


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["full"])
