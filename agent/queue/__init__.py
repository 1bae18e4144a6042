"""The record queue: records of a hospital system wait here for the person who has to sign them.

    intake.py    watched folders: each file is taken in exactly once
    records.py   the journal: every record, its octets, its state and its signatures
    service.py   signs what waits in sessions of the right card, and with the institution's at the deadline

A record is what somebody wants signed, and by when. Nothing here sees a PIN: people open signing sessions.
"""

from agent.queue.model import Counts, Order, Record, RecordState, Signature
from agent.queue.records import Records
from agent.queue.service import RecordQueue, open_queue, words_for

__all__ = [
    "Counts",
    "Order",
    "Record",
    "RecordQueue",
    "RecordState",
    "Records",
    "Signature",
    "open_queue",
    "words_for",
]
