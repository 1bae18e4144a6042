"""docs/servisign.md and the tables say the same."""

import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from agent.dialects.servisign import nhi_reader_functions, pcsc_functions
from agent.dialects.servisign.functions import refused_file

PAGE = (Path(__file__).parents[3] / "docs" / "servisign.md").read_text("utf-8")


def rows(heading: str) -> list[tuple[int, str, str]]:
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    found = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return [(int(index), name, words) for index, name, words in found]


@pytest.mark.parametrize(
    ("heading", "methods"),
    [("PC/SC library", pcsc_functions.FUNCTIONS), ("NHI-reader library", nhi_reader_functions.FUNCTIONS)],
)
def test_the_page_says_of_every_function_what_it_does_and_how_sure_we_are(heading, methods):
    said = rows(heading)
    assert [(index, name) for index, name, _ in said] == [
        (method.index, name) for name, method in methods.items()
    ]
    for _, name, words in said:
        assert ("**never**: 5906" in words) == (methods[name].implementation is refused_file), name
        assert words.count("|") == 1, f"{name}: what it does, and how sure we are"


def test_the_hosts_on_the_page_are_those_that_are_listed_by_default():
    from agent.config import ServiSignSettings

    block = PAGE.split("\n## Hosts")[1].split("[servisign]\n")[1].split("\n\n")[0]
    written = tomllib.loads(textwrap.dedent(block))
    settings = ServiSignSettings()
    assert frozenset(written.pop("hosts")) == settings.hosts
    assert written == {name: getattr(settings, name) for name in ("timestamp_host", "ldap_host", "ldap_base")}
