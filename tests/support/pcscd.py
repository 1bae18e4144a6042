"""A real pcscd of one's own, with two virtual readers, for the tests marked `pcscd`.

The daemon runs in a mount and a network namespace of its own: its socket and its two vpcd ports are seen by
nobody else, so that tests run side by side and never touch the machine's own smart card service.

    def read_the_atr(port: int) -> str: ...     # a function of the test module: it runs in another process

    @pytest.mark.pcscd
    def test_something(pcscd: PrivatePcscd) -> None:
        assert pcscd.call(read_the_atr, pcscd.ports[0]) == "3b00"

Whatever speaks to the service or to the readers must run inside: `call` for a Python function, `run` and
`popen` for any program. `kill` and `start` (or `restart`) take the service away and bring it back while what
was started inside goes on. The fixture is made by `pcscd = pcscd_fixture()` in a test module or a conftest,
or with `private_pcscd()` directly.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.platforms import WINDOWS
from tests.support.waiting import LIMIT, until

PORTS: Final = (35963, 35964)
READERS: Final = ("Virtual PCD 00 00", "Virtual PCD 00 01")
TWO: Final = (b"Virtual PCD",)
FOUR: Final = (b"Virtual PCD", b"Virtual PCD Two")
SIXTEEN: Final = (b"Virtual PCD", *(b"Virtual PCD %d" % number for number in range(2, 9)))
"""Names of readers, in the octets that reader.conf gives the service; each is a driver with two slots."""

KEEPER: Final = "HCA_TEST_PCSCD"
"""Names, in a Windows under Wine, the port of `tests.support.pcscd_keeper`."""

_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_TOOLS = ("pcscd", "unshare", "nsenter", "setpriv", "mount", "ip")
_CONFIGURATION = """\
FRIENDLYNAME "{name}"
DEVICENAME   /dev/null:0x{port:X}
LIBPATH      {driver}
CHANNELID    0x{port:X}
"""
# The drivers of real readers are covered up, so that a card on this desk is not touched. Reading standard
# input keeps the namespaces alive exactly as long as this process: its end closes the pipe.
_HOLD = """\
mount -t tmpfs tmpfs /run/pcscd && ip link set lo up || exit
for bundle in /usr/lib/pcsc/drivers/*.bundle; do
    test ! -d "$bundle" || mount -t tmpfs tmpfs "$bundle" || exit
done
echo ready
exec cat
"""
_LISTEN = "0A"


def why_not() -> str | None:
    """Why no private pcscd can be had here; None where it can."""
    if WINDOWS:
        return (
            None if KEEPER in os.environ else "Windows' service is the machine's: it cannot be a private one"
        )
    if sys.platform != "linux":
        return "a private pcscd needs Linux namespaces"
    if os.geteuid() != 0:
        return "a private pcscd needs root (mount and network namespaces)"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if not _DRIVER.exists():
        missing.append("vsmartcard-vpcd")
    if missing:
        return f"a private pcscd needs {', '.join(missing)}"
    return None


class Pcscd:
    """A pcscd in namespaces that somebody else keeps, alone there; not started yet.

    Args:
        folder: for its configuration and its log; of the same path inside as here.
        names: of the readers.
        options: more words for its command line, as `--apdu`.
        enter: the words that start a command inside.
        namespaces: a process inside.
        root: the root folder there, as this process reaches it.

    Attributes:
        host: where the readers listen, inside.
        ports: the TCP ports of the readers, inside.
        readers: their PC/SC names, in the same order.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        names: Sequence[bytes],
        options: Sequence[str],
        *,
        enter: Sequence[str],
        namespaces: int,
        root: Path = Path("/"),
    ) -> None:
        self._options = options
        self._enter = enter
        self._namespaces = namespaces
        ports: list[int] = []
        readers: list[str] = []
        entries: list[bytes] = []
        for number, name in enumerate(names):
            # The driver keeps its slots in static variables: loaded from another file, it has others.
            copy = shutil.copy(root / _DRIVER.relative_to("/"), folder / f"driver{number}.so")
            port = PORTS[0] + 10 * number
            ports += (port, port + 1)
            readers += (f"{name.decode('utf-8', 'replace')} 00 0{slot}" for slot in range(2))
            entries.append(
                _CONFIGURATION.format(name="", port=port, driver=copy).encode().replace(b'""', b'"%s"' % name)
            )
        self.ports: tuple[int, ...] = tuple(ports)
        self.readers: tuple[str, ...] = tuple(readers)
        self._configuration = folder / "reader.conf"
        self._configuration.write_bytes(b"\n".join(entries))
        self._log = folder / "pcscd.log"
        self._daemon: subprocess.Popen[bytes] | None = None

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, **kwargs: Any
    ) -> subprocess.CompletedProcess[Any]:
        """`subprocess.run` inside the namespaces; the keywords are its own."""
        check = kwargs.pop("check", False)
        return subprocess.run([*self._enter, *argv], timeout=timeout, check=check, **kwargs)

    def popen(self, argv: Sequence[str], **kwargs: Any) -> subprocess.Popen[Any]:
        """`subprocess.Popen` inside the namespaces; its pid is the program's own. The caller ends it."""
        return subprocess.Popen([*self._enter, *argv], **kwargs)

    def call(self, function: Callable[..., Any], *args: Any, timeout: float = 120) -> Any:
        """Run `function(*args)` in a fresh Python inside the namespaces and give back what it returns.

        Args:
            function: a function at the top of a module (it is found again by name, as pickle does).
            args: whatever pickle can carry.
            timeout: seconds.

        Raises:
            AssertionError: the function raised; the message is its traceback.
        """
        return _call(self.popen, function, args, timeout)

    def start(self) -> None:
        """Start the service and wait until it listens for programs and for cards.

        Raises:
            AssertionError: it did not come up within ten seconds; the message holds its log.
        """
        assert self._daemon is None, "pcscd is already running"
        with self._log.open("ab") as log:
            # pdeathsig: a killed test run leaves no daemon behind.
            self._daemon = self.popen(
                ["setpriv", "--pdeathsig", "KILL", "pcscd", "--foreground", "--config",
                 str(self._configuration), *self._options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait(self._listening, "pcscd did not start")

    @property
    def pid(self) -> int:
        """The service's process, the same number inside and outside."""
        assert self._daemon is not None, "pcscd is not running"
        return self._daemon.pid

    def kill(self) -> None:
        """End the service with SIGKILL, as a crash would: its socket file stays behind."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the service with SIGTERM, as systemd would: it tidies up."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill the service and start it again."""
        self.kill()
        self.start()

    @property
    def log(self) -> str:
        """What the service has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """End the service."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(number)
            self._daemon.wait(LIMIT)
            self._daemon = None

    def _listening(self) -> bool:
        """Whether all reader ports and the service's own socket are there, seen from outside."""
        process = Path("/proc") / str(self._namespaces)
        sockets = [
            (int(fields[1].rpartition(":")[2], 16), fields[3])
            for line in (process / "net/tcp").read_text().splitlines()[1:]
            if (fields := line.split())
        ]
        return all((port, _LISTEN) in sockets for port in self.ports) and (
            "/run/pcscd/pcscd.comm" in (process / "net/unix").read_text()
        )

    def _wait(self, condition: Callable[[], bool], complaint: str, seconds: float = LIMIT) -> None:
        def holds() -> bool:
            if condition():
                return True
            assert self._daemon is None or self._daemon.poll() is None, f"{complaint}:\n{self.log}"
            return False

        until(holds, lambda: f"{complaint}:\n{self.log}", seconds)


class PrivatePcscd(Pcscd):
    """One pcscd in its own namespaces; made by `private_pcscd`."""

    def __init__(self, folder: Path, names: Sequence[bytes] = TWO, options: Sequence[str] = ()) -> None:
        Path("/run/pcscd").mkdir(exist_ok=True)
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        pid = self._holder.pid
        enter = ["nsenter", "-t", str(pid), "--mount", "--net", f"--wd={Path.cwd()}"]
        super().__init__(folder, names, options, enter=enter, namespaces=pid)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            pytest.skip("this machine does not let root make mount and network namespaces")

    def close(self) -> None:
        """End the service and let the namespaces go."""
        super().close()
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.kill()
        self._holder.wait()


class KeptPcscd:
    """One pcscd as `PrivatePcscd`, for a Windows under Wine: `tests.support.pcscd_keeper` keeps it.

    It has no namespaces: this process is in them.
    """

    host: Final = "127.0.0.1"

    def __init__(self, names: Sequence[bytes] = TWO, options: Sequence[str] = ()) -> None:
        self._keeper = socket.create_connection((self.host, int(os.environ[KEEPER])))
        self._answers = self._keeper.makefile("r", encoding="utf-8")
        told = self._ask("make", names=[name.hex() for name in names], options=list(options))
        self.ports: tuple[int, ...] = tuple(told["ports"])
        self.readers: tuple[str, ...] = tuple(told["readers"])

    def _ask(self, order: str, **more: object) -> Any:
        self._keeper.sendall(json.dumps({"order": order, **more}).encode() + b"\n")
        told = json.loads(self._answers.readline())
        assert "error" not in told, told["error"]
        return told["result"]

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, **kwargs: Any
    ) -> subprocess.CompletedProcess[Any]:
        """`subprocess.run`."""
        return subprocess.run(argv, timeout=timeout, check=kwargs.pop("check", False), **kwargs)

    def popen(self, argv: Sequence[str], **kwargs: Any) -> subprocess.Popen[Any]:
        """`subprocess.Popen`."""
        return subprocess.Popen(argv, **kwargs)

    def call(self, function: Callable[..., Any], *args: Any, timeout: float = 120) -> Any:
        """See `Pcscd.call`."""
        return _call(self.popen, function, args, timeout)

    def start(self) -> None:
        """Start the service and wait until it listens."""
        self._ask("start")

    def kill(self) -> None:
        """End the service as a crash would."""
        self._ask("kill")

    def stop(self) -> None:
        """End the service as systemd would."""
        self._ask("stop")

    def restart(self) -> None:
        """Kill the service and start it again."""
        self._ask("restart")

    @property
    def log(self) -> str:
        """What the service has written so far."""
        return str(self._ask("log"))

    @property
    def pid(self) -> int:
        """The service's process, as the machine counts."""
        return int(self._ask("pid"))

    def close(self) -> None:
        """Let the keeper end the service."""
        self._ask("close")
        self._answers.close()
        self._keeper.close()


def kill_process(pid: int) -> None:
    """End a process of the machine as a crash would; for the side that runs beside the service."""
    if WINDOWS:
        subprocess.run([r"Z:\bin\sh", "-c", f"kill -KILL {pid}"], check=False)
    else:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def private_pcscd(names: Sequence[bytes] = TWO, options: Sequence[str] = ()) -> Iterator[PrivatePcscd]:
    """A running pcscd with two empty virtual readers of each name; skips the test where it cannot be had.

    Args:
        names: of the readers.
        options: more words for its command line, as `--apdu`.
    """
    if reason := why_not():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="pcscd-") as folder:
        daemon: Any = KeptPcscd(names, options) if WINDOWS else PrivatePcscd(Path(folder), names, options)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.close()


def pcscd_fixture(scope: Any = "function", options: Sequence[str] = ()) -> Any:
    """A pytest fixture giving a `PrivatePcscd`: `pcscd = pcscd_fixture()`, or with scope "module"."""

    @pytest.fixture(scope=scope)
    def pcscd() -> Iterator[PrivatePcscd]:
        with private_pcscd(options=options) as daemon:
            yield daemon

    return pcscd


def _call(
    popen: Callable[..., subprocess.Popen[Any]],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    timeout: float,
) -> Any:
    """Run a function in a fresh Python that `popen` starts."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryDirectory(prefix="call-") as folder:
        results = Path(folder) / "results"
        program = f"from tests.support.pcscd import _serve; _serve({str(results)!r})"
        child = popen([sys.executable, "-c", program], stdin=subprocess.PIPE, env=environment)
        try:
            child.communicate(pickle.dumps((function, args)), timeout=timeout)
        finally:
            child.kill()
            child.wait()
        if not results.exists():
            raise AssertionError(f"{function.__name__} ended its process with {child.returncode}")
        ok, value = pickle.loads(results.read_bytes())
    if not ok:
        raise AssertionError(value)
    return value


def _serve(results: str) -> None:
    """The other end of `_call`."""
    try:
        function, args = pickle.load(sys.stdin.buffer)
        answer: tuple[bool, Any] = (True, function(*args))
        encoded = pickle.dumps(answer)
    except BaseException:
        encoded = pickle.dumps((False, traceback.format_exc()))
    Path(results).write_bytes(encoded)
