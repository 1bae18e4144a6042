"""A registry in memory, with what our code uses of `winreg`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Value = tuple[object, int]
Place = tuple[str, str]


@dataclass
class MemoryRegistry:
    """Keys by root and path; case counts, which Windows would not mind.

    Attributes:
        keys: the values of each key.
    """

    keys: dict[Place, dict[str, Value]] = field(default_factory=dict)

    HKEY_LOCAL_MACHINE = "HKLM"
    HKEY_CURRENT_USER = "HKCU"
    KEY_READ, KEY_WRITE, KEY_SET_VALUE, KEY_WOW64_64KEY, KEY_WOW64_32KEY = 1, 2, 4, 8, 16
    REG_SZ, REG_DWORD, REG_MULTI_SZ = 1, 4, 7

    def put(self, root: str, path: str, name: str, value: object) -> None:
        """Set a value as somebody else would."""
        kind = {str: self.REG_SZ, int: self.REG_DWORD, list: self.REG_MULTI_SZ}[type(value)]
        with self.CreateKeyEx(root, path, 0, 0) as key:
            self.keys[key][name] = (value, kind)

    @contextmanager
    def OpenKey(self, root: str | Place, path: str, _reserved: int = 0, access: int = 1) -> Iterator[Place]:
        if isinstance(root, tuple):
            root, path = root[0], rf"{root[1]}\{path}"
        if access & self.KEY_WOW64_32KEY or (not self._below(root, path) and (root, path) not in self.keys):
            raise FileNotFoundError(2, path)
        yield root, path

    @contextmanager
    def CreateKeyEx(self, root: str, path: str, _reserved: int, _access: int) -> Iterator[Place]:
        parts = path.split("\\")
        for count in range(1, len(parts) + 1):
            self.keys.setdefault((root, "\\".join(parts[:count])), {})
        yield root, path

    def QueryInfoKey(self, key: Place) -> tuple[int, int, int]:
        return len(self._below(*key)), len(self.keys.get(key, {})), 0

    def EnumKey(self, key: Place, number: int) -> str:
        return self._below(*key)[number]

    def EnumValue(self, key: Place, number: int) -> tuple[str, object, int]:
        name, (value, kind) = list(self.keys[key].items())[number]
        return name, value, kind

    def QueryValueEx(self, key: Place, name: str) -> Value:
        if name not in self.keys.get(key, {}):
            raise FileNotFoundError(2, name)
        return self.keys[key][name]

    def SetValueEx(self, key: Place, name: str, _reserved: int, kind: int, value: object) -> None:
        self.keys[key][name] = (value, kind)

    def DeleteValue(self, key: Place, name: str) -> None:
        if name not in self.keys[key]:
            raise FileNotFoundError(2, name)
        del self.keys[key][name]

    def DeleteKeyEx(self, root: str, path: str, _access: int) -> None:
        assert not self._below(root, path), path
        del self.keys[root, path]

    def _below(self, root: str, path: str) -> list[str]:
        start = path + "\\"
        names = (
            each[len(start) :].split("\\")[0]
            for at, each in self.keys
            if at == root and each.startswith(start)
        )
        return list(dict.fromkeys(names))
