"""A program as others write it: OpenSC's PKCS#11 module, driven by python-pkcs11, in a process of its own.

python -m tests.bench.opensc_peer MODULE

For each line on its standard input it logs in, signs once and logs out, and says how many seconds that took.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any, Final

import pkcs11

from tests.bench.cards import PIN

_DOCUMENT: Final = b"a document"
_BITS: Final = 2048


def main() -> None:
    # The card has a token for each of its PINs; the first one's is the signature key's.
    token = next(iter(pkcs11.lib(sys.argv[1]).get_tokens()))
    for _line in sys.stdin:
        began = perf_counter()
        signature = _sign(token)
        seconds = perf_counter() - began
        if len(signature) != _BITS // 8:
            raise RuntimeError("that is no signature")
        print(seconds, flush=True)  # noqa: T201


def _sign(token: Any) -> bytes:
    with token.open(user_pin=PIN) as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=b"\x01")
        return bytes(key.sign(_DOCUMENT, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))


if __name__ == "__main__":
    main()
