"""The published schema says what the message types say."""

from __future__ import annotations

import json
import re

from agent.native import schema
from agent.native.methods import METHODS
from agent.server.pages import WEB


def test_the_published_schema_is_current() -> None:
    assert schema.PATH.read_bytes() == schema.schema(), "run: python -m agent.native.schema"


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(schema.schema())
    defined = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', schema.schema().decode())) <= defined


def test_every_message_refuses_members_it_does_not_name() -> None:
    components = json.loads(schema.schema())["components"]["schemas"]
    assert all(
        each["additionalProperties"] is False for each in components.values() if each.get("type") == "object"
    )


def test_the_types_for_pages_name_every_member_of_every_message() -> None:
    types = (WEB / "agent.d.ts").read_text("utf-8")
    components = json.loads(schema.schema())["components"]["schemas"]
    of_programs = ("Queue", "OpenSession", "SessionStop")  # for local programs alone
    pages = {name: each for name, each in components.items() if not name.startswith(of_programs)}
    members = {member for each in pages.values() for member in each.get("properties", ())}
    missing = {member for member in members if not re.search(rf"\b{member}\??:", types)}
    assert missing == set()


def test_the_client_for_pages_knows_every_method() -> None:
    client = (WEB / "agent.js").read_text("utf-8")
    of_pages = {name for name, method in METHODS.items() if not method.programs}
    assert of_pages == set(re.findall(r'(?:this\.call\(|method: )"([a-z.]+)"', client))
