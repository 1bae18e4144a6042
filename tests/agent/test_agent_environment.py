"""What the environment of this program can do to its processes: nothing reaches them that is not listed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import ConsentSettings, Pkcs11Settings, UpdateSettings
from agent.desktop import own_command
from agent.environment import KEY_LOG, Child, environment_of
from agent.interaction import ConsentQuestion
from agent.interaction.dialogs import Dialogs
from agent.pkcs11_modules.installed_modules import Modules
from agent.tray.tray_process import TrayProcess
from agent.trust import Machine
from agent.update.install import run_installer
from agent.vocabulary import Verb
from tests.support import softhsm
from tests.support.operations import until
from tests.support.platforms import not_on_windows
from tests.support.tray import tray_state

HOSTILE = {
    **{f"LD_{name}": "/planted.so" for name in ("PRELOAD", "AUDIT", "DEBUG_OUTPUT")},
    "LD_LIBRARY_PATH": "/planted",
    **{f"DYLD_{name}": "/planted" for name in ("INSERT_LIBRARIES", "LIBRARY_PATH")},
    **{f"PYTHON{name}": "/planted" for name in ("PATH", "STARTUP", "PYCACHEPREFIX", "USERBASE")},
    "PYTHONINSPECT": "1",
    "PYTHONBREAKPOINT": "planted.module",
    "PYTHONWARNINGS": "error",
    "OPENSSL_CONF": "/planted",
    "OPENSSL_MODULES": "/planted",
    "OPENSSL_ENGINES": "/planted",
    "SSL_CERT_FILE": "/planted",
    "SSL_CERT_DIR": "/planted",
    KEY_LOG: "/planted",
    "P11_KIT_DEBUG": "all",
    "P11_KIT_STRICT": "1",
    "NSS_DEFAULT_DB_TYPE": "dbm",
    "GTK_MODULES": "planted",
    "GTK_PATH": "/planted",
    "GIO_EXTRA_MODULES": "/planted",
    "TCLLIBPATH": "/planted",
    "TCL_LIBRARY": "/planted",
    "TK_LIBRARY": "/planted",
    "BASH_ENV": "/planted",
    "ENV": "/planted",
    "IFS": "x",
    "GCONV_PATH": "/planted",
}
PROXIES = {"https_proxy": "http://planted:1", "ALL_PROXY": "http://planted:1"}
SAID = "import json, os; open({file!r}, 'w').write(json.dumps(dict(os.environ)))"


@pytest.fixture(autouse=True)
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**HOSTILE, **PROXIES, "PCSCLITE_CSOCK_NAME": "/a/socket"}.items():
        monkeypatch.setenv(name, value)


def check(given: dict[str, str], *also: str) -> None:
    """The child has what it needs and nothing hostile."""
    assert given["PATH"] == os.environ["PATH"]
    assert not set(given) & (HOSTILE.keys() | PROXIES.keys()) - set(also)
    assert ("PCSCLITE_CSOCK_NAME" in given) is ("PCSCLITE_CSOCK_NAME" in also)


def environment_of_process(pid: int) -> dict[str, str]:
    entries = Path("/proc", str(pid), "environ").read_bytes().rstrip(b"\0").split(b"\0")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries)


def written(file: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(file.read_text())
    return found


async def test_a_window_is_given_what_a_window_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4242")
    program = SAID.format(file=str(tmp_path / "said"))
    person = Dialogs(ConsentSettings(), command=lambda kind: (sys.executable, "-I", "-c", program, kind))
    assert not await person.ask(ConsentQuestion("https://portal.example.tw", Verb.READ))
    check(written(tmp_path / "said"))
    assert written(tmp_path / "said")["DISPLAY"] == ":4242"


async def test_the_tray_is_given_what_a_tray_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/a/bus")
    program = SAID.format(file=str(tmp_path / "part")) + f"; os.rename({str(tmp_path / 'part')!r}, "
    program += f"{str(tmp_path / 'said')!r})"

    async def state(_answers: int) -> object:
        return tray_state()

    async def choose(_message: object) -> None: ...

    async with TrayProcess((sys.executable, "-I", "-c", program), state, choose):  # type: ignore[arg-type]
        await until((tmp_path / "said").exists)
    check(written(tmp_path / "said"))
    assert written(tmp_path / "said")["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/a/bus"


@pytest.mark.skipif(softhsm.MODULE is None or not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_the_process_of_a_module_is_given_the_modules_settings_and_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def watched(*words: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(popen(*words, **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", watched)
    (tmp_path / "tokens").mkdir()
    settings = str(softhsm._configure(tmp_path))
    monkeypatch.setenv("SOFTHSM2_CONF", settings)
    modules = Modules(Pkcs11Settings(modules=(str(softhsm.MODULE),)))
    try:
        modules.look([])
        given = environment_of_process(started[0].pid)
    finally:
        modules.close()
    check(given, "PCSCLITE_CSOCK_NAME")
    assert given["SOFTHSM2_CONF"] == settings


@not_on_windows("env(1)")
def test_a_tool_for_certificates_is_given_what_every_program_needs() -> None:
    outcome = Machine.this().run(["env"], b"", 20)
    given = dict(line.split("=", 1) for line in outcome.output.decode().splitlines())
    check(given)
    assert given["LC_ALL"] == "C"
    assert "DISPLAY" not in given


@not_on_windows("a shell")
def test_the_installer_is_given_proxies_too(tmp_path: Path) -> None:
    program = SAID.format(file=str(tmp_path / "said"))
    run_installer(UpdateSettings(install_command=(sys.executable, "-I", "-c", program, "{file}")), tmp_path)
    check(written(tmp_path / "said"), *PROXIES)
    assert written(tmp_path / "said")["https_proxy"] == PROXIES["https_proxy"]


def test_windows_names_have_no_case() -> None:
    known = {
        "SystemRoot": r"C:\Windows",
        "Path": "x",
        "ProgramFiles(x86)": "y",
        "PythonPath": "z",
        "HOME": "h",
    }
    given = environment_of(Child.WINDOW, known, "win32")
    assert given == {"SystemRoot": r"C:\Windows", "Path": "x", "ProgramFiles(x86)": "y"}


STARTERS = {
    *(f"subprocess.{name}" for name in ("Popen", "run", "call", "check_call", "check_output")),
    *(f"asyncio.create_subprocess_{name}" for name in ("exec", "shell")),
}
FREE = {("agent/desktop.py", "begin_anew"), ("agent/desktop.py", "start")}
"""This very program again, and programs that are the person's own, such as a browser."""


