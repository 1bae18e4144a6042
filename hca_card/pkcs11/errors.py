"""What can go wrong between this program and a PKCS#11 module; the module is the link to its cards."""

from __future__ import annotations

from pcsc.errors import PcscError


class ModuleError(PcscError):
    """The PKCS#11 module refused or failed; `code` is its return value (CKR_…)."""

    error_id = "module.failed"


class ModuleCrashedError(ModuleError):
    """The PKCS#11 module crashed in the middle of the work."""

    error_id = "module.crashed"


class ModuleTimeoutError(ModuleError):
    """The PKCS#11 module did not answer in time, and was ended."""

    error_id = "module.timeout"


class ModuleUnusableError(ModuleError):
    """The file is missing, or no PKCS#11 module that this program can load."""

    error_id = "module.unusable"


class ModuleUnsafeError(ModuleError):
    """Others than the administrator and this user can change the module's file."""

    error_id = "module.unsafe"
