"""A card that is none in the reader of a real pcscd: it lies about lengths, falls silent, comes and goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pcscd import PrivatePcscd, pcscd_fixture

pytestmark = [pytest.mark.pcscd, pytest.mark.slow]

pcscd = pcscd_fixture()

AGENT = (sys.executable, "-m", "agent")
LIAR = """
import socket, struct, sys, threading, time
way, port = sys.argv[1], int(sys.argv[2])
ATR = bytes.fromhex("3B858131FE4580730000 4043".replace(" ", ""))

def frame(octets):
    return len(octets).to_bytes(2, "big") + octets

def exactly(link, count):
    got = b""
    while len(got) < count:
        part = link.recv(count - len(got))
        if not part:
            raise OSError
        got += part
    return got

def serve(link):
    while True:
        message = exactly(link, int.from_bytes(exactly(link, 2), "big"))
        if message == b"\\4":
            link.sendall(frame(bytes(255) if way == "an ATR of zeros" else ATR))
        elif len(message) > 1:
            if way == "silence":
                time.sleep(600)  # the silence of a hostile reader
            elif way == "an empty answer":
                link.sendall(frame(b""))
            elif way == "one byte":
                link.sendall(frame(b"\\x90"))
            elif way == "64 kB":
                link.sendall(frame(bytes(65533) + b"\\x90\\x00"))
            elif way == "more to come, for ever":
                link.sendall(frame(bytes(200) + b"\\x61\\xff"))
            elif way == "half an answer":
                link.sendall(b"\\xff\\xff" + bytes(100))
                time.sleep(600)  # the silence of a hostile reader
            elif way == "noise":
                import random
                link.sendall(frame(random.randbytes(random.randrange(2, 300))))
            elif way == "gone in mid-command":
                return

while True:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.settimeout(None)
            print("in", flush=True)
            if way == "a storm":
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                time.sleep(0.02)  # how fast the storm is
                continue
            serve(link)
    except OSError:
        time.sleep(0.05)  # how often a hostile reader comes back
"""
WAYS = (
    "an ATR of zeros",
    "silence",
    "an empty answer",
    "one byte",
    "64 kB",
    "more to come, for ever",
    "half an answer",
    "noise",
    "gone in mid-command",
    "a storm",
)


@contextmanager
def liar(pcscd: PrivatePcscd, way: str) -> Iterator[None]:
    child = pcscd.popen(
        [sys.executable, "-c", LIAR, way, str(pcscd.ports[0])], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == "in\n"
        yield
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_lying_card_costs_bounded_time_and_ends_in_words(home: Path, pcscd: PrivatePcscd, way: str) -> None:
    (home / "config.toml").write_text("[card]\nseconds = 3\n[pkcs11]\nknown = false\n")
    with liar(pcscd, way):
        for words in (("readers", "--json"), ("card", "--json"), ("certs", "--json")):
            done = pcscd.run([*AGENT, *words], capture_output=True, text=True, timeout=120)
            said = done.stdout + done.stderr
            assert done.returncode in (0, 1), said
            assert "Traceback" not in said and '"internal"' not in said, said
            json.loads(done.stdout)
