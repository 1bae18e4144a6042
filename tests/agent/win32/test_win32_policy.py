"""Group policy in the registry, the browsers' policies, and who may write the administrator's folder."""

from __future__ import annotations

from dataclasses import fields

import pytest

from agent import config
from agent.cli.windows import browser_policy, vendor_program
from agent.origins.portals import KNOWN
from agent.win32 import acl, installed_programs, policy
from tests.support.registry import MemoryRegistry

MACHINE = MemoryRegistry.HKEY_LOCAL_MACHINE


def read(registry: MemoryRegistry) -> dict[str, dict[str, object]]:
    raw = policy.read(config.SECTIONS, registry)
    return config.settled(policy.PLACE, raw, administrator=True)


def test_without_a_policy_nothing_is_said() -> None:
    assert read(MemoryRegistry()) == {}


def test_every_kind_of_value_is_read_as_the_configuration_holds_it() -> None:
    registry = MemoryRegistry()
    registry.put(MACHINE, rf"{policy.KEY}\origins", "allow", ["https://portal.example.tw"])
    registry.put(MACHINE, rf"{policy.KEY}\servisign", "ports", ["57445", "57545"])
    registry.put(MACHINE, rf"{policy.KEY}\servisign", "enabled", 0)
    registry.put(MACHINE, rf"{policy.KEY}\servisign", "ldap_base", "c=TW,o=x")
    registry.put(MACHINE, rf"{policy.KEY}\consent", "days", 7)
    registry.put(MACHINE, rf"{policy.KEY}\consent", "**del.seconds", "")
    assert read(registry) == {
        "origins": {"allow": frozenset(("https://portal.example.tw",))},
        "servisign": {"ports": (57445, 57545), "enabled": False, "ldap_base": "c=TW,o=x"},
        "consent": {"days": 7},
    }


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("origins", "alow", ["https://portal.example.tw"]),
        ("orgins", "allow", ["https://portal.example.tw"]),
        ("origins", "allow", ["https://*.example.tw"]),
        ("servisign", "ports", ["eighty"]),
        ("servisign", "enabled", 2),
        ("servisign", "enabled", "true"),
        ("consent", "days", "7"),
    ],
)
def test_a_policy_that_nobody_understands_stops_the_agent_and_is_named(
    section: str, name: str, value: object
) -> None:
    registry = MemoryRegistry()
    registry.put(MACHINE, rf"{policy.KEY}\{section}", name, value)
    with pytest.raises(config.ConfigError, match="HKEY_LOCAL_MACHINE"):
        read(registry)


def test_browser_policies_come_and_go_and_leave_the_administrators_own() -> None:
    registry = MemoryRegistry()
    own = "https://intranet.example.tw"
    registry.put(MACHINE, browser_policy.LISTS[0], "1", own)
    before = {place: dict(values) for place, values in registry.keys.items()}
    browser_policy.add(registry)
    browser_policy.add(registry)
    for path in browser_policy.LISTS:
        values = [value for value, _ in registry.keys[MACHINE, path].values()]
        assert sorted(values) == sorted({*KNOWN, *([own] if path == browser_policy.LISTS[0] else ())})
    browser_policy.remove(registry)
    assert {place: values for place, values in registry.keys.items() if values} == {
        place: values for place, values in before.items() if values
    }
    assert not [path for _, path in registry.keys if "Edge" in path or "HCA" in path]


def test_what_somebody_changed_in_the_meantime_stays() -> None:
    registry = MemoryRegistry()
    browser_policy.add(registry)
    registry.put(MACHINE, browser_policy.LISTS[1], "2", "https://theirs.example.tw")
    browser_policy.remove(registry)
    assert registry.keys[MACHINE, browser_policy.LISTS[1]] == {"2": ("https://theirs.example.tw", 1)}


def test_the_vendors_program_is_found_among_installed_programs() -> None:
    registry = MemoryRegistry()
    registry.put(
        MACHINE,
        rf"{installed_programs.UNINSTALL}\{{1}}",
        "DisplayName",
        "HCAServiSignAdapterSetup 1.0.23.1227",
    )
    registry.put(MACHINE, rf"{installed_programs.UNINSTALL}\{{2}}", "DisplayName", "HCA Card Agent")
    registry.put(MACHINE, rf"{installed_programs.UNINSTALL}\{{3}}", "NoName", 1)
    found = vendor_program.installed(registry)
    assert found == ("HCAServiSignAdapterSetup 1.0.23.1227",)
    zh, en = vendor_program.sentences(found, (56445, 56545, 56645))
    assert "56445" in zh and "56545、56645" in zh and "56545, 56645" in en


ME = "S-1-5-21-1-2-3-1001"


@pytest.mark.parametrize(
    ("list_", "others", "who_write"),
    [
        (f"D:P(A;OICI;FA;;;{ME})(A;OICI;FA;;;SY)", set(), {ME}),
        (f"D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{ME})", set(), {ME}),
        ("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)", {"BU"}, set()),
        # What a folder in ProgramData inherits: users may make files in it.
        (
            "D:AI(A;OICIID;FA;;;SY)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)",
            {"BU"},
            {"BU"},
        ),
        ("D:(A;;FR;;;WD)(D;;FA;;;AN)", {"WD"}, set()),
        ("D:NO_ACCESS_CONTROL", {"WD"}, {"WD"}),
        ("", {"WD"}, {"WD"}),
    ],
)  # fmt: skip
def test_a_list_tells_who_else_reads_and_who_writes(
    list_: str, others: set[str], who_write: set[str]
) -> None:
    assert acl.strangers(list_, ME) == others
    assert acl.writers(list_) == who_write


def test_every_key_of_the_configuration_can_be_a_policy() -> None:
    kinds = {str(key.type).split("[")[0] for kind in config.SECTIONS.values() for key in fields(kind)}
    assert kinds <= {"bool", "int", "str", "tuple", "frozenset"}
