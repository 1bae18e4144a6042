"""The example of a policy file that packages bring: every key of the guide, with a comment each."""

from __future__ import annotations

import re
from typing import Final

ROW: Final = re.compile(r"^\| `(\w+)\.(\w+)`( ★)? \| `([^`]*)` \| (\S.*) \|$", re.MULTILINE)
NONE: Final = {
    ("queue", "results"): '"/srv/emr/signed"',
    ("update", "url"): '"https://updates.example.tw/hca-agent/"',
    ("update", "root"): '"/etc/hca-agent/update-root.json"',
    ("update", "install_command"): '["/usr/bin/apt-get", "install", "-y", "{file}"]',
}
"""What stands for a default that is none and cannot be written."""

_HEAD: Final = """\
# What the administrator of this machine decides for every user of HCA Card Agent: copy it to
# /etc/hca-agent/policy.toml and take the # away from what you decide. Each key here wins over the same key of
# a user's config.toml; what is left out is the user's, or has the value shown, which is the default (but for
# keys whose default is none). ★ stands in the administrator's file or nowhere.
#
# 管理者的設定範例：複製到 /etc/hca-agent/policy.toml，把要決定的鍵前面的 # 拿掉；
# 其餘是使用者的設定，或這裡所寫的預設值。★ 只能寫在管理者的檔案裡。
"""


def example(guide: str) -> str:
    """Return the file.

    Args:
        guide: docs/it-guide.md, whose table of keys the tests hold against the program.
    """
    parts, last = [_HEAD], ""
    for section, key, star, default, meaning in ROW.findall(guide):
        if section != last:
            parts.append(f"\n[{section}]\n")
            last = section
        lines = meaning.replace("`", "").split(" · ", 1)
        lines[0] = f"★ {lines[0]}" if star else lines[0]
        parts += [f"# {line}\n" for line in lines]
        parts.append(f"# {key} = {NONE.get((section, key), default)}\n")
    return "".join(parts)
