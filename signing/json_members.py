"""JSON that others wrote, read so that no two readers can believe two things of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RepeatedMemberError(Exception):
    """A member is there twice, and each of two readers may believe another one."""


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object: `json.loads(text, object_pairs_hook=once)`.

    Raises:
        RepeatedMemberError: one is there twice (RFC 8259 §4 leaves open which counts).
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RepeatedMemberError("a member is there twice")
    return members
