"""docs/servisign.md and the tables say the same."""

import re
from pathlib import Path

import pytest

from agent.dialects.servisign import library_nhi, library_pcsc
from agent.dialects.servisign.methods import refused_file

PAGE = (Path(__file__).parents[3] / "docs" / "servisign.md").read_text("utf-8")


def rows(heading: str) -> list[tuple[int, str, str]]:
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    found = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return [(int(index), name, words) for index, name, words in found]


@pytest.mark.parametrize(
    ("heading", "methods"),
    [("PC/SC library", library_pcsc.METHODS), ("NHI-reader library", library_nhi.METHODS)],
)
def test_the_page_says_of_every_function_whether_it_is_offered(heading, methods):
    said = rows(heading)
    assert [(index, name) for index, name, _ in said] == [
        (method.index, name) for name, method in methods.items()
    ]
    for _, name, words in said:
        function = methods[name].function
        assert ("**not yet**: 5004" in words) == (function is None), name
        assert ("**never**: 5906" in words) == (function is refused_file), name
