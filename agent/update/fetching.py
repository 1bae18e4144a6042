"""Files of the one repository over HTTP: no redirect, no other host, not for ever."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

SILENCE_SECONDS: Final = 15.0
"""How long a server may say nothing."""
FILE_SECONDS: Final = 1200.0
"""How long one file may take."""
_CHUNK: Final = 64 * 1024
# A frozen program's OpenSSL looks where the computer that built it has its certificates.
_AUTHORITIES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_details: object) -> None:
        """Nowhere: what was not configured is not asked."""


class Fetcher(FetcherInterface):
    """Fetches by GET, through the system's proxy where there is one.

    Args:
        url: the repository; nothing that is not below it is asked for.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.HTTPSHandler(context=_context())
        )
        self._opener.addheaders = [("User-Agent", "hca-agent"), ("Accept-Encoding", "identity")]

    def _fetch(self, url: str) -> Iterator[bytes]:
        if not url.startswith(self._url):
            raise DownloadError(f"{url} is not below {self._url}")
        try:
            # The configuration takes http and https only.
            response = self._opener.open(url, timeout=SILENCE_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                raise DownloadHTTPError(f"HTTP {error.code}", error.code) from None
        return _chunks(response)


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    until = time.monotonic() + FILE_SECONDS
    with closing(response):
        try:
            while chunk := response.read1(_CHUNK):
                yield chunk
                if time.monotonic() > until:
                    raise SlowRetrievalError("too slow")
        except (OSError, HTTPException) as error:
            raise DownloadError(type(error).__name__) from error


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    usual = ssl.get_default_verify_paths()
    if not usual.cafile and not usual.capath:
        for bundle in _AUTHORITIES:
            if Path(bundle).exists():
                context.load_verify_locations(bundle)
                break
    return context
