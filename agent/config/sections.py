"""The sections of the configuration: each a frozen dataclass, each field a key with how it is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from agent.config import values
from agent.config.values import ValueReader

# docs/servisign.md, "Hosts": the OCSP responder stands in HCA's pages, the other two do not.
_HCA_HOSTS: Final = frozenset(("hcaocsp.nat.gov.tw", "hcaldap.nat.gov.tw", "203.65.114.5"))


_INSTITUTION_REASON: Final = (
    "醫事人員無法於期限內簽章，由醫療機構憑證先行簽章，俟後補簽（電子病歷製作及管理辦法第 11 條）"
)


def _key(reader: ValueReader, default: Any, *, administrator: bool = False) -> Any:
    """Return the field of a key; with `administrator` it stands in policy.toml or nowhere."""
    return field(default=default, metadata={"read": reader, "administrator": administrator})


@dataclass(frozen=True, slots=True)
class OriginSettings:
    """`[origins]`: what is settled without asking.

    Attributes:
        allow: exact origins for which no window is shown (a PIN is still asked).
        deny: exact origins that are refused; deny wins over allow and over answers.
        digest: exact origins that may have a bare digest signed; the administrator's to list, because nobody
            can tell what a digest stands for.
    """

    allow: frozenset[str] = _key(values.origins, frozenset())
    deny: frozenset[str] = _key(values.origins, frozenset())
    digest: frozenset[str] = _key(values.origins, frozenset(), administrator=True)


@dataclass(frozen=True, slots=True)
class PortSettings:
    """`[ports]`.

    Attributes:
        native: the port in the clear on loopback: status, native API, self-test page.
    """

    native: int = _key(values.port, 56440)


@dataclass(frozen=True, slots=True)
class ServiSignSettings:
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

    enabled: bool = _key(values.boolean, True)
    ports: tuple[int, ...] = _key(
        values.ports, (54445, 54545, 54645) if sys.platform == "darwin" else (56445, 56545, 56645)
    )
    server_version: str = _key(values.version, "1.0.23.1227")
    library_version: str = _key(values.version, "9.9.99.9999")
    installer_version: str = _key(values.version, "9.9.99.9999")
    hosts: frozenset[str] = _key(values.hosts, _HCA_HOSTS)
    timestamp_host: str = _key(values.host, "203.65.114.5:80")
    ldap_host: str = _key(values.host, "hcaldap.nat.gov.tw:389")
    ldap_base: str = _key(values.text, "c=TW")


@dataclass(frozen=True, slots=True)
class HipkiSettings:
    """`[hipki]`: the HiPKI dialect, for pages of citizen and business cards.

    Attributes:
        enabled: whether it is served.
        port: in the clear, on loopback; pages know no other. Held by another program, it is left to that one.
        server_version: `serverVersion` of every answer; pages may compare it with their minimum.
    """

    enabled: bool = _key(values.boolean, True)
    port: int = _key(values.port, 61161)
    server_version: str = _key(values.version, "1.3.4.103349")


@dataclass(frozen=True, slots=True)
class NhiComponentSettings:
    """`[nhi_component]`: NHI cards for pages written for NHI's own component; the administrator's to turn on.

    Attributes:
        enabled: whether the dialect is served at all; without it nobody listens on its ports.
        ports: all of them are taken; Safari's pages use a port of their own.
    """

    enabled: bool = _key(values.boolean, False, administrator=True)
    ports: tuple[int, ...] = _key(values.ports, (7777, 7776) if sys.platform == "darwin" else (7777,))


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    """`[consent]`: how long answers hold.

    Attributes:
        days: how many days a "yes" holds.
        refusal_minutes: how many minutes a "no" holds.
        seconds: how long a question waits for its answer.
        page_pin_minutes: for how long after a wrong PIN from a page that is not listed its next one needs the
            person's yes.
        silence_after: after how many questions in a row that come to nothing the unknown origins of a site
            are refused unasked, and after how many such sites in a row all unknown origins are.
        silence_minutes: for how long.
    """

    days: int = _key(values.whole(1, 366), 30)
    refusal_minutes: int = _key(values.whole(1, 1440), 10)
    seconds: int = _key(values.whole(5, 600), 120)
    page_pin_minutes: int = _key(values.whole(1, 1440), 30)
    silence_after: int = _key(values.whole(1, 1000), 3)
    silence_minutes: int = _key(values.whole(1, 1440), 10)


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """`[limits]`: how much pages may ask for; programs of this person are not limited.

    Attributes:
        requests: how many requests a second one origin may make over time.
        burst: how many of them at once.
        questions: how many windows a minute one site may open that the person does not answer with a yes.
    """

    requests: int = _key(values.whole(1, 10_000), 20)
    burst: int = _key(values.whole(1, 10_000), 200)
    questions: int = _key(values.whole(1, 1000), 5)


@dataclass(frozen=True, slots=True)
class CardSettings:
    """`[card]`: limits of the work with cards.

    Attributes:
        seconds: how long one visit to a card may take, waiting for other programs included.
        queue: how much work may wait for one reader.
        queue_per_origin: how much of it may come from one origin.
        keypad: use the keypad of readers that have one, rather than a PIN typed into this computer.
    """

    seconds: int = _key(values.whole(1, 600), 60)
    queue: int = _key(values.whole(1, 256), 32)
    queue_per_origin: int = _key(values.whole(1, 256), 8)
    keypad: bool = _key(values.boolean, True)


@dataclass(frozen=True, slots=True)
class Pkcs11Settings:
    """`[pkcs11]`: cards that are used through their makers' PKCS#11 modules.

    Attributes:
        modules: files of modules, asked in this order; each serves every slot in which it sees a token.
        known: use the modules of HCA, HiCOS and OpenSC too where they are installed, for the cards they are
            meant for.
    """

    modules: tuple[Path, ...] = _key(values.files, ())
    known: bool = _key(values.boolean, True)


@dataclass(frozen=True, slots=True)
class UnattendedSettings:
    """`[unattended]`: signing with a PIN from the system's keyring, for named sites and folders.

    Attributes:
        enabled: whether such a PIN is kept and used at all.
    """

    enabled: bool = _key(values.boolean, False)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """`[sessions]`: signing many documents with one PIN.

    Attributes:
        enabled: whether that is possible at all.
        signatures: how many signatures one PIN is good for, at most.
        minutes: for how many minutes at most; who asks for no time gets half an hour, or this if it is less.
        items: how many documents a batch may have whose list is shown before the PIN.
        page_pins: whether a PIN that an old portal's page collects is taken; otherwise it is never looked at,
            and the person types it once in this program's window for a session.
    """

    enabled: bool = _key(values.boolean, True)
    signatures: int = _key(values.whole(1, 250), 250)
    minutes: int = _key(values.whole(1, 1440), 1440)
    items: int = _key(values.whole(1, 100_000), 10_000)
    page_pins: bool = _key(values.boolean, True)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`[queue]`: records that wait for a person's signature.

    Attributes:
        enabled: whether there is a queue at all.
        folders: watched folders, from which every file is taken in; a folder in them that is called by a
            number says whose signature is wanted.
        results: the folder in which what was signed is put; empty is `signed-records` in the agent's folder.
        hours: within how many hours a record must be signed.
        warn_minutes: how long before that the person is warned.
        reason: what the institution's signature says where no person has signed in time.
        records: how many records may wait.
        keep_days: for how long the journal keeps the octets of what was signed and lies in its folder.
    """

    enabled: bool = _key(values.boolean, False)
    folders: tuple[Path, ...] = _key(values.files, ())
    results: str = _key(values.file, "")
    hours: int = _key(values.whole(1, 720), 24, administrator=True)
    warn_minutes: int = _key(values.whole(11, 10_080), 120)
    reason: str = _key(values.short_text, _INSTITUTION_REASON)
    records: int = _key(values.whole(1, 1_000_000), 100_000)
    keep_days: int = _key(values.whole(0, 3650), 7)


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`[audit]`: the log of what was done with cards.

    Attributes:
        kilobytes: size at which the log is put aside and a new one begun.
        keep: how many logs put aside are kept.
    """

    kilobytes: int = _key(values.whole(16, 1_048_576), 1024)
    keep: int = _key(values.whole(1, 100), 9)


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """`[certificates]`: whom to believe about the card's certificates, and where to ask about them.

    Attributes:
        online: ask the authority over the network whether a certificate is revoked.
        roots: files of trusted root certificates, PEM or DER.
        ocsp: OCSP responders to ask before the one that the certificate names, such as a mirror in this
            network; only addresses listed here may be private ones or on another port than 80.
        crl: revocation lists, likewise.
    """

    online: bool = _key(values.boolean, True)
    roots: tuple[Path, ...] = _key(values.files, ())
    ocsp: tuple[str, ...] = _key(values.http_addresses, ())
    crl: tuple[str, ...] = _key(values.http_addresses, ())


@dataclass(frozen=True, slots=True)
class VerificationSettings:
    """`[verification]`: when a signed document counts as valid.

    Attributes:
        anchors: trust the public roots that ship with this program, besides `certificates.roots`.
        stamp_roots: files of the roots of time stamp authorities, PEM or DER, besides all those.
        intermediates: files of certificates that may stand between, for signatures that do not bring them.
        revocation: `required`: where nobody can say that a certificate was not revoked, nothing is decided;
            `preferred`: that is then a remark.
        policies: certificate policies, as object identifiers, of which a signer's certificate must have one;
            none for any.
    """

    anchors: bool = _key(values.boolean, True)
    stamp_roots: tuple[Path, ...] = _key(values.files, ())
    intermediates: tuple[Path, ...] = _key(values.files, ())
    revocation: str = _key(values.one_of("required", "preferred"), "required")
    policies: frozenset[str] = _key(values.object_identifiers, frozenset())


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """`[timestamps]`: who stamps signatures with the time (RFC 3161).

    Attributes:
        authorities: addresses of time-stamping authorities, asked in this order until one gives a stamp that
            holds; without any, documents are signed without a time stamp alone.
    """

    authorities: tuple[str, ...] = _key(values.addresses, ())


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """`[broker]`: the message broker (NATS with JetStream) of `hca-agent worker` and `hca-agent submit`.

    Attributes:
        servers: its addresses, any of which will do; `tls://` everywhere but on this machine.
        credentials: the file that says who we are to it: NATS credentials, an NKEY seed, or `user:password`.
        ca: the file of the authority of its certificate, PEM; empty for the system's authorities.
        prefix: what the names of its streams and subjects begin with.
    """

    servers: tuple[str, ...] = _key(values.brokers, ())
    credentials: str = _key(values.optional_file, "")
    ca: str = _key(values.optional_file, "")
    prefix: str = _key(values.subject, "hca")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`[log]`: what the agent says of itself, and where the audit rows go besides their own file.

    Attributes:
        level: the least that is written: error, warning, info or debug.
        format: of the file: text, or json for one JSON object a line.
        kilobytes: size at which the file is put aside and a new one begun.
        keep: how many files put aside are kept.
        syslog: "local" for this machine's, "host" or "host:port" for another by UDP; empty for none.
        event_log: write to the Windows Event Log too.
        audit: whether audit rows go to syslog and Event Log as well, masked as they are.
    """

    level: str = _key(values.one_of("error", "warning", "info", "debug"), "info")
    format: str = _key(values.one_of("text", "json"), "text")
    kilobytes: int = _key(values.whole(16, 1_048_576), 1024)
    keep: int = _key(values.whole(1, 100), 4)
    syslog: str = _key(values.syslog, "")
    event_log: bool = _key(values.boolean, False)
    audit: bool = _key(values.boolean, True)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`[metrics]`: counters for monitoring, at `/metrics` on the native port.

    Attributes:
        enabled: whether they are served.
        token: whether the reader has to show the per-user token.
    """

    enabled: bool = _key(values.boolean, False)
    token: bool = _key(values.boolean, True, administrator=True)


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """`[update]`: whether there is a newer version; nothing is ever installed without the administrator.

    Attributes:
        enabled: ask the repository now and then, and tell the person. Without it nothing is ever fetched.
        url: the repository: below it are `metadata/` and `targets/` (The Update Framework).
        root: the file of its keys (root.json); empty is `update-root.json` in the administrator's folder.
        hours: how often it is asked.
        install_command: what `hca-agent update install` runs, word by word; {file} is the checked package.
    """

    enabled: bool = _key(values.boolean, False)
    url: str = _key(values.repository, "")
    root: str = _key(values.file, "")
    hours: int = _key(values.whole(1, 720), 24)
    install_command: tuple[str, ...] = _key(values.command, (), administrator=True)


@dataclass(frozen=True, slots=True)
class Config:
    """All of the configuration; `Config()` is what holds without any file."""

    origins: OriginSettings = field(default_factory=OriginSettings)
    ports: PortSettings = field(default_factory=PortSettings)
    servisign: ServiSignSettings = field(default_factory=ServiSignSettings)
    hipki: HipkiSettings = field(default_factory=HipkiSettings)
    nhi_component: NhiComponentSettings = field(default_factory=NhiComponentSettings)
    consent: ConsentSettings = field(default_factory=ConsentSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    card: CardSettings = field(default_factory=CardSettings)
    pkcs11: Pkcs11Settings = field(default_factory=Pkcs11Settings)
    unattended: UnattendedSettings = field(default_factory=UnattendedSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    verification: VerificationSettings = field(default_factory=VerificationSettings)
    timestamps: TimestampSettings = field(default_factory=TimestampSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)


SECTIONS: Final[Mapping[str, type[Any]]] = {
    item.name: type(getattr(Config(), item.name)) for item in fields(Config)
}
"""By the name in the file."""
