"""What a value of the configuration may be: each function reads one sort of it, or raises ValueError."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agent.origins.spelling import origin_fault

ValueReader = Callable[[Any], Any]


def whole(low: int, high: int) -> ValueReader:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return read


def boolean(value: Any) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def version(value: Any) -> str:
    """Read a version of four numbers."""
    parts = value.split(".") if isinstance(value, str) else ()
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts):
        raise ValueError('must be a version of four numbers, such as "1.0.23.1227"')
    return ".".join(parts)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list: write [ and ] around it")  # noqa: TRY004  (one kind of error for whoever reads the file)
    return value


def origins(value: Any) -> frozenset[str]:
    """Read exact origins."""
    for item in _list(value):
        if fault := origin_fault(item) if isinstance(item, str) else 'it is a text, with " around it':
            raise ValueError(f'{item!r} is not an origin such as "https://portal.example.tw": {fault}')
    return frozenset(value)


def text(value: Any) -> str:
    """Read a text."""
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("must be a text of at most 1000 characters")
    return value


def short_text(value: Any) -> str:
    """Read a text that has a place in a signature."""
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError("must be a text of 1 to 200 characters, none of which controls a terminal")
    return value


def host(value: Any) -> str:
    """Read a host, with or without a port."""
    found = _HOST.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found[1] or 1) <= 65535:
        raise ValueError(
            f"{value!r} is not a host in lower case, with or without a port from 1 to 65535, such as"
            ' "hcaocsp.nat.gov.tw" or "203.65.114.5:80"; it has no scheme and no path'
        )
    return found[0]


def hosts(value: Any) -> frozenset[str]:
    """Read hosts."""
    return frozenset(host(item) for item in _list(value))


def ports(value: Any) -> tuple[int, ...]:
    """Read different ports, in order."""
    ports = tuple(port(item) for item in _list(value))
    if not ports or len(set(ports)) != len(ports):
        raise ValueError("must name at least one port, and none twice")
    return ports


def file(value: Any) -> str:
    """Read the whole path of a file; it need not be there."""
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise ValueError(f"{value!r} must be the whole path of a file")
    return value


def optional_file(value: Any) -> str:
    """Read the whole path of a file, or an empty text for none."""
    return "" if value == "" else file(value)


def repository(value: Any) -> str:
    """Read the address of a repository, which ends with a slash."""
    if not isinstance(value, str) or not value.isascii() or not _REPOSITORY.fullmatch(value):
        raise ValueError(
            f'{value!r} is not an address such as "https://updates.example.tw/hca-agent/": it begins with'
            " http:// or https://, names a host, goes on with / and has no user name, query, # or space"
        )
    return value if value.endswith("/") else value + "/"


def command(value: Any) -> tuple[str, ...]:
    """Read a command that is given a file, word by word."""
    words = tuple(value) if isinstance(value, list) else ()
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError('must be a list of words, such as ["/usr/bin/apt-get", "install", "-y", "{file}"]')
    if not Path(words[0]).is_absolute() or "{file}" not in words:
        raise ValueError("must begin with the whole path of a program and have the word {file}")
    return words


def syslog(value: Any) -> str:
    """Read where syslog is: local, a host, or nowhere."""
    if value in ("", "local"):
        return str(value)
    try:
        return host(value)
    except ValueError as error:
        raise ValueError(f'{error}; "local" is this machine\'s own, and "" none') from None


def one_of(*words: str) -> ValueReader:
    """Return a reader of one of `words`."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


def files(value: Any) -> tuple[Path, ...]:
    """Read whole paths of files."""
    return tuple(Path(file(item)) for item in _list(value))


def object_identifiers(value: Any) -> frozenset[str]:
    """Read object identifiers in dots, as certificate policies have them."""
    for item in _list(value):
        if not isinstance(item, str) or not _OID.fullmatch(item):
            raise ValueError(
                f'{item!r} is no object identifier such as "2.16.886.101.0.3.1": numbers and dots'
            )
    return frozenset(value)


def http_addresses(value: Any) -> tuple[str, ...]:
    """Read addresses in the clear, which OCSP and revocation lists have."""
    for item in _list(value):
        if not isinstance(item, str) or not item.isascii() or not _HTTP.fullmatch(item):
            raise ValueError(
                f'{item!r} is not an address such as "http://ocsp.example.tw/": it begins with http:// (the'
                " answers are signed), and has no user name, query, # or space before its path"
            )
    return tuple(value)


def addresses(value: Any) -> tuple[str, ...]:
    """Read addresses, in the clear or with TLS, each once."""
    for item in _list(value):
        if not isinstance(item, str) or not item.isascii() or not _ADDRESS.fullmatch(item):
            raise ValueError(
                f'{item!r} is not an address such as "https://tsa.example.tw/rfc3161": it begins with'
                " http:// or https://, names a host, and has no user name, # or space"
            )
    return tuple(dict.fromkeys(value))


def brokers(value: Any) -> tuple[str, ...]:
    """Read addresses of a message broker, each once; what goes to another machine goes there with TLS."""
    for item in _list(value):
        found = _BROKER.fullmatch(item) if isinstance(item, str) else None
        if found is None or not 0 < int(found[3] or 1) <= 65535:
            raise ValueError(
                f'{item!r} is not an address such as "tls://nats.example.tw:4222": it has a scheme, a host in'
                " lower case, perhaps a port, and neither a user name nor a path"
            )
        if found[1] == "nats" and found[2] not in _LOOPBACK:
            raise ValueError(f"{item!r} is on another machine: its address begins with tls://")
    if len({item.startswith("tls://") for item in value}) > 1:
        raise ValueError("must all begin with tls://, or all with nats://")
    return tuple(dict.fromkeys(value))


def subject(value: Any) -> str:
    """Read a word that names of streams and subjects begin with."""
    if not isinstance(value, str) or not _SUBJECT.fullmatch(value):
        raise ValueError(f"{value!r} must have 1 to 32 of a to z, 0 to 9 and -, and begin with a letter")
    return value


port: Final = whole(1, 65535)
"""A TCP port."""

_REPOSITORY: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?/[^?#@\s]*")
_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,31}")
_HTTP: Final = re.compile(r"http://[^/?#@\s]+(?:/\S*)?")
_ADDRESS: Final = re.compile(r"https?://[^/?#@\s]+(?:/[^#\s]*)?")
_BROKER: Final = re.compile(
    r"(nats|tls)://([a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?"
)
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
_SUBJECT: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HOST: Final = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")
