"""Fetch files of the one repository for the TUF client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from agent.http_client import HttpError, HttpPolicy, stream

SILENCE_SECONDS: Final = 15.0
"""How long a server may say nothing."""
FILE_SECONDS: Final = 1200.0
"""How long one file may take."""


class RepositoryFetcher(FetcherInterface):
    """Fetches by GET, through the system's proxy where there is one; the TUF client bounds the size.

    Args:
        url: the repository; nothing that is not below it is asked for.
    """

    def __init__(self, url: str) -> None:
        self._policy = HttpPolicy(
            seconds=FILE_SECONDS, silence_seconds=SILENCE_SECONDS, prefix=url, proxy=True
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        chunks = stream(url, self._policy)
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
