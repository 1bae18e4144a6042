#!/usr/bin/env python3
"""The update repository, made and signed (The Update Framework): what release managers run.

    release.py keys    KEYS [--root-days 365]          four new Ed25519 keys and root.json; once
    release.py publish REPOSITORY KEYS --version 1.2.3 deb-x86_64=hca-agent_1.2.3_amd64.deb ...
    release.py refresh REPOSITORY KEYS                 a new time stamp, before the old one expires
    release.py rotate  KEYS [ROLE...]                  a new root.json before the old one expires, with new
                                                       keys for these roles; publish after it

KEYS holds one private key for each role, PEM, mode 0600. Keep `root.pem` and `targets.pem` off line; only
`snapshot.pem` and `timestamp.pem` need to be where `refresh` runs. REPOSITORY is what the web server serves:
`metadata/` and `targets/`. `root.json` of KEYS goes to every computer as `update-root.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

ROLES = ("root", "targets", "snapshot", "timestamp")
RELEASE = "release.json"
TARGETS_DAYS, SNAPSHOT_DAYS, TIMESTAMP_DAYS = 180, 30, 14
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}")


def make_keys(folder: Path, *, root_days: float = 365) -> None:
    """Write a new key for each role, and the root metadata that names them.

    Raises:
        FileExistsError: the folder has keys already; they are never replaced here.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = Root(version=1, expires=_in(root_days), consistent_snapshot=True)
    signers = {role: CryptoSigner.generate_ed25519() for role in ROLES}
    for role, signer in signers.items():
        _write_key(folder / f"{role}.pem", signer)
        root.add_key(signer.public_key, role)
    signed = Metadata(root)
    signed.sign(signers["root"])
    signed.to_file(str(folder / "root.json"))


