"""What decoders raise at bytes that are not what they should be."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""For `except`: everything that msgspec raises at input.

Its own errors alone are not enough: invalid UTF-8 and lone surrogates are a `UnicodeError`, which is a
`ValueError`, and deep nesting is a `RecursionError`.
"""
