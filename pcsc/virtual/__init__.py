"""Readers and cards that exist in this process only, behind the same functions as the system's PC/SC."""

from pcsc.virtual.keypad import KeypadPrompt
from pcsc.virtual.readers import VirtualReader
from pcsc.virtual.winscard import VirtualWinscard

__all__ = ["KeypadPrompt", "VirtualReader", "VirtualWinscard"]