def publish(
    repository: Path,
    keys: Path,
    version: str,
    packages: dict[str, Path],
    *,
    targets_days: float = TARGETS_DAYS,
    snapshot_days: float = SNAPSHOT_DAYS,
    timestamp_days: float = TIMESTAMP_DAYS,
) -> None:
    """Offer `packages` as release `version`, in place of what was offered before.

    Args:
        repository: made when missing.
        keys: from `make_keys`.
        version: numbers with dots.
        packages: the files by kind and processor, such as `deb-x86_64`.
        targets_days: how long the list of files is good for.
        snapshot_days: how long it is good that this is the newest list.
        timestamp_days: how long a client believes that nothing is newer.

    Raises:
        ValueError: the version is not numbers with dots.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version} is not numbers with dots")
    metadata, files = repository / "metadata", repository / "targets"
    metadata.mkdir(parents=True, exist_ok=True)
    files.mkdir(parents=True, exist_ok=True)
    _serve_roots(keys, metadata)

    targets = Targets(version=_newest(metadata, "targets") + 1, expires=_in(targets_days))
    members = {"version": version, "packages": {kind: file.name for kind, file in packages.items()}}
    release = files / RELEASE
    release.write_text(json.dumps(members, indent=1), "utf-8")
    for file in (release, *packages.values()):
        target = TargetFile.from_file(file.name, str(file))
        targets.targets[file.name] = target
        shutil.copyfile(file, files / f"{target.hashes['sha256']}.{file.name}")
    release.unlink()  # served by its hash, like every other
    _sign(Metadata(targets), keys, "targets", metadata)

    snapshot = Snapshot(
        version=_newest(metadata, "snapshot") + 1,
        expires=_in(snapshot_days),
        meta={"targets.json": _named(metadata, "targets", targets.version)},
    )
    _sign(Metadata(snapshot), keys, "snapshot", metadata)
    _stamp(metadata, keys, snapshot.version, timestamp_days)


def refresh(
    repository: Path,
    keys: Path,
    *,
    snapshot_days: float = SNAPSHOT_DAYS,
    timestamp_days: float = TIMESTAMP_DAYS,
) -> None:
    """Say again that what is offered is the newest; run it by a timer, well within `TIMESTAMP_DAYS`."""
    metadata = repository / "metadata"
    _serve_roots(keys, metadata)
    newest = _newest(metadata, "snapshot")
    snapshot = Metadata[Snapshot].from_file(str(metadata / f"{newest}.snapshot.json"))
    snapshot.signed.version, snapshot.signed.expires = newest + 1, _in(snapshot_days)
    _sign(snapshot, keys, "snapshot", metadata)
    _stamp(metadata, keys, newest + 1, timestamp_days)


def rotate(keys: Path, roles: Sequence[str] = (), *, root_days: float = 365) -> None:
    """Make the root metadata that follows, with new keys for `roles`; the old keys are kept as `ROLE.N.pem`.

    It is signed by the root key before and the one after, so that every client which believes the old root
    believes the new one: root metadata that was skipped, or that the old key did not sign, is refused.
    """
    before = Metadata[Root].from_file(str(keys / "root.json"))
    version = before.signed.version
    signers = [_signer(keys, "root")]
    after = Root.from_dict(before.signed.to_dict())
    after.version, after.expires = version + 1, _in(root_days)
    for role in roles:
        signer = CryptoSigner.generate_ed25519()
        for keyid in list(after.roles[role].keyids):
            after.revoke_key(keyid, role)
        after.add_key(signer.public_key, role)
        (keys / f"{role}.pem").rename(keys / f"{role}.{version}.pem")
        _write_key(keys / f"{role}.pem", signer)
        if role == "root":
            signers.append(signer)
    signed = Metadata(after)
    for signer in signers:
        signed.sign(signer, append=True)
    (keys / "root.json").rename(keys / f"{version}.root.json")
    signed.to_file(str(keys / "root.json"))


def _serve_roots(keys: Path, metadata: Path) -> None:
    """Serve every root metadata there was: clients follow them one by one."""
    for file in (*keys.glob("[0-9]*.root.json"), keys / "root.json"):
        root = file.read_bytes()
        (metadata / f"{Metadata[Root].from_bytes(root).signed.version}.root.json").write_bytes(root)


def _write_key(file: Path, signer: CryptoSigner) -> None:
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(signer.private_bytes)


def _signer(keys: Path, role: str) -> CryptoSigner:
    return CryptoSigner(load_pem_private_key((keys / f"{role}.pem").read_bytes(), password=None))


def _stamp(metadata: Path, keys: Path, snapshot_version: int, days: float) -> None:
    file = metadata / "timestamp.json"
    before = Metadata[Timestamp].from_file(str(file)).signed.version if file.exists() else 0
    named = _named(metadata, "snapshot", snapshot_version)
    stamp = Timestamp(version=before + 1, expires=_in(days), snapshot_meta=named)
    _sign(Metadata(stamp), keys, "timestamp", metadata)


def _named(metadata: Path, role: str, version: int) -> MetaFile:
    """Name a file by its hash too: another repository with the same keys has one of the same version."""
    content = (metadata / f"{version}.{role}.json").read_bytes()
    return MetaFile(version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})


def _sign(signed: Metadata, keys: Path, role: str, metadata: Path) -> None:
    signed.sign(_signer(keys, role))
    name = f"{role}.json" if role == "timestamp" else f"{signed.signed.version}.{role}.json"
    # Whole or not at all: clients may be asking at this moment.
    part = metadata / f".{name}.part"
    signed.to_file(str(part))
    part.replace(metadata / name)


def _newest(metadata: Path, role: str) -> int:
    versions = [int(file.name.partition(".")[0]) for file in metadata.glob(f"[0-9]*.{role}.json")]
    return max(versions, default=0)


def _in(days: float) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def _package(text: str) -> tuple[str, Path]:
    kind, _, file = text.partition("=")
    if not file or not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"{text} is not KIND=FILE with a file that exists")
    return kind, Path(file)


def main(words: Sequence[str] | None = None) -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("keys")
    making.add_argument("keys", type=Path)
    making.add_argument("--root-days", type=int, default=365)
    publishing = commands.add_parser("publish")
    publishing.add_argument("repository", type=Path)
    publishing.add_argument("keys", type=Path)
    publishing.add_argument("--version", required=True)
    publishing.add_argument("packages", type=_package, nargs="+", metavar="KIND=FILE")
    refreshing = commands.add_parser("refresh")
    refreshing.add_argument("repository", type=Path)
    refreshing.add_argument("keys", type=Path)
    rotating = commands.add_parser("rotate")
    rotating.add_argument("keys", type=Path)
    rotating.add_argument("roles", nargs="*", choices=ROLES, metavar="ROLE")
    rotating.add_argument("--root-days", type=int, default=365)
    asked = parser.parse_args(words)
    match asked.command:
        case "keys":
            make_keys(asked.keys, root_days=asked.root_days)
        case "publish":
            publish(asked.repository, asked.keys, asked.version, dict(asked.packages))
        case "rotate":
            rotate(asked.keys, asked.roles, root_days=asked.root_days)
        case "refresh":
            refresh(asked.repository, asked.keys)


if __name__ == "__main__":
    sys.exit(main())
