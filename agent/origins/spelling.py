"""What an origin is to this agent: the text that a browser sends, compared as a whole.

Origins are never taken apart to match in part, so there is one spelling for each: anything that a browser
would have written differently is no origin (`signing.origin.is_origin`).
"""

from __future__ import annotations

from signing.origin import DEFAULT_PORTS, LOOPBACK_HOSTS, is_origin, origin_fault

__all__ = ["is_loopback_host", "is_origin", "is_plain_http", "loopback_origins", "origin_fault"]


def is_plain_http(origin: str) -> bool:
    """Return whether the origin is not https (then it is on loopback, and must be listed to be admitted)."""
    return origin.startswith("http://")


def loopback_origins(port: int, *, tls: bool) -> frozenset[str]:
    """Return the origins of our own pages on one of our ports."""
    scheme = "https" if tls else "http"
    suffix = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return frozenset(f"{scheme}://{host}{suffix}" for host in LOOPBACK_HOSTS)


def is_loopback_host(host: str, port: int) -> bool:
    """Return whether a Host header names loopback and the port that it arrived at (against DNS rebinding)."""
    name, separator, number = host.rpartition(":")
    return separator == ":" and name in LOOPBACK_HOSTS and number == str(port)
