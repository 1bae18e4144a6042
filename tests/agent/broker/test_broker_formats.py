"""Every format and packaging goes to a card elsewhere and comes back as what was asked for."""

from __future__ import annotations

import json
from pathlib import Path

from agent.audit import AuditLog
from agent.batch.choice import Choice
from agent.broker.submit import RemoteCards, Submission
from agent.config import AuditSettings
from signing.formats import SignatureFormat
from tests.agent.broker.test_broker_submit import at, world_of
from tests.support.brokers import BATCH, working
from tests.support.medical_records import RECORD
from tests.support.nats_server import NatsServer
from tests.support.pdfs import pdf

XML = b"<record><patient>x</patient></record>"
RESOURCE = json.dumps({"resourceType": "Observation", "id": "1", "status": "final"}).encode()
F = SignatureFormat
CHOICES = [
    (Choice(F.CADES), b"text"),
    (Choice(F.CADES, detached=False), b"text"),
    (Choice(F.CMS), b"text"),
    (Choice(F.CMS, detached=True), b"text"),
    (Choice(F.PKCS1), b"text"),
    (Choice(F.XADES), XML),
    (Choice(F.XADES, detached=True), XML),
    (Choice(F.XADES, enveloping=True), XML),
    (Choice(F.XMLDSIG), XML),
    (Choice(F.EMR), RECORD),
    (Choice(F.PADES), pdf("a page")),
    (Choice(F.JWS), b"text"),
    (Choice(F.JWS, detached=True, serialization="json"), b"text"),
    (Choice(F.FHIR), RESOURCE),
    (Choice(F.FHIR, serialization="xml"), RESOURCE),
]


async def test_every_format_comes_back_and_is_believed(tmp_path: Path, server: NatsServer) -> None:
    async with (
        world_of(tmp_path, "hpc") as world,
        working(world, server.settings) as at_work,
        at(server) as broker,
    ):
        audit = AuditLog(tmp_path / "audit.jsonl", AuditSettings())
        async with RemoteCards(
            broker, Submission(BATCH), [at_work.card], lambda _zh, _en: None, audit
        ) as remote:
            for number, (choice, document) in enumerate(CHOICES, 1):
                made = await remote.make(number, choice, document, "record")
                assert made.content != document
    assert at_work.worker.signed == len(CHOICES)
