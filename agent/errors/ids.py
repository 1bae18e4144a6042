"""The stable ids of the errors; `sentences.toml` has a table for each."""

from __future__ import annotations

from enum import StrEnum


class ErrorId(StrEnum):
    """A kind of error: programs and logs tell errors apart by it, and its meaning never changes."""

    # Readers and the service behind them
    SERVICE_UNAVAILABLE = "service.unavailable"
    READER_NONE = "reader.none"
    READER_UNAVAILABLE = "reader.unavailable"
    READER_BUSY = "reader.busy"
    READER_FAILED = "reader.failed"

    # Cards: missing, pulled, not understood, of the wrong kind
    CARD_NONE = "card.none"
    CARD_REMOVED = "card.removed"
    CARD_RESET = "card.reset"
    CARD_MUTE = "card.mute"
    CARD_COMMUNICATION = "card.communication"
    CARD_MALFORMED = "card.malformed"
    CARD_STATUS = "card.status"
    CARD_FAILED = "card.failed"
    CARD_TIMEOUT = "card.timeout"
    CARD_UNKNOWN = "card.unknown"
    CARD_WRONG_KIND = "card.wrong_kind"
    CARD_UNSUPPORTED = "card.unsupported"
    CARD_HICOS_MODULE = "card.hicos_module"
    CARD_CHANGED = "card.changed"
    CARD_NOT_ACTIVATED = "card.not_activated"
    CARD_TERMINATED = "card.terminated"
    CARD_OBJECT_MISSING = "card.object_missing"
    CARD_AMBIGUOUS = "card.ambiguous"

    # PINs and PUKs, and those that are kept
    PIN_WRONG = "pin.wrong"
    PIN_TRIES_USED = "pin.tries_used"
    PIN_LOCKED = "pin.locked"
    PIN_LENGTH = "pin.length"
    PIN_LAST_TRY = "pin.last_try"
    PIN_FAILED = "pin.failed"
    PIN_CANCELLED = "pin.cancelled"
    PIN_UNAVAILABLE = "pin.unavailable"
    PIN_TRIES_CHANGED = "pin.tries_changed"
    PIN_CHANGED_ELSEWHERE = "pin.changed_elsewhere"
    PIN_NOT_KEPT = "pin.not_kept"
    UNATTENDED_DISABLED = "unattended.disabled"
    KEYRING_UNAVAILABLE = "keyring.unavailable"
    PUK_WRONG = "puk.wrong"
    PUK_LOCKED = "puk.locked"

    # Who may ask: origins, consent, what nobody may
    ORIGIN_REFUSED = "origin.refused"
    ORIGIN_NOT_HTTPS = "origin.not_https"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_SILENCED = "consent.silenced"
    CONSENT_TIMEOUT = "consent.timeout"
    INTERACTION_UNAVAILABLE = "interaction.unavailable"
    DIGEST_REFUSED = "digest.refused"
    ACCESS_DENIED = "access.denied"

    # What is to be signed, verified, encrypted or decrypted
    DOCUMENT_REFUSED = "document.refused"
    HASH_UNSUPPORTED = "hash.unsupported"
    SIGNATURE_INVALID = "signature.invalid"
    SIGNATURE_FORMAT_UNKNOWN = "signature.format_unknown"
    DOCUMENT_UNUSABLE = "document.unusable"
    EVIDENCE_UNAVAILABLE = "evidence.unavailable"
    CIPHER_INVALID = "cipher.invalid"
    TOKEN_INVALID = "token.invalid"
    NONCE_INVALID = "nonce.invalid"
    DATA_TOO_LONG = "data.too_long"

    # Certificates: their time, their issuer, their revocation
    CERTIFICATE_MALFORMED = "certificate.malformed"
    CERTIFICATE_EXPIRED = "certificate.expired"
    CERTIFICATE_ENDS_SOON = "certificate.ends_soon"
    CERTIFICATE_NOT_YET_VALID = "certificate.not_yet_valid"
    CERTIFICATE_UNTRUSTED = "certificate.untrusted"
    CERTIFICATE_WRONG_USE = "certificate.wrong_use"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_STATUS_UNKNOWN = "certificate.status_unknown"
    CERTIFICATE_STATUS_UNREACHABLE = "certificate.status_unreachable"
    CERTIFICATE_STATUS_UNUSABLE = "certificate.status_unusable"
    CERTIFICATE_STATUS_STALE = "certificate.status_stale"
    CERTIFICATE_STATUS_FORGED = "certificate.status_forged"
    CERTIFICATE_STATUS_NO_ADDRESS = "certificate.status_no_address"

    # Requests and sessions that cannot be answered as they are
    SELFTEST_NONE = "selftest.none"
    REQUEST_MALFORMED = "request.malformed"
    REQUEST_NOT_JSON = "request.not_json"
    REQUEST_BINARY = "request.binary"
    REQUEST_BATCH = "request.batch"
    REQUEST_PARAMETERS = "request.parameters"
    REQUEST_TOO_LARGE = "request.too_large"
    REQUEST_UNKNOWN_METHOD = "request.unknown_method"
    REQUEST_UNKNOWN_MEMBER = "request.unknown_member"
    REQUEST_RATE = "request.rate"
    REQUEST_CANCELLED = "request.cancelled"
    SESSION_UNKNOWN = "session.unknown"
    BUSY = "busy"

    # This program: its configuration, its ports, its own faults
    CONFIG_INVALID = "config.invalid"
    PORT_TAKEN = "port.taken"
    TOKEN_UNREADABLE = "token.unreadable"
    INTERNAL = "internal"

    # The computer around the card, as the self-test finds it
    PROBE_LIMIT = "probe.limit"
    CHECK_TIMEOUT = "check.timeout"
    AGENT_NOT_RUNNING = "agent.not_running"
    PORT_VENDOR = "port.vendor"
    PORT_SILENT = "port.silent"
    VENDOR_RUNNING = "vendor.running"
    CLOCK_BEHIND = "clock.behind"
    CLOCK_DOUBTFUL = "clock.doubtful"
    SESSION_REMOTE = "session.remote"
    TRUST_MISSING = "trust.missing"
    TRUST_INTERCEPTED = "trust.intercepted"
    PROXY_LOOPBACK = "proxy.loopback"
    AUTOSTART_OFF = "autostart.off"
    BROWSER_CONFINED = "browser.confined"

    # PKCS#11 modules: other makers' programs that some cards are used through
    MODULE_FAILED = "module.failed"
    MODULE_CRASHED = "module.crashed"
    MODULE_TIMEOUT = "module.timeout"
    MODULE_UNUSABLE = "module.unusable"
    MODULE_UNSAFE = "module.unsafe"

    # Other machines: time stamps, OCSP, the directory
    HOST_NOT_LISTED = "host.not_listed"
    HOST_UNREACHABLE = "host.unreachable"
    TIMESTAMP_MALFORMED = "timestamp.malformed"
    TIMESTAMP_REFUSED = "timestamp.refused"
    TIMESTAMP_OTHER_DATA = "timestamp.other_data"
    TIMESTAMP_INVALID = "timestamp.invalid"
    OCSP_MALFORMED = "ocsp.malformed"

    # What only NHI's own component can do with NHI cards
    NHI_SIGNATURE = "nhi.signature"
    NHI_ENCRYPTION = "nhi.encryption"
    NHI_PASSWORD_LENGTH = "nhi.password_length"
    NHI_HOSTS_ENTRY = "nhi.hosts_entry"
    NHI_PORT_HELD = "nhi.port_held"

    # Newer versions of this program
    UPDATE_OFF = "update.off"
    UPDATE_NO_ROOT = "update.no_root"
    UPDATE_UNREACHABLE = "update.unreachable"
    UPDATE_REFUSED = "update.refused"
    UPDATE_EXPIRED = "update.expired"
    UPDATE_ROLLED_BACK = "update.rolled_back"
    UPDATE_NO_PACKAGE = "update.no_package"
    UPDATE_NO_COMMAND = "update.no_command"
    UPDATE_NEEDS_ADMINISTRATOR = "update.needs_administrator"
    UPDATE_NOT_SAFE = "update.not_safe"
    UPDATE_INSTALL_FAILED = "update.install_failed"

    # Having browsers accept this program's certificate
    TRUST_TOOL_MISSING = "trust.tool_missing"
    TRUST_TOOL_FAILED = "trust.tool_failed"
    TRUST_NEEDS_ROOT = "trust.needs_root"
    TRUST_LOCKED = "trust.locked"
    TRUST_READ_ONLY = "trust.read_only"
    TRUST_DECLINED = "trust.declined"
    FOLDER_NOT_YOURS = "folder.not_yours"
    TRUST_NOT_YOURS = "trust.not_yours"
    TRUST_SYSTEM_FIRST = "trust.system_first"
    TRUST_FIREFOX_SETTING = "trust.firefox_setting"
    TRUST_STILL_THERE = "trust.still_there"
