"""PKCS#11 modules: which are installed, whether they may be loaded, and which readers each serves.

A module that the administrator listed serves every slot in which it sees a token. A known one, found in its
standard place, serves only a reader whose card it is made for and in whose slot it sees a token; it is
loaded when there is such a card, and ended when there is none any more. A reader that a module serves is
not opened by our own drivers.
"""

from __future__ import annotations

from agent.pkcs11_modules.installed_modules import Modules, ModuleView
from agent.pkcs11_modules.served_readers import ServedReader

__all__ = ["ModuleView", "Modules", "ServedReader"]
