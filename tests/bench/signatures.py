"""What verifying an archive takes: 200 CMS signatures with their chains, beside what else would do it.

The peer is the least that answers the same question by asn1crypto and cryptography alone;
`openssl cms -verify` is what a script would call for each file.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from asn1crypto import cms, tsp  # noqa: F401  (tsp adds its names to cms's tables)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from signing.formats.cades import Cades
from signing.formats.pades import Pades
from signing.hashes import Hash
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import Verdict
from tests.bench.tables import Table, interleaved, milliseconds, ratio, timed
from tests.support.openssl import openssl_program
from tests.support.test_pki import NOW, SIGNERS, pki, sign_with

FILES: Final = 200
LIBRARIES_BOUND: Final = 1.3
OPENSSL_BOUND: Final = 5.0
MEMORY_BOUND: Final = 5.0
"""Times the file: it, what of it is decoded, and this program itself."""
_PROCESSES: Final = 20


def verifying(rounds: int) -> Table:
    """Measure all of them, in turn."""
    messages = [_message(number) for number in range(FILES)]
    root = pki().root
    ours, libraries = interleaved(
        rounds,
        lambda: _processor(lambda: _ours(messages, root)),
        lambda: _processor(lambda: _libraries(messages, root)),
    )
    with tempfile.TemporaryDirectory() as folder:
        mine = timed(lambda: _ours(messages, root)) / FILES
        openssl = timed(lambda: _openssl(messages[:_PROCESSES], root, Path(folder))) / _PROCESSES
    table = Table(
        f"Verifying {FILES} CMS signatures with their chain, each (median of {rounds})",
        ("with", "time", "ratio"),
        [
            ("this program, one process", milliseconds(ours / FILES), ratio(1)),
            ("asn1crypto and cryptography alone", milliseconds(libraries / FILES), ratio(ours / libraries)),
            ("openssl cms -verify, a process each", milliseconds(openssl), ratio(openssl / mine)),
        ],
    )
    if ours / libraries > LIBRARIES_BOUND:
        table.broken.append(f"it takes {ours / libraries:.2f} times what the libraries alone take")
    if openssl / mine < OPENSSL_BOUND:
        table.broken.append(f"openssl, process by process, takes only {openssl / mine:.1f} times as long")
    return table


def large_pdf(_rounds: int) -> Table:
    """Measure the memory of `hca-agent verify` over a signed PDF of 50 MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = folder / "large.pdf"
        # In a process of its own: what a parent once held counts as its child's memory.
        making = multiprocessing.get_context("spawn").Process(target=_make_large_pdf, args=(folder,))
        making.start()
        making.join()
        settings = '[certificates]\nroots = ["{root}"]\n[verification]\nrevocation = "preferred"\n'
        (folder / "config.toml").write_text(settings.format(root=folder / "root.der"))
        environment = os.environ | {"HCA_AGENT_HOME": name}
        command = [sys.executable, "-m", "agent", "verify", "--offline", str(document)]
        begin = perf_counter()
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        seconds, size = perf_counter() - begin, document.stat().st_size
    if running.returncode:
        raise AssertionError("a good signature was not taken for one")
    peak = used.ru_maxrss * 1024
    table = Table(
        "hca-agent verify of a large signed PDF",
        ("file", "time", "memory", "of the file"),
        [(f"{size / 1e6:.0f} MB", milliseconds(seconds), f"{peak / 1e6:.0f} MB", ratio(peak / size))],
    )
    if peak > MEMORY_BOUND * size:
        table.broken.append(f"it needs {peak / size:.1f} times the file")
    return table


def _make_large_pdf(folder: Path) -> None:
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

    writer = PdfFileWriter()
    content = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    page = PageObject(contents=content, media_box=(0, 0, 200, 200))
    writer.insert_page(page)
    for number in range(25):
        part = writer.add_object(generic.StreamObject(stream_data=os.urandom(2 * 1024 * 1024)))
        page[generic.NameObject(f"/Part{number}")] = part
    written = io.BytesIO()
    writer.write(written)
    ready = Pades().prepare(written.getvalue(), pki().signer(), Hash.SHA_256, NOW)
    (folder / "large.pdf").write_bytes(ready.finish(sign_with("rsa", ready.digest, ready.hash)))
    (folder / "root.der").write_bytes(pki().root)


def _message(number: int) -> bytes:
    form, document, label = Cades(detached=False), b"record %d " % number * 100, SIGNERS[number % 2]
    ready = form.prepare(document, pki().signer(label), Hash.SHA_256, NOW)
    return ready.finish(sign_with(label, ready.digest, Hash.SHA_256))


def _processor(work: Callable[[], None]) -> float:
    """The processor's time for it: what else runs on the machine is no part of a ratio."""
    begin = process_time()
    work()
    return process_time() - begin


def _ours(messages: list[bytes], root: bytes) -> None:
    trust = Trust(roots=(root,), hard=False)
    for message in messages:
        if judge(read(message), message, trust).verdict is not Verdict.REMARK:
            raise AssertionError("a good signature was not taken for one")


def _libraries(messages: list[bytes], root: bytes) -> None:
    anchor, now = x509.load_der_x509_certificate(root), datetime.now(UTC)
    for message in messages:
        signed = cms.ContentInfo.load(message)["content"]
        [signer] = signed["signer_infos"]
        content = signed["encap_content_info"]["content"].native
        known = [x509.load_der_x509_certificate(each.chosen.dump()) for each in signed["certificates"]]
        number = signer["sid"].chosen["serial_number"].native
        holder = next(each for each in known if each.serial_number == number)
        octets = b"\x31" + signer["signed_attrs"].dump()[1:]
        attributes = {each["type"].native: each["values"][0].native for each in signer["signed_attrs"]}
        named = attributes["signing_certificate_v2"]["certs"][0]["cert_hash"]
        if (
            attributes["message_digest"] != hashlib.sha256(content).digest()
            or attributes["content_type"] != "data"
            or named != holder.fingerprint(hashes.SHA256())
        ):
            raise AssertionError("the attributes are of something else")
        key, value = holder.public_key(), signer["signature"].native
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, octets, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(value, octets, ec.ECDSA(hashes.SHA256()))
        usage = holder.extensions.get_extension_for_class(x509.KeyUsage).value
        if not (usage.digital_signature or usage.content_commitment):
            raise AssertionError("the certificate is for something else")
        issuers = {each.subject: each for each in (*known, anchor)}
        at = holder
        while at.subject != anchor.subject:
            issuer = issuers[at.issuer]
            at.verify_directly_issued_by(issuer)
            if not at.not_valid_before_utc <= now <= at.not_valid_after_utc:
                raise AssertionError("a certificate is out of time")
            if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise AssertionError("the issuer is no authority")
            at = issuer


def _openssl(messages: list[bytes], root: bytes, folder: Path) -> None:
    (folder / "root.pem").write_bytes(x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM))
    for message in messages:
        (folder / "message.der").write_bytes(message)
        command = [openssl_program(), "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any"]
        command += ["-in", "message.der", "-CAfile", "root.pem", "-out", "content"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
