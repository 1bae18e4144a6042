r"""Templates of group policy, made from the configuration's own dataclasses, so that they always fit.

Every key of every section is a policy: yes and no as enabled and disabled, numbers, texts and lists as what
they are. They are written to `HKEY_LOCAL_MACHINE\Software\Policies\HCA Card Agent`, where the program
reads them (agent/win32/policy.py). The English explanations are those of the dataclasses.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from admx_words import KEYS, SECTIONS

from agent import config
from agent.win32.policy import KEY

NAME: Final = "hca-agent"
_NAMESPACE: Final = "HcaCardAgent.Policies.Agent"
_TITLE: Final = "HCA Card Agent"
_ABOUT: Final = {
    "zh-TW": "健康照護網站與卡片之間的本機程式。這裡的設定優先於 policy.toml 與使用者的 config.toml。",
    "en-US": "The local program between health portals and the card. What is set here wins over policy.toml"
    " and the user's config.toml.",
}


def write(folder: Path) -> list[Path]:
    """Write the template and its words in both languages, in the folders that Windows wants."""
    made = [folder / f"{NAME}.admx", *(folder / language / f"{NAME}.adml" for language in _ABOUT)]
    texts = [template(), *(words(language) for language in _ABOUT)]
    for file, text in zip(made, texts, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return made


def template() -> str:
    """Return the ADMX: keys and values, no words."""
    categories = "\n".join(
        f'<category name="{section}" displayName="$(string.{section})"><parentCategory ref="Agent"/>'
        "</category>"
        for section in config.SECTIONS
    )
    policies = "\n".join(_policy(section, key) for section, key in _all())
    return f"""<?xml version="1.0" encoding="utf-8"?>
<policyDefinitions xmlns="http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"
    revision="1.0" schemaVersion="1.0">
<policyNamespaces>
<target prefix="hca" namespace="{_NAMESPACE}"/>
<using prefix="windows" namespace="Microsoft.Policies.Windows"/>
</policyNamespaces>
<resources minRequiredRevision="1.0"/>
<categories>
<category name="Agent" displayName="$(string.Agent)" explainText="$(string.Agent_Explain)"/>
{categories}
</categories>
<policies>
{policies}
</policies>
</policyDefinitions>
"""


def words(language: str) -> str:
    """Return the ADML of a language: its words, and how the values are asked."""
    chinese = language == "zh-TW"
    strings = [("Agent", _TITLE), ("Agent_Explain", _ABOUT[language])]
    for section in config.SECTIONS:
        zh, en = SECTIONS[section]
        strings.append((section, zh if chinese else en))
    presentations = []
    for section, key in _all():
        name, full = _name(section, key.name), f"{section}.{key.name}"
        zh = KEYS[full]
        english = _explained(section, key.name)
        strings.append((name, f"{zh}（{full}）" if chinese else full))
        strings.append((f"{name}_Explain", f"{zh}。\n{english}" if chinese else english))
        presentations.append(f'<presentation id="{name}">{_asked(key, full)}</presentation>')
    table = "\n".join(f"<string id={quoteattr(each)}>{escape(text)}</string>" for each, text in strings)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<policyDefinitionResources xmlns="http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"
    revision="1.0" schemaVersion="1.0">
<displayName>{_TITLE}</displayName>
<description>{escape(_ABOUT[language])}</description>
<resources>
<stringTable>
{table}
</stringTable>
<presentationTable>
{"".join(presentations)}
</presentationTable>
</resources>
</policyDefinitionResources>
"""


def _all() -> Iterator[tuple[str, Field[Any]]]:
    for section, kind in config.SECTIONS.items():
        for key in fields(kind):
            yield section, key


def _name(section: str, key: str) -> str:
    return f"{section}_{key}"


def _policy(section: str, key: Field[Any]) -> str:
    name, place = _name(section, key.name), rf"{KEY}\{section}"
    begun = (
        f'<policy name="{name}" class="Machine" displayName="$(string.{name})"'
        f' explainText="$(string.{name}_Explain)" presentation="$(presentation.{name})"'
        f" key={quoteattr(place)}"
    )
    category = f'<parentCategory ref="{section}"/><supportedOn ref="windows:SUPPORTED_Windows_10_0"/>'
    value = f'id="value" valueName="{key.name}"'
    match _kind(key):
        case "bool":
            return (
                f'{begun} valueName="{key.name}">{category}<enabledValue><decimal value="1"/></enabledValue>'
                '<disabledValue><decimal value="0"/></disabledValue></policy>'
            )
        case "int":
            element = f'<decimal {value} required="true" minValue="0" maxValue="1048576"/>'
        case "str":
            element = f'<text {value} required="true" maxLength="1000"/>'
        case _:
            element = f"<multiText {value}/>"
    return f"{begun}>{category}<elements>{element}</elements></policy>"


def _asked(key: Field[Any], full: str) -> str:
    match _kind(key):
        case "bool":
            return ""
        case "int":
            default = key.default if key.default is not MISSING else 0
            return f'<decimalTextBox refId="value" defaultValue="{default}">{full}</decimalTextBox>'
        case "str":
            return f'<textBox refId="value"><label>{full}</label></textBox>'
        case _:
            return f'<multiTextBox refId="value">{full}</multiTextBox>'


def _kind(key: Field[Any]) -> str:
    kind = str(key.type)
    return kind if kind in ("bool", "int", "str") else "list"


def _explained(section: str, key: str) -> str:
    """Return what the dataclass says of a field under `Attributes:`."""
    text = inspect.getdoc(config.SECTIONS[section]) or ""
    found = re.search(rf"^    {key}: (.*(?:\n {{8,}}.*)*)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"the dataclass of [{section}] does not explain {key}")
    return re.sub(r"\s+", " ", found[1])