def _starts() -> Iterator[tuple[str, str, ast.Call]]:
    """Every place in the source that starts a process: its file, its function and the call."""
    root = Path(__file__).parents[2]
    for room in ("agent", "tray", "signing", "hca_card", "pcsc"):
        for file in (root / room).rglob("*.py"):
            for function in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for node in ast.walk(function):
                        if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTERS:
                            yield file.relative_to(root).as_posix(), function.name, node


@pytest.mark.slow
def test_every_process_is_started_with_an_environment_of_a_kind() -> None:
    found = list(_starts())
    assert len(found) >= 7
    for file, function, node in found:
        named = {each.arg for each in node.keywords}
        assert "env" in named or (file, function) in FREE, f"{file}: {function}"


@pytest.mark.slow
@not_on_windows("modes")
@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONUSERBASE", "PYTHONHOME"])
def test_what_variables_of_python_name_is_not_loaded_by_our_own_processes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for planted in ("click.py", "sitecustomize.py", "usercustomize.py"):
        (tmp_path / planted).write_text("raise SystemExit('planted')")
    for each in HOSTILE:
        monkeypatch.delenv(each)
    monkeypatch.setenv(name, str(tmp_path))
    done = subprocess.run(own_command("--version"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


KEYS = """
import sys
sys.argv[1:] = ["update", "check"]
from agent.__main__ import main
try:
    main()
except SystemExit:
    pass
import ssl, aiohttp
from agent.http_client import _tls
assert ssl.create_default_context().keylog_filename is None
assert _tls().keylog_filename is None
"""


@pytest.mark.slow
def test_no_keys_of_tls_are_written_whatever_the_environment_asks(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    environment = {**environment_of(Child.TOOL), KEY_LOG: str(file), "HCA_AGENT_HOME": str(tmp_path / "home")}
    probe = "import ssl; ssl.create_default_context()"
    done = subprocess.run([sys.executable, "-c", KEYS], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not file.exists()
    # Python itself would have: what is said above is not empty.
    subprocess.run([sys.executable, "-c", probe], env=environment, check=True)
    assert file.exists()
