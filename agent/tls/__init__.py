"""This installation's own TLS identities: a CA for each scope that can speak for it alone, and one leaf.

The usual CA may sign for `localhost`, `127.0.0.1` and `::1` and nothing else (RFC 5280 §4.2.1.10), the one of
the NHI component for that component's name alone, and a CA's private key exists only in memory while it signs
the one leaf: trusting it in a browser gives nobody a power over any other site, not even a thief of this
folder. Both end together and are made anew in time; whoever trusted the old CA has to trust the new one then,
which is why the person is notified of `TlsIdentity.fresh`.
"""

from __future__ import annotations

from agent.tls.certificates import CLOCK_SKEW, LIFETIME, ORGANIZATION, ca_common_name, ca_name
from agent.tls.identity import (
    CA,
    FORMER,
    KEY,
    LEAF,
    RENEWAL,
    TlsIdentity,
    ensure,
    in_use,
    server_context,
    shown,
)
from agent.tls.scope import LOOPBACK, NHI_COMPONENT, SCOPES, Scope

__all__ = [
    "CA",
    "CLOCK_SKEW",
    "FORMER",
    "KEY",
    "LEAF",
    "LIFETIME",
    "LOOPBACK",
    "NHI_COMPONENT",
    "ORGANIZATION",
    "RENEWAL",
    "SCOPES",
    "Scope",
    "TlsIdentity",
    "ca_common_name",
    "ca_name",
    "ensure",
    "in_use",
    "server_context",
    "shown",
]
