"""The processes that the agent starts, where Windows has given them no standard error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from signing.hashes import Hash
from signing.verification.child import ReadRequest
from tests.support.platforms import not_on_windows
from tray.dialogs.main import MISUSED

PROGRAM = "from agent.__main__ import main; main()"
TRAY = f"""
import tray.program
from agent.tray.messages import Opened
def run_tray(link):
    print("this is for the log")
    link.send(Opened(number=7))
    return 0
tray.program.run_tray = run_tray
{PROGRAM}
"""


@pytest.mark.slow
@not_on_windows("its tests of packages run the windowed program")
@pytest.mark.parametrize(
    ("program", "words", "given", "code", "said"),
    [
        (TRAY, ("tray",), b"", 0, b'"number":7'),
        (PROGRAM, ("window", "notice"), b"no message\n", MISUSED, b""),
        (PROGRAM, ("preview",), b"a text", 0, b"a text"),
        (
            PROGRAM,
            ("read-signatures",),
            msgspec.msgpack.encode(ReadRequest(b"", None, None, Hash.SHA_256)),
            0,
            b"unknown",
        ),
    ],
    ids=["tray", "window", "preview", "read-signatures"],
)
def test_a_child_without_a_standard_error_answers_and_says_nothing_else(
    tmp_path: Path, program: str, words: tuple[str, ...], given: bytes, code: int, said: bytes
) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program, *words],
        input=given,
        stdout=subprocess.PIPE,
        timeout=120,
        check=False,
        env={"HCA_AGENT_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == code and said in done.stdout, done
    assert b"for the log" not in done.stdout and b"hca-agent window" not in done.stdout
