"""The self-test (環境檢測): the rows of the HCA check page, and what the help desk would ask next.

A `Probe` is one row to be; `run` streams finished `ResultRow`s; the reports and `schema` show them.
"""

from __future__ import annotations
