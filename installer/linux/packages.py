"""The Debian and the Fedora package: the same files, and each system's own words about them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib import metadata
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from policy_example import example

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
# Whoever releases says who answers for it, as Debian's tools do; the project itself has no address.
MAINTAINER: Final = (
    f"{os.environ.get('DEBFULLNAME', 'HCA Card Agent contributors')}"
    f" <{os.environ.get('DEBEMAIL', 'hca-agent@hca-agent.invalid')}>"
)
SUMMARY: Final = "open local program between Taiwan's health portals and your card"
DESCRIPTION: Final = (
    "Health portals of Taiwan ask a program on the computer to use the card in its reader: to log in, to "
    "sign, to read basic data. This is an open one. It listens on loopback addresses alone, asks the person "
    "before a site may do anything, and asks for the PIN in a window of its own. Pages written for "
    "HCAServiSign work unchanged. It knows HCA personnel and institution cards, NHI cards and PKCS#15 cards "
    "such as citizen certificates."
)
PROGRAM: Final = "usr/lib/hca-agent"
DOC: Final = "usr/share/doc/hca-agent"
LICENCES: Final = re.compile(r"(^|/)(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$", re.IGNORECASE)


def build(
    frozen: Path, dist: Path, sbom: Path, *, version: str, epoch: int, distributions: Sequence[str]
) -> None:
    """Put both packages into `dist`.

    Args:
        frozen: the frozen program.
        dist: where the packages go.
        sbom: the bill of materials that they carry.
        version: of the program.
        epoch: the time that every file carries.
        distributions: the Python packages whose licences they carry.
    """
    with tempfile.TemporaryDirectory(prefix="hca-agent-package-") as folder:
        tree = Path(folder, "hca-agent")
        _lay_out(tree, frozen, sbom, version=version, epoch=epoch, distributions=distributions)
        _deb(tree, dist, version, epoch)
        _rpm(tree, dist, version, epoch)


def _lay_out(
    tree: Path, frozen: Path, sbom: Path, *, version: str, epoch: int, distributions: Sequence[str]
) -> None:
    """Lay out the files as they will lie on the machine."""
    shutil.copytree(frozen, tree / PROGRAM, symlinks=True)
    for path in (tree / PROGRAM).rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == tree / PROGRAM / "hca-agent" else 0o644)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/hca-agent").symlink_to("../lib/hca-agent/hca-agent")
    for name in ("hca-agent.desktop", "hca-agent-selftest.desktop"):
        _put(tree / "usr/share/applications" / name, (HERE / name).read_bytes())
    _put(tree / "etc/xdg/autostart/hca-agent.desktop", _autostart_entry())
    _put(tree / "usr/lib/systemd/user/hca-agent.service", (HERE / "hca-agent.service").read_bytes())
    for name in ("hca-agent-tls.service", "hca-agent-tls.timer"):
        _put(tree / "lib/systemd/system" / name, (HERE / name).read_bytes())
    icon = (ROOT / "agent/web/icon.svg").read_bytes()
    _put(tree / "usr/share/icons/hicolor/scalable/apps/hca-agent.svg", icon)
    manual = (HERE / "hca-agent.1").read_text(encoding="utf-8").replace("@VERSION@", version)
    manual = manual.replace("@DATE@", f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d}")
    _put(tree / "usr/share/man/man1/hca-agent.1.gz", _gzip(manual.encode()))
    _put(tree / DOC / "copyright", (HERE / "copyright").read_bytes())
    _put(tree / DOC / "sbom.cdx.json", sbom.read_bytes())
    guide = (ROOT / "docs/it-guide.md").read_text("utf-8")
    _put(tree / DOC / "examples/policy.toml", example(guide).encode())
    _put(tree / DOC / "examples/loopback-network.json", _browser_policy())
    for name, text in _licences(distributions).items():
        _put(tree / DOC / "licences" / f"{name}.txt", text)


def _autostart_entry() -> bytes:
    """Return what `hca-agent autostart on` would write, for everybody."""
    sys.path.insert(0, str(ROOT))
    from agent.autostart import desktop_entry

    entry = desktop_entry([f"/{PROGRAM}/hca-agent", "run"])
    return f"{entry}TryExec=/usr/bin/hca-agent\nIcon=hca-agent\n".encode()


def _browser_policy() -> bytes:
    """Return the portals that are known, for administrators who spare their users the browser's question."""
    sys.path.insert(0, str(ROOT))
    from agent.origins.portals import KNOWN

    return json.dumps({"LoopbackNetworkAllowedForUrls": sorted(KNOWN)}, indent=2).encode() + b"\n"


def _licences(distributions: Sequence[str]) -> dict[str, bytes]:
    """Return the licence texts of what is brought along, by package."""
    texts = {}
    for name in distributions:
        files = metadata.distribution(name).files or ()
        found = [Path(str(file.locate())) for file in files if LICENCES.search(str(file))]
        texts[name] = b"\n\n".join(file.read_bytes() for file in found if file.is_file())
    for name, folder in (("python", sys.base_prefix), ("tcl-tk", "/usr/share/doc/libtk8.6")):
        for file in sorted(Path(folder).rglob("LICENSE.txt" if name == "python" else "copyright"))[:1]:
            texts[name] = file.read_bytes()
    return {name: text for name, text in texts.items() if text.strip()}


