"""The source of an MSI, for wixl (the language of WiX 3).

What the administrator says on the command line of msiexec goes into the registry as text and is read, checked
and applied by the program itself: no command here has anything in it that somebody typed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from product import MAKER, NAME, PROPERTIES, RUN_KEY, SETUP_KEY, SHORTCUTS, Product

_SPACE: Final = uuid.UUID("6a0c2a1e-5f9b-4b7e-9c0e-3f6f8f0b7d11")
_UPGRADE: Final = {
    True: "B1F4C1F3-6E0E-4C62-9D6B-6C2D7E9A4F10",
    False: "0E7C5B7A-32D8-4E0F-8E5C-1B9A6F3D2C54",
}
_SEQUENCE: Final = {
    "RemoveExistingProducts": 1450,  # the earlier version goes first, and ends what runs of it
    "End": 1510,
    "TakeBack": 1520,
    "ForgetData": 1530,
    "Apply": 5900,
    "Start": 5950,
}
"""Between InstallInitialize (1500), WriteRegistryValues (5000) and InstallFinalize (6600)."""

_ONLY_NEW: Final = "此電腦已有較新的版本。 A newer version is installed already."


def source(product: Product, templates: list[Path], base: Path, *, machine: bool) -> str:
    """Return the whole source.

    Args:
        product: what is packed.
        templates: the templates of group policy.
        base: where wixl runs, which takes no whole paths.
        machine: for every user of the computer, else for one.
    """
    tree = _Tree("machine" if machine else "user", base)
    components = "\n".join(tree.folder(product.frozen, "INSTALLDIR"))
    policies = "\n".join(tree.folder(templates[0].parent, "POLICYDEFINITIONS"))
    references = "\n".join(f"<ComponentRef Id={quoteattr(name)}/>" for name in tree.components)
    programs = "ProgramFiles64Folder" if machine else "LocalAppDataFolder"
    place = f'<Directory Id="INSTALLDIR" Name={quoteattr(NAME)}>'
    opened, closed = (place, "</Directory>")
    if not machine:
        opened, closed = f'<Directory Id="UserPrograms" Name="Programs">{place}', "</Directory></Directory>"
    scope = "perMachine" if machine else "perUser"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name={quoteattr(product.title)} Version={quoteattr(product.version)} Language="1028"
    Codepage="950" Manufacturer={quoteattr(MAKER)} UpgradeCode="{_UPGRADE[machine]}">
<Package InstallerVersion="500" Compressed="yes" InstallScope="{scope}" SummaryCodepage="950"
    Description={quoteattr(product.title)} Manufacturer={quoteattr(MAKER)}/>
<Media Id="1" Cabinet="hca.cab" EmbedCab="yes"/>
<MajorUpgrade DowngradeErrorMessage="newer"/>
<Icon Id="hca.ico" SourceFile={quoteattr(os.path.relpath(product.icon, base))}/>
<Property Id="ARPPRODUCTICON" Value="hca.ico"/>
<Property Id="AUTOSTART" Value="1"/>
<Directory Id="TARGETDIR" Name="SourceDir">
<Directory Id="{programs}">
{opened}
{components}
<Directory Id="POLICYDEFINITIONS" Name="PolicyDefinitions">
{policies}
</Directory>
{_settings(tree, machine=machine)}
{closed}
</Directory>
<Directory Id="ProgramMenuFolder">
<Directory Id="MENU" Name={quoteattr(NAME)}>
{_shortcuts(tree, machine=machine)}
</Directory>
</Directory>
</Directory>
<Feature Id="All" Level="1">
{references}
{"".join(f'<ComponentRef Id="{name}"/>' for name in tree.more)}
</Feature>
{_actions(tree, machine=machine)}
</Product>
</Wix>
"""


class _Tree:
    """Folders, components and files with names and identities that stay the same from build to build."""

    def __init__(self, scope: str, base: Path) -> None:
        self._scope = scope
        self._base = base
        self.components: list[str] = []
        self.more: list[str] = []
        self.programs: dict[str, str] = {}

    def identity(self, what: str) -> str:
        """Return what is the same for the same thing of the same package, always."""
        return str(uuid.uuid5(_SPACE, f"{self._scope}/{what}")).upper()

    def folder(self, folder: Path, path: str) -> Iterator[str]:
        """Return a folder's files, then its folders."""
        yield from self.files([each for each in sorted(folder.iterdir()) if each.is_file()], path)
        for each in sorted(folder.iterdir()):
            if each.is_dir():
                inner = f"{path}/{each.name}"
                yield f'<Directory Id="{self._name("D", inner)}" Name={quoteattr(each.name)}>'
                yield from self.folder(each, inner)
                yield "</Directory>"

    def files(self, files: list[Path], path: str) -> Iterator[str]:
        """One component for each file, as Windows Installer wants it."""
        for file in files:
            inner = f"{path}/{file.name}"
            name, component = self._name("F", inner), self._name("C", inner)
            self.components.append(component)
            self.programs[file.name] = name
            place = quoteattr(os.path.relpath(file, self._base))
            yield (
                f'<Component Id="{component}" Guid="{self.identity(inner)}" Win64="yes">'
                f'<File Id="{name}" Name={quoteattr(file.name)} Source={place}'
                ' KeyPath="yes"/></Component>'
            )

    def _name(self, kind: str, path: str) -> str:
        return f"{kind}{uuid.uuid5(_SPACE, path).hex}"


