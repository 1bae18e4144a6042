"""The configuration: `config.toml` of the person under `policy.toml` of the administrator, key by key.

A key that nobody knows or a value of the wrong type is an error with file, key and a sentence, so that a
misspelt `deny` can never silently allow.
"""

from __future__ import annotations

from agent.config.loading import ConfigError, load, settled
from agent.config.sections import (
    SECTIONS,
    AuditSettings,
    BrokerSettings,
    CardSettings,
    CertificateSettings,
    Config,
    ConsentSettings,
    HipkiSettings,
    LimitSettings,
    LogSettings,
    MetricsSettings,
    NhiComponentSettings,
    OriginSettings,
    Pkcs11Settings,
    PortSettings,
    QueueSettings,
    ServiSignSettings,
    SessionSettings,
    TimestampSettings,
    UnattendedSettings,
    UpdateSettings,
    VerificationSettings,
)

__all__ = [
    "SECTIONS",
    "AuditSettings",
    "BrokerSettings",
    "CardSettings",
    "CertificateSettings",
    "Config",
    "ConfigError",
    "ConsentSettings",
    "HipkiSettings",
    "LimitSettings",
    "LogSettings",
    "MetricsSettings",
    "NhiComponentSettings",
    "OriginSettings",
    "Pkcs11Settings",
    "PortSettings",
    "QueueSettings",
    "ServiSignSettings",
    "SessionSettings",
    "TimestampSettings",
    "UnattendedSettings",
    "UpdateSettings",
    "VerificationSettings",
    "load",
    "settled",
]
