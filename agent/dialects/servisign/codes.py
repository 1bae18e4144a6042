"""The numbers that pages know: 61xxx of the framework, the PKCS#11 order (9xxx) and 5xxx of the libraries.

Numbers of troubles with cards, readers, PINs and consent come from the one table in `agent.errors`; here are
only those that arise inside this dialect, in the arguments of a call.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

# Of the framework: these come back as the text of `result`, whatever the function.
BAD_PARAMETER: Final = 61005
BUSY: Final = 61010
UNKNOWN_SESSION: Final = 61012
UNKNOWN_FUNCTION: Final = 61013
NOT_AUTHORISED: Final = 61908


class LibraryCode(IntEnum):
    """Of the libraries: fetched by the page with ATL_GetErrorCode or GetErrorCode."""

    OK = 0
    NOT_SUPPORTED = 5004
    PARAMETER = 5005
    HANDLE = 5006
    BASE64 = 5008
    CERTIFICATE_NOT_FOUND = 5010
    CERTIFICATE_SIGNATURE = 5016
    CRL_SIGNATURE = 5032
    FORMAT = 5040
    OBJECT_NOT_FOUND = 5050
    BAD_CERTIFICATE = 5060
    ACCESS_DENIED = 5906
    DATA_LENGTH = 9015
    ENCRYPTED_DATA_LENGTH = 9020
    KEY_HANDLE = 9024
    KEY_SIZE = 9025
    KEY_TYPE = 9026
    KEY_NOT_PERMITTED = 9031
    MECHANISM = 9034
    MECHANISM_PARAMETER = 9035
    NOT_INITIALISED = 9038
    PIN_INVALID = 9040
    PIN_LENGTH = 9041
    SESSION_HANDLE = 9046
    SIGNATURE_INVALID = 9052
    TOKEN_NOT_PRESENT = 9056
    OBJECT_MISSING = 9100


class FrameworkError(Exception):
    """The call did not get as far as a library function. `code` is one of 61001 to 61998."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class LibraryError(Exception):
    """A library function refuses its arguments. `code` is what GetErrorCode will say."""

    def __init__(self, code: LibraryCode) -> None:
        super().__init__(code.name)
        self.code = int(code)
