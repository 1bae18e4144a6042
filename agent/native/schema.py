"""The published schema of the native API, generated from the message types (OpenRPC 1.3).

`python -m agent.native.schema` writes `agent/web/schema.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from agent.native import messages, selftest_messages
from agent.native.limits import API
from agent.native.methods import METHODS

PATH: Final = Path(__file__).parents[1] / "web" / "schema.json"

NOTIFICATIONS: Final[dict[str, tuple[str, type[messages.NativeMessage]]]] = {
    "reader.changed": ("A reader came or went; all readers as they are now.", messages.ReaderList),
    "card.changed": ("A card came or went.", messages.CardChanged),
    "session.ended": ("A signing session of this connection ended.", messages.SessionEnded),
    "batch.item": ("A document of a batch is signed, or could not be.", messages.BatchItem),
    "batch.progress": ("How far a batch is, a few times a second.", messages.BatchProgress),
    "selftest.begun": ("A self-test of this connection begins.", selftest_messages.SelfTestBegun),
    "selftest.row": ("A row of it has finished.", selftest_messages.SelfTestRow),
}
"""What the agent sends unasked: to origins that may read cards; to whose session, batch or test it is."""

_REF: Final = "#/components/schemas/{name}"


def schema() -> bytes:
    """Return the schema as JSON text."""
    notifications = [message for _, message in NOTIFICATIONS.values()]
    types = [kind for method in METHODS.values() for kind in (method.takes, method.gives)]
    _, components = msgspec.json.schema_components(
        [*types, *notifications, messages.ErrorData], ref_template=_REF
    )
    document = {
        "openrpc": "1.3.2",
        "info": {
            "title": "HCA Card Agent native API",
            "version": str(API),
            "description": "JSON-RPC 2.0 over WebSocket at /v1. Unknown members and batches are refused.",
        },
        "methods": [
            {
                "name": name,
                "summary": method.summary,
                "paramStructure": "by-name",
                "params": _parameters(components[method.takes.__name__]),
                "result": {"name": "result", "schema": _reference(method.gives)},
            }
            for name, method in METHODS.items()
        ],
        "x-notifications": [
            {"name": name, "summary": summary, "params": _reference(message)}
            for name, (summary, message) in NOTIFICATIONS.items()
        ],
        "x-error-data": _reference(messages.ErrorData),
        "components": {"schemas": dict(sorted(components.items()))},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _parameters(component: dict[str, Any]) -> list[dict[str, Any]]:
    required = set(component.get("required", ()))
    return [
        {"name": name, "required": name in required, "schema": member}
        for name, member in component["properties"].items()
    ]


def _reference(message: type[messages.NativeMessage]) -> dict[str, str]:
    return {"$ref": _REF.format(name=message.__name__)}


if __name__ == "__main__":
    PATH.write_bytes(schema())
