"""For which names an identity speaks: this computer's own, or the NHI component's."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_EVERY_ADDRESS = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Scope:
    """For which names an identity can speak, and where in the agent's TLS folder it lies.

    Attributes:
        host: the DNS name.
        addresses: the IP addresses beside it.
        subfolder: empty for the TLS folder itself.
    """

    host: str
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    subfolder: str = ""

    def within(self, folder: Path) -> Path:
        """Return the folder of this identity in the agent's TLS folder."""
        return folder / self.subfolder

    def constraints(self) -> x509.NameConstraints:
        """Return these names and nothing else; without addresses every address is forbidden by name.

        A kind of name that constraints do not mention is not limited at all (RFC 5280 §4.2.1.10).
        """
        from cryptography import x509

        networks = [_network(address) for address in self.addresses]
        return x509.NameConstraints(
            [x509.DNSName(self.host), *(x509.IPAddress(network) for network in networks)],
            None if networks else [x509.IPAddress(network) for network in _EVERY_ADDRESS],
        )


def _network(address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


LOOPBACK = Scope("localhost", (IPv4Address("127.0.0.1"), IPv6Address("::1")))
"""This computer's own names."""

NHI_COMPONENT = Scope("iccert.nhi.gov.tw", subfolder="nhi-component")
"""The name by which portals look for the NHI component on this computer (docs/nhi-component.md)."""

SCOPES = (LOOPBACK, NHI_COMPONENT)