CODE_PAGE: Final = "\r\n\r\n950\t_ForceCodepage\r\n"
"""The table that says in which code page all texts are: wixl 0.101 ignores the one that its source names."""


def corrections() -> list[str]:
    """Return what wixl cannot say, in the SQL of Windows Installer."""
    wixls_own = ("WIX_UPGRADE_DETECTED", "WIX_DOWNGRADE_DETECTED")
    secure = ";".join((*wixls_own, "AUTOSTART", "REMOVE_DATA", *(name for name, _ in PROPERTIES)))
    return [
        _set("LaunchCondition", "Description", _ONLY_NEW, "NOT WIX_DOWNGRADE_DETECTED"),
        _set("Component", "Condition", "AUTOSTART=1", "Autostart"),
        # Without it, what an administrator says does not reach the part of the installation with more rights.
        _set("Property", "Value", secure, "SecureCustomProperties"),
        # wixl 0.101 cannot shorten a Chinese name to the eight letters that stand beside it.
        *(
            _set("Shortcut", "Name", f"HCA{number}|{name}", f"S{number}")
            for number, (name, _) in enumerate(SHORTCUTS)
        ),
        *(_set("InstallExecuteSequence", "Sequence", number, action) for action, number in _SEQUENCE.items()),
    ]


def _set(table: str, column: str, value: str | int, row: str) -> str:
    key = {"InstallExecuteSequence": "Action", "LaunchCondition": "Condition"}.get(table, table)
    literal = value if isinstance(value, int) else f"'{value}'"
    return f"UPDATE {table} SET {column} = {literal} WHERE {key} = '{row}'"  # noqa: S608  (words of ours alone)


def _settings(tree: _Tree, *, machine: bool) -> str:
    root = "HKLM" if machine else "HKCU"
    value_of = f'<RegistryValue Root="{root}" Type="string" Key='
    values = "\n".join(
        f'{value_of}{quoteattr(SETUP_KEY)} Name="{value}" Value="[{name}]"/>' for name, value in PROPERTIES
    )
    tree.more += ["Settings", "Autostart"]
    run = quoteattr('"[INSTALLDIR]hca-agentw.exe" run')
    return f"""<Component Id="Settings" Guid="{tree.identity("Settings")}" Win64="yes">
{value_of}{quoteattr(SETUP_KEY)} Name="Folder" Value="[INSTALLDIR]" KeyPath="yes"/>
{values}
</Component>
<Component Id="Autostart" Guid="{tree.identity("Autostart")}" Win64="yes">
{value_of}{quoteattr(RUN_KEY)} Name={quoteattr(NAME)} Value={run} KeyPath="yes"/>
</Component>"""


def _shortcuts(tree: _Tree, *, machine: bool) -> str:
    tree.more.append("Menu")
    root = "HKLM" if machine else "HKCU"
    entries = "\n".join(
        f'<Shortcut Id="S{number}" Name="HCA{number}" Target="[INSTALLDIR]hca-agentw.exe"'
        f' Arguments="{words}" WorkingDirectory="INSTALLDIR" Icon="hca.ico"/>'
        for number, (_, words) in enumerate(SHORTCUTS)
    )
    return f"""<Component Id="Menu" Guid="{tree.identity("Menu")}" Win64="yes">
{entries}
<RemoveFolder Id="MENU" On="uninstall"/>
<RegistryValue Root="{root}" Key={quoteattr(SETUP_KEY)} Name="Menu" Type="integer" Value="1" KeyPath="yes"/>
</Component>"""


def _actions(tree: _Tree, *, machine: bool) -> str:
    program = tree.programs["hca-agentw.exe"]
    scope = " --machine" if machine else ""
    rights = "no" if machine else "yes"
    removed_for_good = 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE'
    # Only ever when it is installed: any user may start a repair, with properties, and Windows gives it the
    # system's rights.
    return f"""<CustomAction Id="Apply" FileKey="{program}" ExeCommand="windows-setup apply{scope}"
    Execute="deferred" Impersonate="{rights}" Return="check"/>
<CustomAction Id="End" FileKey="{program}" ExeCommand="windows-setup end"
    Execute="deferred" Impersonate="{rights}" Return="ignore"/>
<CustomAction Id="TakeBack" FileKey="{program}" ExeCommand="windows-setup remove{scope}"
    Execute="deferred" Impersonate="{rights}" Return="check"/>
<CustomAction Id="ForgetData" FileKey="{program}" ExeCommand="windows-setup forget-data"
    Execute="deferred" Impersonate="yes" Return="ignore"/>
<CustomAction Id="Start" FileKey="{program}" ExeCommand="windows-setup start{scope}"
    Execute="deferred" Impersonate="{rights}" Return="ignore"/>
<InstallExecuteSequence>
<Custom Action="End" After="InstallInitialize">REMOVE="ALL"</Custom>
<Custom Action="TakeBack" After="InstallInitialize">{removed_for_good}</Custom>
<Custom Action="ForgetData" After="InstallInitialize">{removed_for_good} AND REMOVE_DATA="1"</Custom>
<Custom Action="Apply" After="WriteRegistryValues">NOT Installed</Custom>
<Custom Action="Start" After="Apply">NOT Installed AND WIX_UPGRADE_DETECTED AND AUTOSTART=1</Custom>
</InstallExecuteSequence>"""
