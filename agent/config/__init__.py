"""The configuration: `config.toml` of the person under `policy.toml` of the administrator, key by key.

A key that nobody knows or a value of the wrong type is an error with file, key and a sentence, so that a
misspelt `deny` can never silently allow.
"""

from __future__ import annotations

from agent.config.loading import ConfigError, load, settled
from agent.config.sections import (
    SECTIONS,
    Audit,
    Card,
    Certificates,
    Config,
    Consent,
    Hipki,
    Limits,
    Log,
    Metrics,
    NhiComponent,
    Origins,
    Pkcs11,
    Ports,
    ServiSign,
    Unattended,
    Update,
)

__all__ = [
    "SECTIONS",
    "Audit",
    "Card",
    "Certificates",
    "Config",
    "ConfigError",
    "Consent",
    "Hipki",
    "Limits",
    "Log",
    "Metrics",
    "NhiComponent",
    "Origins",
    "Pkcs11",
    "Ports",
    "ServiSign",
    "Unattended",
    "Update",
    "load",
    "settled",
]
