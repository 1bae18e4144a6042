"""Make the archives of this folder anew: `python -m tests.vectors.collect WYCHEPROOF PKITS GO BOTAN OPENSSL`.

Each argument is a folder of the sources that README.md names, unpacked. What no test reads is left out.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent

WYCHEPROOF: Final = re.compile(
    r"rsa_signature_(2048_sha(224|256|384|512)|3072_sha256)_test"
    r"|rsa_pss_(2048_(sha1_mgf1_20|sha256_mgf1(_0|_32|sha1_20)|sha384_mgf1_48)|3072_sha256_mgf1_32|misc)_test"
    r"|rsa_pss_(2048_(sha256_mgf1_(0|32)|sha512_mgf1sha256_32)|misc)_params_test"
    r"|ecdsa_secp(256r1_sha256|384r1_sha384|521r1_sha512)(_p1363)?_test"
    r"|json_web_(crypto|key|signature)_test"
    r"|rsa_pkcs1_2048_test|aes_(gcm|cbc_pkcs5)_test|ecdh_secp(256|384|521)r1_ecpoint_test"
)
_GOOD_POINTS: Final = 60
_GROUP: Final = ("sha", "mgfSha", "sLen", "publicKeyDer", "privateKeyPkcs8", "private", "public", "curve")
_TEST: Final = frozenset(
    ("tcId", "comment", "result", "flags", "msg", "sig", "jws", "ct", "key", "iv", "aad", "tag")
) | {"public", "private", "shared"}


def main(wycheproof: str, pkits: str, go: str, botan: str, openssl: str) -> None:
    """Write every archive."""
    vectors = {
        path.stem.removesuffix("_test"): list(_groups(json.loads(path.read_text("utf-8"))))
        for path in sorted(Path(wycheproof, "testvectors_v1").glob("*.json"))
        if WYCHEPROOF.fullmatch(path.stem)
    }
    (HERE / "wycheproof.json.xz").write_bytes(
        lzma.compress(json.dumps(vectors, separators=(",", ":")).encode(), preset=9 | lzma.PRESET_EXTREME)
    )
    _archive("pkits", _pkits(Path(pkits), Path(go)))
    _archive("botan", _botan(Path(botan, "src/tests/data/x509")))
    answers = sorted(path for path in Path(openssl).iterdir() if path.suffix in (".ors", ".pem"))
    _archive("openssl-ocsp", ((path.name, path.read_bytes()) for path in answers))


def _groups(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in whole["testGroups"]:
        kept = {name: group[name] for name in _GROUP if name in group}
        tests = [{name: value for name, value in test.items() if name in _TEST} for test in group["tests"]]
        if "shared" in tests[0]:  # good points try the arithmetic of whoever has the key, which is the card
            good = [test for test in tests if test["result"] == "valid"][:_GOOD_POINTS]
            tests = good + [test for test in tests if test["result"] != "valid"]
        yield kept | {"tests": tests}


def _pkits(folder: Path, go: Path) -> Iterator[tuple[str, bytes]]:
    cases = json.loads((go / "vectors.json").read_bytes())
    yield "cases.json", json.dumps(cases, separators=(",", ":")).encode()
    for kind in ("CertPath", "CRLPath"):
        names = sorted({name for case in cases for name in case[kind]})
        where = folder / ("certs" if kind == "CertPath" else "crls")
        yield from ((name, (where / name).read_bytes()) for name in names)
    for path in sorted((folder / "smime").glob("Signed*.eml")):
        document, signature = message_from_bytes(path.read_bytes()).get_payload()
        name = path.stem.removeprefix("Signed").lower()
        yield f"{name}.p7s", signature.get_payload(decode=True)
        yield f"{name}.txt", b"\r\n".join(document.as_bytes().splitlines()) + b"\r\n"


def _botan(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in ("bsi", "name_constraints"):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and path.suffix in (".crt", ".crl", ".pem", ".txt"):
                yield str(path.relative_to(folder)), path.read_bytes()


def _archive(name: str, files: Iterable[tuple[str, bytes]]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each, content in files:
            information = tarfile.TarInfo(each)
            information.size = len(content)
            archive.addfile(information, io.BytesIO(content))
    (HERE / f"{name}.tar.xz").write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(*sys.argv[1:])
