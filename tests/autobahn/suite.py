"""Autobahn's suite, which needs Python 2.7: in a Debian Bullseye, the last that has it; made once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.debian import MIRROR

VERSION: Final = "autobahntestsuite==0.8.2"
_PACKAGES: Final = (
    "python2.7", "python2.7-dev", "python-pip-whl", "python-setuptools", "gcc", "libc6-dev", "libffi-dev",
    "libssl-dev", "ca-certificates",
)  # fmt: skip
# Debian has pip for Python 2.7 as wheels alone; the last one of them that is whole comes from PyPI.
_BUNDLE: Final = "etc/ssl/certs/ca-certificates.crt"
_INSTALL: Final = f"""
set -e
export PIP_CERT=/{_BUNDLE}  # a variable, so that the ones it starts to build packages have it too
export PYTHONPATH=$(ls /usr/share/python-wheels/*.whl | tr '\\n' ':')
python2.7 -m pip install --quiet pip==20.3.4 wheel==0.37.1 setuptools==44.1.1
unset PYTHONPATH
python2.7 -m pip install --quiet {VERSION}
"""
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Result:
    """What the suite says of one case.

    Attributes:
        behavior: of what came back before the end: OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED or FAILED.
        close: likewise of how it ended.
        code: the close code that came back, None where there was none.
    """

    behavior: str
    close: str
    code: int | None

    @property
    def good(self) -> bool:
        """Whether both are as the suite allows."""
        return {self.behavior, self.close} <= {"OK", "NON-STRICT", "INFORMATIONAL"}


def machine() -> Path:
    """The root of the machine with the suite, made where it is not there yet; takes root and some minutes."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hca-agent-tests")
    root = kept / "autobahn"
    if not root.exists():
        kept.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix="autobahn.", dir=kept))
        options = ["--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        subprocess.run(["debootstrap", *options, "bullseye", str(making), MIRROR], check=True)
        if (trusted := Path("/", _BUNDLE)).exists():
            shutil.copy(trusted, making / _BUNDLE)  # a proxy's authority is trusted where this computer does
        subprocess.run(["chroot", str(making), "sh", "-c", _INSTALL], check=True, env=_ENVIRONMENT)
        making.chmod(0o755)
        making.rename(root)
    return root


def run(
    url: str, origin: str, cases: Sequence[str], without: Sequence[str], reports: Path
) -> Mapping[str, Result]:
    """Run cases against a server; what the suite says of each, by its number. Blocks until all are run.

    Args:
        url: of the WebSocket.
        origin: which the suite sends.
        cases: patterns of their numbers.
        without: patterns of those among them that are left out.
        reports: the folder for the suite's reports, made anew.
    """
    root = machine()
    with tempfile.TemporaryDirectory(prefix="run.", dir=root / "tmp") as folder:
        inside = f"/tmp/{Path(folder).name}"
        server = {"agent": "it", "url": url, "origin": origin, "options": {"version": 18}}
        specification = {
            "outdir": f"{inside}/reports",
            "servers": [server],
            "cases": list(cases),
            "exclude-cases": list(without),
            "exclude-agent-cases": {},
        }
        Path(folder, "cases.json").write_text(json.dumps(specification))
        command = ["chroot", str(root), "wstest", "-m", "fuzzingclient", "-s", f"{inside}/cases.json"]
        done = subprocess.run(
            command, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr).decode(errors="replace")[-2000:])
        shutil.rmtree(reports, ignore_errors=True)
        shutil.copytree(Path(folder, "reports"), reports)
    [found] = json.loads((reports / "index.json").read_text()).values()
    return {
        number: Result(each["behavior"], each["behaviorClose"], each["remoteCloseCode"])
        for number, each in sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")])
    }
