"""Readers on USB: what each system says of them, and exactly what to do."""

from __future__ import annotations

import plistlib
import re
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.selftest import reader_advice
from agent.selftest.probes.readers import PROBES
from agent.selftest.reader_advice import Slot, advice, known_readers, slot_of
from agent.selftest.reader_drivers import Bundle, bundles_in
from agent.selftest.usb_readers import (
    UsbReader,
    UsbTrouble,
    on_linux,
    on_macos,
    on_windows,
)
from tests.support.operations import OWN
from tests.support.registry import MemoryRegistry
from tests.support.selftest import context_of, row_of, selftest_world, short

EZ100PU, ACR39U, UNKNOWN = "0CA6:0010", "072F:B100", "1234:5678"
KNOWN = frozenset(known_readers())
CLASS_DRIVER = Bundle(Path("/drivers/ifd-ccid.bundle"), "ifd-ccid 1.5.2", class_driver=True)
EZUSB = Bundle(
    Path("/drivers/ezusb.bundle"),
    "ezusb",
    identities=frozenset((EZ100PU,)),
    processors=frozenset(("x86_64",)),
)


# ---------------------------------------------------------------- Linux


def plug(
    sysfs: Path, port: str, identity: str, *classes: str, product: str = "", authorized: str = "1"
) -> Path:
    device = sysfs / port
    device.mkdir(parents=True)
    vendor, _, number = identity.lower().partition(":")
    files = {"idVendor": vendor, "idProduct": number, "product": product, "authorized": authorized}
    for name, text in files.items():
        (device / name).write_text(f"{text}\n")
    for at, each in enumerate(classes):
        interface = device / f"{port}:1.{at}"
        interface.mkdir()
        (interface / "bInterfaceClass").write_text(f"{each}\n")
    return device


def claim(device: Path, driver: str) -> None:
    place = device.parent.parent / "drivers" / driver
    place.mkdir(parents=True)
    (device / f"{device.name}:1.0" / "driver").symlink_to(place)


def test_linux_lists_readers_by_their_interface_or_identity_and_nothing_else(tmp_path: Path) -> None:
    sysfs = tmp_path / "devices"
    plug(sysfs, "1-1", ACR39U, "0b", product="ACR39U ICC Reader")
    plug(sysfs, "1-2", EZ100PU, "ff", product="EZ100PU")
    plug(sysfs, "1-3", UNKNOWN, "03", "0b", product="Keyboard with a reader")
    plug(sysfs, "1-4", UNKNOWN, "03", product="Mouse")
    found = list(on_linux(sysfs, KNOWN, (CLASS_DRIVER,)))
    assert [(each.identity, each.name, each.ccid, each.trouble) for each in found] == [
        (ACR39U, "ACR39U ICC Reader", True, None),
        (EZ100PU, "EZ100PU", False, UsbTrouble.NO_DRIVER),
        (UNKNOWN, "Keyboard with a reader", True, None),
    ]


def test_linux_tells_what_is_in_the_way(tmp_path: Path) -> None:
    sysfs = tmp_path / "devices"
    claim(plug(sysfs, "1-1", ACR39U, "0b"), "pn533_usb")
    claim(plug(sysfs, "1-2", ACR39U, "0b"), "usbfs")
    plug(sysfs, "1-3", ACR39U, "0b", authorized="0")
    found = list(on_linux(sysfs, KNOWN, (CLASS_DRIVER,)))
    assert [(each.trouble, each.culprit) for each in found] == [
        (UsbTrouble.CLAIMED, "pn533_usb"),
        (None, ""),
        (UsbTrouble.DISABLED, ""),
    ]
    assert {each.trouble for each in on_linux(sysfs, KNOWN, ())} == {
        UsbTrouble.CLAIMED, UsbTrouble.NO_DRIVER, UsbTrouble.DISABLED,
    }  # fmt: skip
    assert list(on_linux(tmp_path / "no sysfs", KNOWN, ())) == []


# ---------------------------------------------------------------- macOS


