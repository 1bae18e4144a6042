"""The NHI component dialect: NHI cards for pages written for NHI's own local program (docs/nhi-component.md).

Bare text commands over a WebSocket at `/echo`; errors are bare numbers. What depends on NHI's security
modules and servers is refused with the component's own numbers, and the person learns why.
"""

from agent.dialects.nhi_component.dialect import NhiDialect
from agent.dialects.nhi_component.ports import context_by_name, take_ports
from agent.dialects.nhi_component.site import NhiSite

__all__ = ["NhiDialect", "NhiSite", "context_by_name", "take_ports"]
