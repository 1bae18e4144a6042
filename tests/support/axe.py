"""Accessibility audits with axe-core."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

AUDIT: Final = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
    ({ id, impact, nodes }) => ({ id, impact, at: nodes.map(({ target }) => target.join(" ")) }))"""
"""A function for a page in which `source()` has run."""


def source() -> str:
    """axe-core itself, out of the package that carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")


def serious(violations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What may not stay: findings of impact serious or critical."""
    return [each for each in violations if each["impact"] in ("serious", "critical")]