def device(identity: str, name: str, *below: dict[str, Any], interface: int | None = None) -> dict[str, Any]:
    vendor, _, product = identity.partition(":")
    children = list(below)
    if interface is not None:
        children.append({"bInterfaceClass": interface, "idVendor": int(vendor, 16)})
    return {
        "idVendor": int(vendor, 16),
        "idProduct": int(product, 16),
        "bDeviceClass": 0,
        "USB Product Name": name,
        "IORegistryEntryID": hash(name),
        "IORegistryEntryChildren": children,
    }


def test_macos_lists_each_reader_once_and_not_the_hub_above_it() -> None:
    reader = device(ACR39U, "ACR39U", interface=11)
    listed = plistlib.dumps([device(UNKNOWN, "Hub", reader, interface=9), reader, device(EZ100PU, "EZ100PU")])
    found = list(on_macos(listed, KNOWN, (CLASS_DRIVER,), "arm64"))
    assert [(each.identity, each.ccid, each.trouble) for each in found] == [
        (ACR39U, True, None),
        (EZ100PU, False, UsbTrouble.NO_DRIVER),
    ]


@pytest.mark.parametrize(("processor", "trouble"), [("arm64", UsbTrouble.SHADOWED), ("x86_64", None)])
def test_macos_tells_a_driver_that_this_processor_cannot_run(
    processor: str, trouble: UsbTrouble | None
) -> None:
    listed = plistlib.dumps([device(EZ100PU, "EZ100PU", interface=255)])
    (found,) = on_macos(listed, KNOWN, (CLASS_DRIVER, EZUSB), processor)
    assert found.trouble is trouble
    if trouble:
        (told,) = advice([found], [], "darwin")
        assert str(EZUSB.path) in told.next.zh and "Apple" in told.next.en


@pytest.mark.parametrize("listed", [b"", b"no plist", plistlib.dumps({"a": 1}), plistlib.dumps([1, "x"])])
def test_whatever_ioreg_prints_else_is_no_reader(listed: bytes) -> None:
    assert list(on_macos(listed, KNOWN, (), "arm64")) == []


def test_a_bundle_says_which_readers_and_processors_it_is_for(tmp_path: Path) -> None:
    contents = tmp_path / "ezusb.bundle" / "Contents"
    (contents / "MacOS").mkdir(parents=True)
    (contents / "Info.plist").write_bytes(
        plistlib.dumps({
            "CFBundleExecutable": "ezusb", "CFBundleShortVersionString": "1.0",
            "ifdVendorID": ["0x0CA6"], "ifdProductID": ["0x0010"], "ifdFriendlyName": ["Castles EZ100PU"],
        })
    )  # fmt: skip
    code = contents / "MacOS" / "ezusb"
    for octets, processors in (
        (struct.pack("<II", 0xFEEDFACF, 0x01000007), {"x86_64"}),
        (struct.pack(">III16xI16x", 0xCAFEBABE, 2, 0x01000007, 0x0100000C), {"x86_64", "arm64"}),
        (struct.pack(">II", 0xCAFEBABE, 0xFFFFFFFF) + b"\1" * 4, set()),
        (b"\x7fELF and so on", set()),
        (b"", set()),
    ):  # fmt: skip
        code.write_bytes(octets)
        (bundle,) = bundles_in(tmp_path)
        assert bundle.processors == processors
    assert bundle.identities == {EZ100PU} and bundle.runs_on("arm64")
    (contents / "Info.plist").write_bytes(b"no plist")
    assert list(bundles_in(tmp_path)) == []


# ---------------------------------------------------------------- Windows


