"""One text more in a list of somebody else's JSON file, and out of it again without a trace.

Policy files of browsers are the administrator's: comments, order and blanks stay as they are. What browsers
read is a little more than RFC 8259: comments, and a comma after the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

EMPTY: Final = "{}\n"

_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[\]}])', re.DOTALL)
_BLANK: Final = re.compile(r"\s*")
_DECODER: Final = json.JSONDecoder()


class ShapeError(ValueError):
    """The file says something of another shape."""


@dataclass(slots=True)
class _Node:
    """One value and where it stands.

    Attributes:
        begin: its first character; of a member, its key's.
        value: where the value itself begins.
        end: behind it.
        members: by key where it is an object; of keys said twice, the last.
        items: what it has, in order, where it is an object or a list.
    """

    begin: int
    value: int
    end: int = 0
    content: Any = None
    members: dict[str, _Node] = field(default_factory=dict)
    items: list[_Node] = field(default_factory=list)


def read(text: str) -> dict[str, Any]:
    """Return what a browser reads.

    Raises:
        ValueError: it reads nothing.
    """
    content = _tree(text).content
    if not isinstance(content, dict):
        raise ShapeError("not an object")
    return content


def added(text: str, path: Sequence[str], value: str, *, spelled: str = "") -> str:
    """Return the file with `value` in the list under `path`, which is made where it is missing.

    Args:
        text: the file.
        path: the keys that lead to the list.
        value: the new text.
        spelled: how it is written; as usual when left out.

    Raises:
        ValueError: it cannot be read.
        ShapeError: something else than objects and a list is there.
    """
    spelled = spelled or json.dumps(value)
    node = _tree(text)
    for depth, key in enumerate(path):
        if not isinstance(node.content, dict):
            raise ShapeError(key)
        if key not in node.members:
            return _put_last(text, node, _made(path[depth:], spelled))
        node = node.members[key]
    if not isinstance(node.content, list):
        raise ShapeError(path[-1])
    return _put_last(text, node, spelled)


def without(text: str, path: Sequence[str], value: str, *, spelled: str = "") -> str:
    """Return the file without `value` in that list, and without what `added` made for it.

    Args:
        text: the file.
        path: the keys that lead to the list.
        value: the text.
        spelled: take out what is written so and nothing else; any spelling when left out.

    Raises:
        ValueError: it cannot be read.
    """
    while True:
        root = _tree(text)
        nodes = [root]
        for key in path:
            if key not in nodes[-1].members:
                return text
            nodes.append(nodes[-1].members[key])
        wanted = [
            each
            for each in (nodes[-1].items if isinstance(nodes[-1].content, list) else ())
            if each.content == value and spelled in ("", text[each.begin : each.end])
        ]
        if not wanted:
            return text
        holder, out = nodes[-1], wanted[0]
        for depth, node in enumerate(nodes[1:]):
            if text[node.begin : node.end] == _made(path[depth:], text[out.begin : out.end]):
                holder, out = nodes[depth], node
                break
        text = _cut(text, holder, out)


def _made(path: Sequence[str], spelled: str) -> str:
    """Return the members that `added` makes; their blanks tell the list from one of somebody else."""
    text = f"[ {spelled} ]"
    for depth, key in enumerate(reversed(path)):
        text = f"{json.dumps(key)}: {text if depth == 0 else f'{{{text}}}'}"
    return text


def _put_last(text: str, holder: _Node, piece: str) -> str:
    if not holder.items:
        place = holder.value + 1
        return text[:place] + piece + text[place:]
    place = holder.items[-1].end
    return f"{text[:place]}, {piece}{text[place:]}"


def _cut(text: str, holder: _Node, out: _Node) -> str:
    number = next(index for index, each in enumerate(holder.items) if each is out)
    if number:
        return text[: holder.items[number - 1].end] + text[out.end :]
    following = holder.items[1].begin if len(holder.items) > 1 else out.end
    return text[: out.begin] + text[following:]


def _tree(text: str) -> _Node:
    plain = _COMMENT.sub(lambda found: _blanked(found[0], "/"), text.replace("\ufeff", " ", 1))
    plain = _LAST_COMMA.sub(lambda found: _blanked(found[0], ","), plain)
    try:
        node = _value(plain, _skip(plain, 0))
    except (IndexError, RecursionError, StopIteration) as error:
        raise ValueError("not JSON") from error
    if _skip(plain, node.end) != len(plain):
        raise ValueError("more than one value")
    return node


def _blanked(found: str, first: str) -> str:
    return " " * len(found) if found.startswith(first) else found


def _skip(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return found.end() if found else place


def _value(text: str, place: int) -> _Node:
    node = _Node(place, place)
    if text[place] == "{":
        node.content = {}
        for member in _each(text, node, "}"):
            key, end = _DECODER.raw_decode(text, member)
            colon = _skip(text, end)
            if not isinstance(key, str) or text[colon] != ":":
                raise ValueError("not JSON")
            inner = _value(text, _skip(text, colon + 1))
            inner.begin, node.end = member, inner.end
            node.items.append(inner)
            node.members[key] = inner
            node.content[key] = inner.content
    elif text[place] == "[":
        node.content = []
        for item in _each(text, node, "]"):
            inner = _value(text, item)
            node.end = inner.end
            node.items.append(inner)
            node.content.append(inner.content)
    else:
        node.content, node.end = _DECODER.raw_decode(text, place)
    return node


def _each(text: str, node: _Node, closing: str) -> Iterator[int]:
    """Give the place of each part; the caller sets `end` behind it; at last `end` is behind the bracket."""
    place = _skip(text, node.value + 1)
    while text[place] != closing:
        yield place
        place = _skip(text, node.end)
        if text[place] == ",":
            place = _skip(text, place + 1)
            if text[place] == closing:
                raise ValueError("not JSON")
        elif text[place] != closing:
            raise ValueError("not JSON")
    node.end = place + 1
