"""JSON in which no two readers can believe two things."""

from __future__ import annotations

import json

import pytest

from signing.json_members import RepeatedMemberError, once


def test_members_that_are_there_once_are_read() -> None:
    assert json.loads('{"a": {"b": 1}, "b": [{}]}', object_pairs_hook=once) == {"a": {"b": 1}, "b": [{}]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "a": 2}}', '{"a": 1, "\\u0061": 2}'])
def test_a_member_that_is_there_twice_is_refused_at_any_depth(text: str) -> None:
    with pytest.raises(RepeatedMemberError):
        json.loads(text, object_pairs_hook=once)
