"""A real Chromium with a home of its own: which authorities it trusts is said, and nothing is ignored."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright

EXECUTABLE: Final = "/usr/bin/chromium"
# Of two lists the last one holds: this is Playwright's, with the two pages behind the address bar left out
# that each new window would load, which costs more than the window itself.
_LEFT_OUT: Final = (
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
)
_PATIENCE_MS: Final = 60_000
_ARGUMENTS: Final = (
    f"--disable-features={','.join(_LEFT_OUT)}",
    "--no-sandbox",  # the tests run as root, and Chromium refuses its sandbox to root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--lang=zh-TW",
)


def why_not() -> str | None:
    """Why there can be no browser here; None where there can."""
    missing = [tool for tool in (EXECUTABLE, "certutil") if shutil.which(tool) is None]
    return f"browser tests need {', '.join(missing)}" if missing else None


@cache
def version() -> int:
    """The browser's major version; 0 where there is none."""
    if why_not():
        return 0
    told = subprocess.run([EXECUTABLE, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Chromium (\d+)", told)
    return int(found[1]) if found else 0


def make_home(folder: Path, trusted: Iterable[Path] = ()) -> Path:
    """A home folder whose NSS database trusts these authorities (PEM) for web servers."""
    if reason := why_not():
        pytest.skip(reason)
    database = folder / ".pki" / "nssdb"
    database.mkdir(parents=True)
    _certutil(database, "-N", "--empty-password")
    for authority in trusted:
        trust(folder, authority)
    return folder


def trust(home: Path, authority: Path) -> None:
    """Trust one more authority; a browser that is already running may not see it."""
    trust_in(home / ".pki" / "nssdb", authority)


def trust_in(database: Path, authority: Path) -> None:
    """Trust one more authority in an NSS database, made when it is missing."""
    if not (database / "cert9.db").exists():
        _certutil(database, "-N", "--empty-password")
    _certutil(database, "-A", "-t", "C,,", "-n", str(authority), "-i", str(authority))


def _certutil(database: Path, *arguments: str) -> None:
    command = ["certutil", "-d", f"sql:{database}", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@asynccontextmanager
async def chromium(
    home: Path,
    *,
    sites: Sequence[str] = (),
    hosts: Sequence[str] = (),
    prefix: Sequence[str] = (),
    display: str = "",
    **options: Any,
) -> AsyncIterator[BrowserContext]:
    """A browser window.

    Args:
        home: what `make_home` made.
        sites: `https://name:port`; each is served by this machine and taken for a site of the Internet, so
            that Local Network Access guards the agent from it as it does from real portals.
        hosts: names that lead to this machine, as a line in the hosts file would have it.
        prefix: a command that starts the browser in another namespace, as `nsenter …`.
        display: the X display where it opens a window, "" for none; only windows have permission prompts.
        options: of Playwright's context: `viewport`, `color_scheme`, …
    """
    executable = EXECUTABLE
    if prefix:
        starter = home / "chromium-inside"
        starter.write_text("#!/bin/sh\nexec " + " ".join(prefix) + f' {EXECUTABLE} "$@"\n')
        starter.chmod(0o755)
        executable = str(starter)
    addresses = [urlsplit(site) for site in sites]
    arguments = _arguments(
        [*(site.hostname or "" for site in addresses), *hosts], (site.port for site in addresses)
    )
    environment = _environment(home)
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            home / "profile",
            executable_path=executable,
            headless=not display,
            args=arguments,
            env={**environment, "DISPLAY": display} if display else environment,
            locale="zh-TW",
            timeout=2 * _PATIENCE_MS,
            **options,
        )
        context.set_default_timeout(_PATIENCE_MS)
        try:
            yield context
        finally:
            await context.close()


def _arguments(names: Sequence[str], public: Iterable[int | None]) -> list[str]:
    """What it is started with: these names lead here, and at these ports are sites of the Internet."""
    arguments = list(_ARGUMENTS)
    if names:
        arguments.append("--host-resolver-rules=" + ", ".join(f"MAP {name} 127.0.0.1" for name in names))
    if spaces := ",".join(f"127.0.0.1:{port}=public" for port in public):
        arguments.append(f"--ip-address-space-overrides={spaces}")
    return arguments


def _environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


@cache
def site_ports() -> tuple[int, ...]:
    """Ports for this process's sites: none that a program is given that asks for any."""
    found = (port for port in range(20_000 + os.getpid() * 8 % 12_000, 32_768) if _is_free(port))
    return tuple(port for port, _ in zip(found, range(8), strict=False))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


class SharedChromium:
    """A browser for many tests; each has cookies, permissions and pages of its own in it.

    What is decided when a browser starts, whom it trusts, makes another one beside it.
    Names below `.test` lead to this machine, and at `site_ports` there are sites of the Internet.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._driver: Playwright | None = None
        self._running: dict[frozenset[Path], Browser] = {}

    @asynccontextmanager
    async def window(
        self, folder: Path, trusted: Iterable[Path], **options: Any
    ) -> AsyncIterator[BrowserContext]:
        """A window with one page, in a browser that trusts these authorities.

        Args:
            folder: where a browser that is not there yet has its home.
            trusted: their certificates (PEM).
            options: of Playwright's context: `viewport`, `color_scheme`, …
        """
        browser = await self._browser(folder, frozenset(trusted))
        context = await browser.new_context(locale="zh-TW", **options)
        context.set_default_timeout(_PATIENCE_MS)
        try:
            await context.new_page()
            yield context
        finally:
            await context.close()

    async def close(self) -> None:
        """End the browsers."""
        self._driver = None
        self._running.clear()
        await self._stack.aclose()

    async def _browser(self, folder: Path, trusted: frozenset[Path]) -> Browser:
        running = self._running.get(trusted)
        if running is None or not running.is_connected():
            home = make_home(folder, trusted)
            if self._driver is None:
                self._driver = await self._stack.enter_async_context(async_playwright())
            running = self._running[trusted] = await self._driver.chromium.launch(
                executable_path=EXECUTABLE,
                args=_arguments(["*.test"], site_ports()),
                env=_environment(home),
                timeout=2 * _PATIENCE_MS,
            )
            self._stack.push_async_callback(running.close)
        return running