def _deb(tree: Path, dist: Path, version: str, epoch: int) -> None:
    """Make a package by dpkg-deb: there is nothing to compile that debhelper could help with."""
    with tempfile.TemporaryDirectory(prefix="hca-agent-deb-") as folder:
        root = Path(folder, "root")
        shutil.copytree(tree, root, symlinks=True)
        architecture = _output_of("dpkg", "--print-architecture")
        _put(root / DOC / "changelog.gz", _gzip(_debian_changelog(version, epoch)))
        _put(root / "usr/share/lintian/overrides/hca-agent", (HERE / "lintian-overrides").read_bytes())
        control = root / "DEBIAN"
        control.mkdir(mode=0o755)
        installed = sum(path.lstat().st_size for path in root.rglob("*")) // 1024
        libraries = _libraries(root, Path(folder))
        fields = [
            "Package: hca-agent",
            f"Version: {version}",
            f"Architecture: {architecture}",
            f"Maintainer: {MAINTAINER}",
            f"Installed-Size: {installed}",
            f"Depends: {libraries}, ca-certificates, libnss3-tools, libpcsclite1, pcscd",
            "Recommends: fonts-noto-cjk | fonts-wqy-zenhei, libccid, xdg-utils",
            "Suggests: opensc-pkcs11",
            "Section: utils",
            "Priority: optional",
            f"Description: {SUMMARY}",
            *(f" {line}" for line in _wrapped(DESCRIPTION)),
        ]
        _put(control / "control", "".join(f"{field}\n" for field in fields).encode())
        _put(control / "conffiles", b"/etc/xdg/autostart/hca-agent.desktop\n")
        shared = (HERE / "maintainer.sh").read_text(encoding="utf-8")
        for name in ("postinst", "prerm", "postrm"):
            script = (HERE / "debian" / name).read_text(encoding="utf-8").replace("@SHARED@\n", shared)
            _put(control / name, script.encode(), 0o755)
        _put(control / "md5sums", _md5sums(root))
        _carry(root, epoch)
        target = dist / f"hca-agent_{version}_{architecture}.deb"
        _run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target), epoch=epoch)


def _md5sums(root: Path) -> bytes:
    """Return what `dpkg --verify` compares."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    shown = [(path.relative_to(root), path) for path in files]
    lines = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n"
        for name, path in shown
        if name.parts[0] not in ("DEBIAN", "etc")
    ]
    return "".join(lines).encode()


def _libraries(root: Path, work: Path) -> str:
    """Return the packages of the system's libraries that the program uses, as dpkg-shlibdeps finds them."""
    source = work / "source" / "debian"
    source.mkdir(parents=True)
    (source / "control").write_text(
        "Source: hca-agent\nMaintainer: -\n\nPackage: hca-agent\nArchitecture: any\nDescription: -\n"
    )
    program = root / PROGRAM
    files = [str(path) for path in program.rglob("*") if path.is_file() and _is_elf(path)]
    folders = sorted({str(Path(file).parent) for file in files})
    dependencies = _output_of(
        "dpkg-shlibdeps",
        "-O",
        "--ignore-missing-info",
        "--warnings=0",
        "-xlibtcl8.6",  # brought, as _tkinter fits one version of them
        "-xlibtk8.6",
        f"-S{root}",
        *(f"-l{each}" for each in folders),
        *(f"-e{each}" for each in files),
        cwd=source.parent,
    )
    line = next(line for line in dependencies.splitlines() if line.startswith("shlibs:Depends="))
    return line.partition("=")[2]


def _rpm(tree: Path, dist: Path, version: str, epoch: int) -> None:
    """Make a binary package by rpmbuild, from the same files and hca-agent.rpm.spec."""
    with tempfile.TemporaryDirectory(prefix="hca-agent-rpm-") as folder:
        root = Path(folder, "root")
        shutil.copytree(tree, root, symlinks=True)
        (root / "usr/lib/systemd").mkdir(parents=True, exist_ok=True)
        (root / "lib/systemd/system").rename(root / "usr/lib/systemd/system")
        shutil.rmtree(root / "lib")
        licence = root / "usr/share/licenses/hca-agent"
        _put(licence / "LICENSE", (ROOT / "LICENSE").read_bytes())
        (root / DOC / "licences").rename(licence / "libraries")
        _carry(root, epoch)
        spec = Path(folder, "hca-agent.spec")
        day = datetime.fromtimestamp(epoch, UTC)
        words = {
            "@VERSION@": version,
            "@SUMMARY@": SUMMARY[0].upper() + SUMMARY[1:],
            "@DESCRIPTION@": "\n".join(_wrapped(DESCRIPTION)),
            "@ROOT@": str(root),
            "@SHARED@": (HERE / "maintainer.sh").read_text(encoding="utf-8").rstrip(),
            "@MAINTAINER@": MAINTAINER,
            "@DAY@": f"{day:%a %b %d %Y}",
        }
        text = (HERE / "hca-agent.rpm.spec").read_text(encoding="utf-8")
        for name, value in words.items():
            text = text.replace(name, value)
        spec.write_text(text, encoding="utf-8")
        target = os.uname().machine
        _run(
            "rpmbuild",
            "-bb",
            "--quiet",
            f"--target={target}-linux",
            f"--define=_topdir {folder}/rpmbuild",
            f"--define=_rpmdir {dist}",
            "--define=_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "--define=use_source_date_epoch_as_buildtime 1",
            "--define=clamp_mtime_to_source_date_epoch 1",
            "--define=_buildhost reproducible",
            str(spec),
            epoch=epoch,
        )


def _debian_changelog(version: str, epoch: int) -> bytes:
    when = format_datetime(datetime.fromtimestamp(epoch, UTC))
    changes = f"  * Version {version}; the project's CHANGELOG.md says what is new."
    return f"hca-agent ({version}) stable; urgency=medium\n\n{changes}\n\n -- {MAINTAINER}  {when}\n".encode()


def _carry(root: Path, epoch: int) -> None:
    """One time for every file."""
    for path in (root, *root.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _put(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 76)


def _output_of(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd).stdout.strip()


def _run(*command: str, epoch: int) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
