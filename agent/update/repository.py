"""The client's side of The Update Framework: every byte is checked against the keys in the root file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, ErrorId
from agent.update import release as releases
from agent.update.release import Release

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]
    from tuf.ngclient.updater import Updater

    from agent.config import UpdateSettings
    from agent.paths import Paths
    from agent.update.fetching import RepositoryFetcher

ROOT: Final = "update-root.json"
LOOK_SECONDS: Final = 120.0
"""How long it may take to learn what is on offer, however slowly the server speaks."""
PACKAGE_SECONDS: Final = 1200.0
_ROOT_BYTES_MAX: Final = 256 * 1024


def open_repository(settings: UpdateSettings, paths: Paths, *, since: datetime | None = None) -> Repository:
    """Return the repository of the configuration; nothing is fetched yet.

    Args:
        settings: where it is.
        paths: the agent's folders.
        since: as `Repository`.

    Raises:
        AgentError: update.off, update.no_root.
        OSError: the agent's folder cannot be written.
    """
    if not settings.enabled or not settings.url:
        raise AgentError(ErrorId.UPDATE_OFF)
    file = root_file(settings, paths)
    try:
        root = file.read_bytes()[:_ROOT_BYTES_MAX]
    except OSError as error:
        raise AgentError(ErrorId.UPDATE_NO_ROOT, detail=str(file)) from error
    return Repository(settings.url, root, paths.update, since=since)


def root_file(settings: UpdateSettings, paths: Paths) -> Path:
    """Return the file of the keys that are believed."""
    return Path(settings.root) if settings.root else paths.machine / ROOT


class Repository:
    """One look at a repository; every method blocks.

    What was seen is kept in the folder, so that a later look notices when it is shown something older.

    Args:
        url: ends with a slash.
        root: the trusted root metadata.
        folder: made when missing, for this user alone.
        since: when it was good last, by metadata that had not expired: a clock before that is wrong, and must
            not bring back what has expired (TUF 5.1 has the time fixed for one look).

    Raises:
        AgentError: update.refused: the root file is none.
        OSError: the folder cannot be written.
    """

    def __init__(self, url: str, root: bytes, folder: Path, *, since: datetime | None = None) -> None:
        self._folder = folder
        metadata = folder / "metadata"
        metadata.mkdir(mode=0o700, parents=True, exist_ok=True)
        from agent.update.fetching import RepositoryFetcher

        self._fetcher = RepositoryFetcher(url)
        with _framework_errors():
            self._updater = _updater(url, root, metadata, self._fetcher)
            trusted = self._updater._trusted_set
            trusted.reference_time = max(trusted.reference_time, since or trusted.reference_time)

    def release(self) -> Release:
        """Return the release on offer, newer or not.

        Raises:
            AgentError: update.unreachable, update.refused, update.expired, update.rolled_back.
            OSError: the folder cannot be written.
        """
        self._fetcher.allow(LOOK_SECONDS)
        with _framework_errors():
            target = self._target(releases.NAME)
            if target.length > releases.BYTES_MAX:
                raise AgentError(ErrorId.UPDATE_REFUSED, detail=f"{releases.NAME}: {target.length} bytes")
            file = self._updater.download_target(target, str(self._folder / releases.NAME))
        return releases.decode(Path(file).read_bytes())

    def download(self, name: str, folder: Path | None = None) -> Path:
        """Fetch and check a package of the release, unless it is there already and still right.

        Args:
            name: the target's name, from `release`.
            folder: None is a folder of our own, in which no other package is left.

        Raises:
            AgentError: as `release`.
            OSError: the folder cannot be written.
        """
        own = self._folder / "packages"
        target_folder = folder or own
        target_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file, part = target_folder / name, target_folder / f".{name}.part"
        if folder is None:
            for other in own.iterdir():
                if other.name != name:
                    other.unlink()
        self._fetcher.allow(PACKAGE_SECONDS)
        with _framework_errors():
            target = self._target(name)
            if self._updater.find_cached_target(target, str(file)) is None:
                try:
                    self._updater.download_target(target, str(part))
                    part.replace(file)
                finally:
                    part.unlink(missing_ok=True)
        return file

    def _target(self, name: str) -> TargetFile:
        target = self._updater.get_targetinfo(name)
        if target is None:
            raise AgentError(ErrorId.UPDATE_REFUSED, detail=f"{name} is not among the signed files")
        return target


def _updater(url: str, root: bytes, metadata: Path, fetcher: RepositoryFetcher) -> Updater:
    from tuf.ngclient.config import UpdaterConfig
    from tuf.ngclient.updater import Updater

    return Updater(
        str(metadata),
        url + "metadata/",
        target_base_url=url + "targets/",
        fetcher=fetcher,
        config=UpdaterConfig(
            max_root_rotations=64,
            max_delegations=8,
            root_max_length=_ROOT_BYTES_MAX,
            snapshot_max_length=256 * 1024,
            targets_max_length=1024 * 1024,
        ),
        bootstrap=root,
    )


@contextmanager
def _framework_errors() -> Iterator[None]:
    """Run the body with the framework's exceptions raised as errors of ours."""
    from tuf.api import exceptions

    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise AgentError(ErrorId.UPDATE_EXPIRED, detail=str(error)) from error
    except exceptions.BadVersionNumberError as error:
        raise AgentError(ErrorId.UPDATE_ROLLED_BACK, detail=str(error)) from error
    except (exceptions.RepositoryError, exceptions.DownloadLengthMismatchError) as error:
        raise AgentError(ErrorId.UPDATE_REFUSED, detail=f"{type(error).__name__}: {error}") from error
    except exceptions.DownloadError as error:
        raise AgentError(ErrorId.UPDATE_UNREACHABLE, detail=str(error)) from error
