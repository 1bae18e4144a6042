"""The table of errors: stable id, both sentences, what to do next, and the number each dialect gives.

A row is found by its id and an id never changes its meaning. `servisign` is the library or framework number
of docs/servisign.md; `jsonrpc` the family of JSON-RPC 2.0 §5.1 (programs tell errors apart by the id). Words
follow the portals' own: 醫事人員卡, PIN 碼, 一般讀卡機.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.errors.row import ErrorRow, JsonRpc
from agent.errors.rows.card import CARD_ROWS
from agent.errors.rows.certificate import CERTIFICATE_ROWS
from agent.errors.rows.data import DATA_ROWS
from agent.errors.rows.machine import MACHINE_ROWS
from agent.errors.rows.modules import MODULE_ROWS
from agent.errors.rows.nhi import NHI_ROWS
from agent.errors.rows.outside import OUTSIDE_ROWS
from agent.errors.rows.permission import PERMISSION_ROWS
from agent.errors.rows.pin import PIN_ROWS
from agent.errors.rows.reader import READER_ROWS
from agent.errors.rows.request import REQUEST_ROWS
from agent.errors.rows.setup import SETUP_ROWS
from agent.errors.rows.trust import TRUST_ROWS
from agent.errors.rows.update import UPDATE_ROWS

__all__ = ["TABLE", "ErrorRow", "JsonRpc"]

TABLE: Final[Mapping[str, ErrorRow]] = MappingProxyType(
    {
        row.id: row
        for rows in (
            READER_ROWS,
            CARD_ROWS,
            PIN_ROWS,
            PERMISSION_ROWS,
            DATA_ROWS,
            CERTIFICATE_ROWS,
            REQUEST_ROWS,
            SETUP_ROWS,
            MACHINE_ROWS,
            MODULE_ROWS,
            OUTSIDE_ROWS,
            NHI_ROWS,
            UPDATE_ROWS,
            TRUST_ROWS,
        )
        for row in rows
    }
)
