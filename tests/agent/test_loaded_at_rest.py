"""What an agent that nobody uses has not loaded: it costs memory and the time until the first answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.starts import write_ports

PROGRAM = """
import os, signal, sys
from agent.cli import daemon
from agent.__main__ import main

def announce(_daemon):
    print(*sorted(sys.modules))
    os.kill(os.getpid(), signal.SIGTERM)

daemon._announce = announce
sys.argv = ["hca-agent", "run", "--headless"]
main()
"""

NOT_AT_REST = (
    "agent.dialects.servisign",
    "agent.native.messages",
    "agent.native.methods",
    "agent.queue",
    "agent.selftest.probe_list",
    "agent.trust",
    "aiohttp.client",
    "aiohttp.connector",
    "asn1crypto",
    "cryptography",
    "hca_card.simulator",
    "keyring",
    "ldap3",
    "lxml",
    "plistlib",
    "psutil",
    "publicsuffixlist",
    "pyhanko",
    "pyhanko_certvalidator",
    "pypdfium2",
    "rich",
    "smartcard.System",
    "sqlite3",
    "tkinter",
    "tuf",
    "webbrowser",
)


def modules(home: Path) -> set[str]:
    """What an agent at `home` has loaded once everything is open."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"HCA_AGENT_HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


@pytest.mark.slow
def test_an_agent_that_nobody_uses_has_loaded_nothing_that_only_use_needs(tmp_path: Path) -> None:
    write_ports(tmp_path)
    modules(tmp_path)  # the first start makes keys and certificates
    loaded = modules(tmp_path)
    assert "agent.operations.api" in loaded
    assert [name for name in NOT_AT_REST if name in loaded] == []
