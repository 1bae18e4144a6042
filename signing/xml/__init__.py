"""XML as signatures need it: read without surprises, made canonical, its references resolved.

lxml does the work. Nothing here fetches, expands or executes what a document asks for.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Element: TypeAlias = Any
"""An element or a whole tree of lxml, which has no types of its own."""
Tree: TypeAlias = Any

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141: Final = "http://uri.etsi.org/01903/v1.4.1#"
XML: Final = "http://www.w3.org/XML/1998/namespace"

NAMESPACES: Final = {"ds": DS, "xades": XADES, "xades141": XADES_141}

SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
"""Type of a reference (ETSI EN 319 132-1 §4.4.2)."""
COUNTERSIGNED: Final = "http://uri.etsi.org/01903#CountersignedSignature"
"""Type of a reference (ETSI EN 319 132-1 §5.2.7.2)."""


def name(prefix: str, local: str) -> str:
    """Return lxml's `{namespace}local`."""
    return f"{{{NAMESPACES[prefix]}}}{local}"
