"""Fetch files of the one repository for the TUF client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from agent.http_client import HttpError, HttpPolicy, stream

SILENCE_SECONDS: Final = 15.0
"""How long a server may say nothing."""


class RepositoryFetcher(FetcherInterface):
    """Fetches by GET, through the system's proxy where there is one; the TUF client bounds the size.

    Args:
        url: the repository; nothing that is not below it is asked for.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._end = 0.0
        self._chunks = self._fetching(url)

    def allow(self, seconds: float) -> None:
        """Let everything that is fetched from now on take so long together, however many files it is."""
        self._end = time.monotonic() + seconds

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Fetch as the client does, and hang up at once where it has had enough."""
        try:
            with super().download_file(url, max_length) as file:
                yield file
        finally:
            self._chunks.close()

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._chunks = self._fetching(url)
        return self._chunks

    def _fetching(self, url: str) -> Generator[bytes, None, None]:
        left = self._end - time.monotonic()
        if left <= 0:
            raise DownloadError("no answer in time")
        chunks = stream(
            url, HttpPolicy(seconds=left, silence_seconds=SILENCE_SECONDS, prefix=self._url, proxy=True)
        )
        with asyncio.Runner() as runner:

            async def following() -> bytes:
                return await anext(chunks, b"")

            try:
                while chunk := runner.run(following()):
                    yield chunk
            except HttpError as error:
                if error.status:
                    raise DownloadHTTPError(str(error), error.status) from None
                raise DownloadError(str(error)) from error
            finally:
                runner.run(chunks.aclose())
