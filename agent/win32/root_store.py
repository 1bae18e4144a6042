"""The machine's root store on Windows, which administrators change without being asked (CryptoAPI)."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

if sys.platform == "win32":
    import hashlib
    import winreg
    from collections.abc import Iterator
    from contextlib import contextmanager
    from ctypes import wintypes

    # wincrypt.h
    _SYSTEM_STORE: Final = 10
    _LOCAL_MACHINE: Final = 0x00020000
    _OPEN_EXISTING: Final = 0x00004000
    _READ_ONLY: Final = 0x00008000
    _X509: Final = 1
    _REPLACE: Final = 3
    _REGISTRY: Final = r"Software\Microsoft\SystemCertificates\Root\Certificates"

    class _Certificate(ctypes.Structure):
        _fields_ = (
            ("encoding", wintypes.DWORD),
            ("der", ctypes.POINTER(ctypes.c_char)),
            ("length", wintypes.DWORD),
            ("info", ctypes.c_void_p),
            ("store", ctypes.c_void_p),
        )

    _crypt32 = ctypes.WinDLL("crypt32", use_last_error=True)
    _certificate = ctypes.POINTER(_Certificate)
    _crypt32.CertOpenStore.restype = ctypes.c_void_p
    _crypt32.CertOpenStore.argtypes = (
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.LPCWSTR,
    )
    _crypt32.CertCloseStore.argtypes = (ctypes.c_void_p, wintypes.DWORD)
    _crypt32.CertEnumCertificatesInStore.restype = _certificate
    _crypt32.CertEnumCertificatesInStore.argtypes = (ctypes.c_void_p, _certificate)
    _crypt32.CertDuplicateCertificateContext.restype = _certificate
    _crypt32.CertDuplicateCertificateContext.argtypes = (_certificate,)
    _crypt32.CertDeleteCertificateFromStore.argtypes = (_certificate,)
    _crypt32.CertAddEncodedCertificateToStore.argtypes = (
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.c_char_p,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.c_void_p,
    )

    def roots() -> tuple[bytes, ...]:
        """Every certificate of the store, DER.

        Raises:
            OSError: it cannot be opened.
        """
        with _store(_READ_ONLY) as store:
            return tuple(der for _, der in _each(store))

    def add(der: bytes) -> None:
        """Add a certificate; one that is there stays.

        Raises:
            OSError: this process has not the right.
        """
        with _store(0) as store:
            done = _crypt32.CertAddEncodedCertificateToStore(store, _X509, der, len(der), _REPLACE, None)
            if not done:
                raise ctypes.WinError(ctypes.get_last_error())

    def delete(der: bytes) -> None:
        """Delete a certificate, if it is there.

        Raises:
            OSError: this process has not the right.
        """
        with _store(0) as store:
            wanted = [
                _crypt32.CertDuplicateCertificateContext(each) for each, found in _each(store) if found == der
            ]
            for each in wanted:  # deleting frees it, whatever comes of it
                if not _crypt32.CertDeleteCertificateFromStore(each):
                    raise ctypes.WinError(ctypes.get_last_error())
        if der in roots():
            # Wine forgets to write what was deleted.
            name = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
            winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, rf"{_REGISTRY}\{name}")

    @contextmanager
    def _store(how: int) -> Iterator[int]:
        store = _crypt32.CertOpenStore(_SYSTEM_STORE, 0, None, _LOCAL_MACHINE | _OPEN_EXISTING | how, "Root")
        if not store:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            yield store
        finally:
            _crypt32.CertCloseStore(store, 0)

    def _each(store: int) -> Iterator[tuple[ctypes._Pointer[_Certificate], bytes]]:
        each = _crypt32.CertEnumCertificatesInStore(store, None)
        while each:
            content = each.contents
            if content.encoding & _X509:
                yield each, ctypes.string_at(content.der, content.length)
            each = _crypt32.CertEnumCertificatesInStore(store, each)

else:

    def roots() -> tuple[bytes, ...]:
        """Every certificate of the store, DER; read on Windows alone."""
        raise OSError(f"not on {sys.platform}")

    def add(der: bytes) -> None:
        """Add a certificate; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {len(der)} bytes")

    def delete(der: bytes) -> None:
        """Delete a certificate; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {len(der)} bytes")
