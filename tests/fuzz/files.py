"""Targets: files of this computer, and those that an update repository has."""

from __future__ import annotations

import io
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from tests.fuzz.outcome import Target, folder, refusals


def configuration(data: bytes) -> None:
    from agent.config import settled

    with refusals():
        try:
            document = tomllib.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return
        settled(Path("config.toml"), document, administrator=bool(len(data) % 2))


def manifest(data: bytes) -> None:
    from agent.batch.choice import Choice
    from agent.batch.listing import Listing
    from agent.batch.manifest import entries_of_manifest

    file = folder() / ("list.csv" if len(data) % 2 else "list.jsonl")
    file.write_bytes(data)
    outputs = folder() / "signed"
    with refusals():
        for declared in Listing(folder(), outputs, force=False).declared(entries_of_manifest(file, Choice())):
            assert ".." not in Path(declared.file).parts
            assert not Path(declared.output).is_absolute()


def release(data: bytes) -> None:
    from agent.update.release import decode

    with refusals(ValueError, msgspec.MsgspecError):
        decode(data)


def kept_file(data: bytes) -> None:
    """A file that this program wrote, and that something has broken since."""
    from agent import inventory
    from agent.access.answers import Answers
    from agent.audit import AuditLog
    from agent.config import AuditSettings
    from agent.server import token
    from agent.update import state

    file = folder() / "kept"
    file.write_bytes(data)
    with refusals():
        Answers(file).all()
    file.write_bytes(data)
    with refusals():
        AuditLog(file, AuditSettings()).read(3)
    with refusals(OSError):
        token.read(file)
    for name, read in ((state.NAME, state.read), (inventory.NAME, inventory.read)):
        (folder() / name).write_bytes(data)
        with refusals():
            read(folder())


@cache
def _journal() -> bytes:
    """A worker's journal with ten results in it."""
    from agent.broker.outcomes import FILE, Outcomes

    place = folder() / "whole"
    place.mkdir()
    with Outcomes(place) as outcomes:
        for number in range(10):
            outcomes.add(str(number), "0" * 32, b"result" * number)
    return (place / FILE).read_bytes()


def journal(data: bytes) -> None:
    """A journal of SQLite whose bytes are changed."""
    from agent.broker.outcomes import FILE, Outcomes

    place = folder() / "journal"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    (place / FILE).write_bytes(_changed(_journal(), data))
    with refusals(), Outcomes(place) as outcomes:
        for number in range(10):
            outcomes.find(str(number))
        outcomes.add("11", "0" * 32, b"result")
        outcomes.stored("11")


def _changed(content: bytes, changes: bytes) -> bytes:
    """Content some of whose bytes are others: five bytes say where and how many, and those follow."""
    changed, left = bytearray(content), io.BytesIO(changes)
    while len(place := left.read(5)) == 5:
        at, length = int.from_bytes(place[:4], "big") % len(changed), place[4] % 16
        changed[at : at + length] = left.read(length)
    return bytes(changed)


@cache
def _site() -> tuple[dict[str, bytes], bytes]:
    """The files of an update repository with one release, by their paths, and the root that is trusted."""
    from tests.support.update_site import update_site

    place = folder() / "site"
    place.mkdir()
    with update_site(place) as site:
        site.publish("9.0.0")
        files = {
            str(file.relative_to(site.folder)): file.read_bytes()
            for file in site.folder.rglob("*")
            if file.is_file()
        }
        return files, (site.keys / "root.json").read_bytes()


def update_metadata(data: bytes) -> None:
    """A repository one of whose files is changed or another: only what was signed is offered."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient.fetcher import FetcherInterface

    from agent.update.repository import Repository

    url = "http://127.0.0.1:9/"
    files, root = _site()
    names = sorted(files)
    touched = names[data[0] % len(names)] if data else ""

    class Fetching(FetcherInterface):
        def allow(self, _seconds: float) -> None:
            pass

        def _fetch(self, asked: str) -> Iterator[bytes]:
            name = asked.removeprefix(url)
            if name == touched:
                return iter([data[2:] if data[1:2] < b"\x20" else _changed(files[name], data[2:])])
            if name not in files:
                raise DownloadHTTPError("not there", 404)
            return iter([files[name]])

    place = folder() / "seen"
    shutil.rmtree(place, ignore_errors=True)
    with refusals() if data else nullcontext():
        repository = Repository(url, root, place)
        repository._fetcher = repository._updater._fetcher = Fetching()  # type: ignore[assignment]
        assert repository.release().version == "9.0.0"


TARGETS: Final[tuple[Target, ...]] = (configuration, manifest, release, kept_file, journal, update_metadata)
