"""Packages of which only parts are loaded: they are the same to whoever asks for more."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from agent.lazy_packages import load_parts_alone
load_parts_alone("aiohttp", "no_such_package")
from aiohttp import hdrs, web
assert web is sys.modules["aiohttp.web"] and hdrs.HOST == "Host"
assert "aiohttp.client" not in sys.modules and "no_such_package" not in sys.modules
try:
    import aiohttp.no_such_part
except ModuleNotFoundError:
    pass
import aiohttp
assert aiohttp.ClientSession is sys.modules["aiohttp.client"].ClientSession
assert aiohttp.web is web and aiohttp.__version__
assert not hasattr(aiohttp, "no_such_name")
load_parts_alone("aiohttp")
assert sys.modules["aiohttp"] is aiohttp
"""


@pytest.mark.slow
def test_a_package_is_loaded_part_by_part_and_whole_once_more_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
