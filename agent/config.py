"""The configuration: `config.toml` of the person under `policy.toml` of the administrator, key by key.

Each section is a frozen dataclass and each field a key. A key that nobody knows or a value of the wrong type
is an error with file, key and a sentence, so that a misspelt `deny` can never silently allow.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from agent.access.origins import is_origin
from agent.errors import AgentError
from agent.paths import Paths

Reader = Callable[[Any], Any]


class ConfigError(AgentError):
    """The configuration cannot be used: which file, which key, and why.

    Attributes:
        file: the file at fault.
        key: `section.key`, or empty when the whole file is at fault.
    """

    def __init__(self, file: Path, key: str, sentence: str) -> None:
        where = f"{file}: [{key}] " if key else f"{file}: "
        super().__init__("config.invalid", detail=where + sentence)
        self.file = file
        self.key = key


def _whole(low: int, high: int) -> Reader:
    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return read


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _version(value: Any) -> str:
    parts = value.split(".") if isinstance(value, str) else ()
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts):
        raise ValueError('must be a version of four numbers, such as "1.0.23.1227"')
    return ".".join(parts)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004  (one kind of error for whoever reads the file)
    return value


def _origins(value: Any) -> frozenset[str]:
    for item in _list(value):
        if not isinstance(item, str) or not is_origin(item):
            raise ValueError(
                f"{item!r} is not an exact origin: scheme://host[:port], lower case, no path, no slash at the"
                ' end, no wildcard, no default port, such as "https://portal.example.tw"'
            )
    return frozenset(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("must be a text")
    return value


def _host(value: Any) -> str:
    found = _HOST.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found[1] or 1) <= 65535:
        raise ValueError(
            f"{value!r} is not a host in lower case with or without a port, such as"
            ' "hcaocsp.nat.gov.tw" or "203.65.114.5:80"'
        )
    return found[0]


def _hosts(value: Any) -> frozenset[str]:
    return frozenset(_host(item) for item in _list(value))


def _ports(value: Any) -> tuple[int, ...]:
    ports = tuple(_port(item) for item in _list(value))
    if not ports or len(set(ports)) != len(ports):
        raise ValueError("must name at least one port, and none twice")
    return ports


def _files(value: Any) -> tuple[Path, ...]:
    for item in _list(value):
        if not isinstance(item, str) or not Path(item).is_absolute():
            raise ValueError(f"{item!r} must be the whole path of a file")
    return tuple(Path(item) for item in value)


def _http_addresses(value: Any) -> tuple[str, ...]:
    for item in _list(value):
        if not isinstance(item, str) or not item.isascii() or not _HTTP.fullmatch(item):
            raise ValueError(f'{item!r} is not an address such as "http://ocsp.example.tw/"')
    return tuple(value)


_port: Final = _whole(1, 65535)
_HTTP: Final = re.compile(r"http://[^/?#@\s]+(?:/\S*)?")
_HOST: Final = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")
# docs/servisign.md, "Hosts": the OCSP responder stands in HCA's pages, the other two do not.
_HCA_HOSTS: Final = frozenset(("hcaocsp.nat.gov.tw", "hcaldap.nat.gov.tw", "203.65.114.5"))


def _key(reader: Reader, default: Any) -> Any:
    return field(default=default, metadata={"read": reader})


@dataclass(frozen=True, slots=True)
class Origins:
    """`[origins]`: what is settled without asking.

    Attributes:
        allow: exact origins for which no window is shown (a PIN is still asked).
        deny: exact origins that are refused; deny wins over allow and over answers.
        digest: exact origins that may have a bare digest signed.
    """

    allow: frozenset[str] = _key(_origins, frozenset())
    deny: frozenset[str] = _key(_origins, frozenset())
    digest: frozenset[str] = _key(_origins, frozenset())


@dataclass(frozen=True, slots=True)
class Ports:
    """`[ports]`.

    Attributes:
        native: the port in the clear on loopback: status, native API, self-test page.
    """

    native: int = _key(_port, 56440)


@dataclass(frozen=True, slots=True)
class ServiSign:
    """`[servisign]`: the TLS ports and what the ServiSign dialect says of itself.

    Attributes:
        enabled: whether the dialect is served; the TLS ports are served either way.
        ports: tried in this order; the first free one is taken.
        server_version: `ServerVersion` of the Echo reply.
        library_version: `LibVersion` of the Echo reply; pages compare it with their minimum.
        installer_version: `InstallerVersion` of the Echo reply; pages compare it with their minimum.
        hosts: hosts that pages may have asked for time stamps, OCSP and directory entries; without a port the
            standard one of each. Nothing else is ever resolved or connected.
        timestamp_host: where time stamps come from when a page names no host; must be in `hosts` too.
        ldap_host: the directory in which certificates are looked up; must be in `hosts` too.
        ldap_base: the entry under which they are looked up.
    """

    enabled: bool = _key(_boolean, True)
    ports: tuple[int, ...] = _key(
        _ports, (54445, 54545, 54645) if sys.platform == "darwin" else (56445, 56545, 56645)
    )
    server_version: str = _key(_version, "1.0.23.1227")
    library_version: str = _key(_version, "9.9.99.9999")
    installer_version: str = _key(_version, "9.9.99.9999")
    hosts: frozenset[str] = _key(_hosts, _HCA_HOSTS)
    timestamp_host: str = _key(_host, "203.65.114.5:80")
    ldap_host: str = _key(_host, "hcaldap.nat.gov.tw:389")
    ldap_base: str = _key(_text, "c=TW")


@dataclass(frozen=True, slots=True)
class Consent:
    """`[consent]`: how long answers hold.

    Attributes:
        days: how many days a "yes" holds.
        refusal_minutes: how many minutes a "no" holds.
        seconds: how long a question waits for its answer.
        page_pin_minutes: for how long after a wrong PIN from a page its next one needs the person's yes.
    """

    days: int = _key(_whole(1, 366), 30)
    refusal_minutes: int = _key(_whole(1, 1440), 10)
    seconds: int = _key(_whole(5, 600), 120)
    page_pin_minutes: int = _key(_whole(1, 1440), 30)


@dataclass(frozen=True, slots=True)
class Limits:
    """`[limits]`: how much pages may ask for; programs of this person are not limited.

    Attributes:
        requests: how many requests a second one origin may make over time.
        burst: how many of them at once.
        questions: how many windows a minute one origin may open that the person does not answer with a yes.
        questions_of_all: how many consent windows a minute all origins together may open in that way.
    """

    requests: int = _key(_whole(1, 10_000), 20)
    burst: int = _key(_whole(1, 10_000), 200)
    questions: int = _key(_whole(1, 1000), 5)
    questions_of_all: int = _key(_whole(1, 1000), 20)


@dataclass(frozen=True, slots=True)
class Card:
    """`[card]`: limits of the work with cards.

    Attributes:
        seconds: how long one visit to a card may take, waiting for other programs included.
        queue: how much work may wait for one reader.
        queue_per_origin: how much of it may come from one origin.
        keypad: use the keypad of readers that have one, rather than a PIN typed into this computer.
    """

    seconds: int = _key(_whole(1, 600), 60)
    queue: int = _key(_whole(1, 256), 32)
    queue_per_origin: int = _key(_whole(1, 256), 8)
    keypad: bool = _key(_boolean, True)


@dataclass(frozen=True, slots=True)
class Unattended:
    """`[unattended]`: signing with a PIN from the system's keyring, for named sites and folders.

    Attributes:
        enabled: whether such a PIN is kept and used at all.
    """

    enabled: bool = _key(_boolean, False)


@dataclass(frozen=True, slots=True)
class Audit:
    """`[audit]`: the log of what was done with cards.

    Attributes:
        kilobytes: size at which the log is put aside and a new one begun.
        keep: how many logs put aside are kept.
    """

    kilobytes: int = _key(_whole(16, 1_048_576), 1024)
    keep: int = _key(_whole(1, 100), 9)


@dataclass(frozen=True, slots=True)
class Certificates:
    """`[certificates]`: whom to believe about the card's certificates, and where to ask about them.

    Attributes:
        online: ask the authority over the network whether a certificate is revoked.
        roots: files of trusted root certificates, PEM or DER.
        ocsp: OCSP responders to ask before the one that the certificate names, such as a mirror in this
            network; only addresses listed here may be private ones or on another port than 80.
        crl: revocation lists, likewise.
    """

    online: bool = _key(_boolean, True)
    roots: tuple[Path, ...] = _key(_files, ())
    ocsp: tuple[str, ...] = _key(_http_addresses, ())
    crl: tuple[str, ...] = _key(_http_addresses, ())


@dataclass(frozen=True, slots=True)
class Config:
    """All of the configuration; `Config()` is what holds without any file."""

    origins: Origins = field(default_factory=Origins)
    ports: Ports = field(default_factory=Ports)
    servisign: ServiSign = field(default_factory=ServiSign)
    consent: Consent = field(default_factory=Consent)
    limits: Limits = field(default_factory=Limits)
    card: Card = field(default_factory=Card)
    unattended: Unattended = field(default_factory=Unattended)
    audit: Audit = field(default_factory=Audit)
    certificates: Certificates = field(default_factory=Certificates)


_SECTIONS: Final[Mapping[str, type[Any]]] = {
    "origins": Origins,
    "ports": Ports,
    "servisign": ServiSign,
    "consent": Consent,
    "limits": Limits,
    "card": Card,
    "unattended": Unattended,
    "audit": Audit,
    "certificates": Certificates,
}


def load(paths: Paths) -> Config:
    """The configuration of this user on this machine.

    Raises:
        ConfigError: a file cannot be read or says something that is not known.
    """
    chosen: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    # The administrator's file comes last, so that it wins key by key.
    for file in (paths.config, paths.policy):
        for section, values in _read(file).items():
            chosen[section].update(values)
    return Config(**{section: _SECTIONS[section](**values) for section, values in chosen.items()})


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, "", f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, "", f"is not TOML: {error}") from error
    return {name: _section(file, name, values) for name, values in document.items()}


def _section(file: Path, name: str, values: Any) -> dict[str, Any]:
    if name not in _SECTIONS:
        raise ConfigError(file, name, f"is not known; known sections are {', '.join(_SECTIONS)}")
    if not isinstance(values, dict):
        raise ConfigError(file, name, f"must be a section: write [{name}] on a line of its own")
    readers = {item.name: item.metadata["read"] for item in fields(_SECTIONS[name])}
    settled = {}
    for key, value in values.items():
        if key not in readers:
            raise ConfigError(file, f"{name}.{key}", f"is not known; [{name}] knows {', '.join(readers)}")
        try:
            settled[key] = readers[key](value)
        except ValueError as error:
            raise ConfigError(file, f"{name}.{key}", str(error)) from error
    return settled