def test_windows_tells_who_made_the_driver_and_what_keeps_it_from_working() -> None:
    registry = MemoryRegistry()
    problems: dict[str, int | None] = {}

    def plugged(device: str, problem: int | None, *, ccid: bool = True, maker: str = "Microsoft") -> None:
        place = rf"SYSTEM\CurrentControlSet\Enum\USB\{device}\1"
        registry.put("HKLM", place, "DeviceDesc", "@oem1.inf,%x%;A reader")
        registry.put(
            "HKLM", place, "CompatibleIDs", [r"USB\Class_0b&SubClass_00"] if ccid else [r"USB\Class_ff"]
        )
        if maker:
            driver = rf"{{50dd5230-ba8a-11d1-bf5d-0000f805f530}}\{len(problems):04}"
            registry.put("HKLM", place, "Driver", driver)
            registry.put("HKLM", rf"SYSTEM\CurrentControlSet\Control\Class\{driver}", "ProviderName", maker)
        problems[rf"USB\{device}\1"] = problem

    plugged("VID_072F&PID_B100", 0)
    plugged("VID_0CA6&PID_0010", 28, ccid=False, maker="")
    plugged("VID_0CA6&PID_00A0", 22)
    plugged("VID_1234&PID_5678&MI_01", 43)
    plugged("VID_04E6&PID_5116", None)
    plugged("VID_8087&PID_0A2B", 0, ccid=False)
    plugged("ROOT_HUB30", 0)
    found = list(on_windows(registry, problems.__getitem__, KNOWN))
    assert [(each.identity, each.trouble, each.culprit) for each in found] == [
        (ACR39U, None, ""),
        (EZ100PU, UsbTrouble.NO_DRIVER, ""),
        ("0CA6:00A0", UsbTrouble.DISABLED, ""),
        (UNKNOWN, UsbTrouble.FAILED, "43"),
    ]
    assert found[0].generic and found[0].name == "A reader"


# ---------------------------------------------------------------- what to do


@pytest.mark.parametrize(
    ("reader", "platform", "step"),
    [
        (UsbReader(EZ100PU, "EZ100PU", False, UsbTrouble.NO_DRIVER), "linux", "不是標準的 CCID"),
        (UsbReader(EZ100PU, "EZ100PU", False, UsbTrouble.NO_DRIVER), "darwin", "不是標準的 CCID"),
        (UsbReader(EZ100PU, "EZ100PU", False, UsbTrouble.NO_DRIVER), "win32", "廠商的驅動程式"),
        (UsbReader(EZ100PU, "EZ100PU", False), "win32", "廠商的驅動程式"),
        (UsbReader(EZ100PU, "EZ100PU", False, maker="Microsoft"), "win32", "通用驅動程式"),
        (UsbReader(EZ100PU, "", False, UsbTrouble.SHADOWED, culprit="/x.bundle"), "darwin", "/x.bundle"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.NO_DRIVER), "linux", "libccid"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.NO_DRIVER), "win32", "更新驅動程式"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.NO_DRIVER), "darwin", "更新 macOS"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.DISABLED), "linux", "USBGuard"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.DISABLED), "win32", "啟用裝置"),
        (UsbReader(ACR39U, "ACR39U", True, UsbTrouble.CLAIMED, culprit="pn533_usb"), "linux", "pn533_usb"),
        (UsbReader(UNKNOWN, "", True, UsbTrouble.FAILED, culprit="43"), "win32", "代碼 43"),
        (UsbReader(UNKNOWN, "Some reader", True), "linux", "拔插讀卡機"),
        (UsbReader(UNKNOWN, "Some reader", True), "darwin", "隱私權與安全性"),
        (UsbReader(UNKNOWN, "Some reader", True, maker="Microsoft"), "win32", "拔插讀卡機"),
    ],
    ids=str,
)
def test_each_trouble_has_its_step_on_each_system(reader: UsbReader, platform: str, step: str) -> None:
    (told,) = advice([reader], [], platform)
    assert step in told.next.zh and told.next.en and reader.identity in told.reader
    assert "{" not in told.next.zh + told.next.en


def test_a_reader_that_the_service_has_needs_nothing() -> None:
    readers = [UsbReader(ACR39U, "ACR39U ICC Reader", True), UsbReader(EZ100PU, "EZ100PU", False)]
    assert advice(readers, ["ACS ACR39U ICC Reader 00 00", "Castles EZ100PU 01 00"], "linux") == []
    # Whatever its driver calls it, and with a second slot beside it.
    assert advice(readers, ["A 00 00", "B 01 00"], "linux") == []


