"""Signatures and what is built from them: PKCS#1, verification, encryption, the login token."""
