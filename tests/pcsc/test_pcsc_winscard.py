"""Numbers that the platforms' headers define each in their own way."""

from __future__ import annotations

import pytest

from pcsc.winscard import control_code


@pytest.mark.parametrize(
    ("platform", "code"), [("linux", 0x42000D48), ("darwin", 0x42000D48), ("win32", 0x00313520)]
)
def test_the_reader_is_asked_for_its_features_by_the_platforms_number(
    platform: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10 §2.2): 3400 in pcsc-lite's reader.h and in winsmcrd.h."""
    monkeypatch.setattr("sys.platform", platform)
    assert control_code(3400) == code