def test_of_two_readers_the_one_that_is_missing_is_told() -> None:
    readers = [UsbReader(ACR39U, "ACR39U ICC Reader", True), UsbReader(UNKNOWN, "Some reader", True)]
    (told,) = advice(readers, ["ACS ACR39U ICC Reader 00 00"], "linux")
    assert told.reader == f"Some reader ({UNKNOWN})"
    readers.append(UsbReader(EZ100PU, "EZ100PU", False))
    (told,) = advice(readers, ["A 00 00", "B 00 00"], "linux")
    assert EZ100PU in told.reader


def test_a_readers_name_is_no_word_of_ours() -> None:
    (told,) = advice([UsbReader(UNKNOWN, "\x1b[31m{0}\u202e" + "x" * 500, True)], [], "linux")
    assert "\x1b" not in told.reader and "\u202e" not in told.reader and len(told.reader) < 200


def test_every_fact_of_the_table_has_its_source_and_is_used() -> None:
    written = tomllib.loads(reader_advice.FACTS.read_text("utf-8"))
    for reader in written.pop("reader"):
        assert reader["source"] and all(identity == identity.upper() for identity in reader["usb"])
    assert {trouble.value for trouble in UsbTrouble} <= written.keys()
    for systems in written.values():
        for platform, step in systems.items():
            assert platform in ("linux", "darwin", "win32") and step["source"] and step["zh"] and step["en"]
            # A page shows it, and nothing there is typed as a command.
            assert not re.search(r"hca-agent|sudo|systemctl|指令", step["zh"] + step["en"])


# ---------------------------------------------------------------- the row


@pytest.mark.parametrize(
    ("kinds", "readers", "result"),
    [
        (("",), (), "skip"),
        (("hpc",), (UsbReader(ACR39U, "ACS ACR39U", True),), "pass"),
        ((), (UsbReader(EZ100PU, "EZ100PU", False),), "fail reader.driver"),
        (
            ("hpc",),
            (UsbReader(ACR39U, "ACS ACR39U", True), UsbReader(EZ100PU, "", False)),
            "warn reader.driver",
        ),
    ],
    ids=["none", "good", "none of use", "one of two"],
)
async def test_the_row_says_what_to_do_here(
    tmp_path: Path, kinds: tuple[str, ...], readers: tuple[UsbReader, ...], result: str
) -> None:
    async with selftest_world(tmp_path, *kinds) as world:
        context = context_of(world, usb=lambda _known: readers, platform="linux")
        row = await row_of(context, "host.usb", PROBES)
    assert short(row) == result
    if row.error is not None:
        assert EZ100PU in row.error.next.zh and "pcsc-lite" in row.error.on_page().next.en


# ---------------------------------------------------------------- NHI readers with two slots


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("CASTLES EZNHI HC 00 00", Slot.PERSON),
        ("CASTLES EZNHI HPC 00 01", Slot.PROFESSIONAL),
        ("Some Reader HPC", Slot.PROFESSIONAL),
        ("Some Reader HC 0", Slot.PERSON),
        ("ACS ACR39U 00 00", None),
        ("HCA-AGENT Simulator hpc 00", None),
        ("HC Reader 00 00", None),
        ("TECHC 00", None),
    ],
)
def test_the_end_of_its_name_says_which_slot_it_is(name: str, slot: Slot | None) -> None:
    assert slot_of(name) is slot


@pytest.mark.parametrize(
    ("cards", "result"),
    [
        (("nhi", "hpc"), "pass"),
        (("hpc", ""), "warn reader.slot"),
        (("", "nhi"), "warn reader.slot"),
        (("citizen", ""), "pass"),
    ],
)
async def test_a_card_in_the_other_slot_is_told(tmp_path: Path, cards: tuple[str, ...], result: str) -> None:
    names = ("EZNHI HC 00 00", "EZNHI HPC 00 01")
    async with selftest_world(tmp_path, *cards, names=names) as world:
        for reader, kind in zip(names, cards, strict=True):
            if kind:
                await world.operations.card(OWN, reader)
        context = context_of(world)
        context.reader = names[1]
        row = await row_of(context, "host.readers", PROBES)
    assert short(row) == result
    assert "醫事人員卡的插槽" in row.detail.zh and "健保卡的插槽" in row.detail.zh
