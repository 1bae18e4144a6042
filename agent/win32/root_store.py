"""The machine's root store on Windows, which administrators change without being asked (CryptoAPI)."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import hashlib
    import winreg
    from collections.abc import Iterator
    from contextlib import contextmanager
    from typing import Any

    import win32crypt
    import win32cryptcon as con

    from agent.win32.errors import as_os_errors

    _REGISTRY = r"Software\Microsoft\SystemCertificates\Root\Certificates"

    def roots() -> tuple[bytes, ...]:
        """Return every certificate of the store, DER.

        Raises:
            OSError: if it cannot be opened.
        """
        with _store(con.CERT_STORE_READONLY_FLAG) as store:
            return tuple(each.CertEncoded for each in _each(store))

    def add(der: bytes) -> None:
        """Add a certificate; one that is there stays.

        Raises:
            OSError: if this process has not the right.
        """
        with _store() as store:
            how = con.CERT_STORE_ADD_REPLACE_EXISTING
            store.CertAddEncodedCertificateToStore(con.X509_ASN_ENCODING, der, how)

    def delete(der: bytes) -> None:
        """Delete a certificate, if it is there.

        Raises:
            OSError: if this process has not the right.
        """
        with _store() as store:
            for each in [each for each in _each(store) if each.CertEncoded == der]:
                each.CertDeleteCertificateFromStore()
        if der in roots():
            # Wine forgets to write what was deleted.
            name = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
            winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, rf"{_REGISTRY}\{name}")

    @contextmanager
    def _store(how: int = 0) -> Iterator[Any]:
        place = con.CERT_SYSTEM_STORE_LOCAL_MACHINE | con.CERT_STORE_OPEN_EXISTING_FLAG
        with as_os_errors():
            store = win32crypt.CertOpenStore(con.CERT_STORE_PROV_SYSTEM, 0, None, place | how, "Root")
            try:
                yield store
            finally:
                store.CertCloseStore(0)

    def _each(store: Any) -> Iterator[Any]:
        return (
            each
            for each in store.CertEnumCertificatesInStore()
            if each.CertEncodingType & con.X509_ASN_ENCODING
        )

else:

    def roots() -> tuple[bytes, ...]:
        """Return every certificate of the store, DER; on Windows alone."""
        raise OSError(f"not on {sys.platform}")

    def add(der: bytes) -> None:
        """Add a certificate; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {len(der)} bytes")

    def delete(der: bytes) -> None:
        """Delete a certificate; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {len(der)} bytes")
