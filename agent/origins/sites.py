"""Which origins are one site: whoever holds a domain has as many names under it as they like.

The public suffix list tells where domains are sold (`gov.tw`, `com.tw`, `github.io`); the installed package
brings it, and nothing is fetched.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1024)
def site_of(origin: str) -> str:
    """Return what all origins of one owner share: the registrable domain, whatever the scheme and port.

    An address, a single label and a public suffix itself stand for themselves.

    Args:
        origin: as `is_origin` takes it.
    """
    host = urlsplit(origin).hostname or origin
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _rules(host.rpartition(".")[2]).privatesuffix(host) or host
    return host


@lru_cache(maxsize=64)
def _rules(top: str) -> PublicSuffixList:
    """Return the list as far as it is about one top level: the whole of it would take 4 MB and 200 ms."""
    from publicsuffixlist import PSLFILE, PublicSuffixList

    try:
        ending = top.encode().decode("idna").encode()
    except UnicodeError:
        ending = top.encode()
    lines = Path(PSLFILE).read_bytes().splitlines()
    return PublicSuffixList([line for line in lines if line.endswith(ending)])
