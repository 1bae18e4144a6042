"""Decompression of what a card holds has an end."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from hca_card.errors import CardDataError
from hca_card.inflate import inflate

TEXT = b"certificate" * 20
RAW = zlib.compressobj(wbits=-15)
FORMS = {
    "zlib": zlib.compress(TEXT),
    "gzip": gzip.compress(TEXT),
    "deflate": RAW.compress(TEXT) + RAW.flush(),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read_with_the_padding_of_its_file(form: str):
    for padding in (b"", bytes(30), b"\xff" * 30):
        assert inflate(FORMS[form] + padding, form, 1000) == TEXT
        assert inflate(FORMS[form] + padding, form, len(TEXT)) == TEXT


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_what_is_cut_or_no_compression_is_refused(form: str, cut: int):
    with pytest.raises(CardDataError):
        inflate(FORMS[form][:cut], form, 1000)
    with pytest.raises(CardDataError):
        inflate(b"\x30\x82\x01\x00", form, 1000)


def test_a_bomb_is_left_at_the_limit():
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(CardDataError, match="more than 220 bytes"):
        inflate(zlib.compress(TEXT + b"!"), "zlib", len(TEXT))
    tracemalloc.start()
    with pytest.raises(CardDataError, match="more than 32768 bytes"):
        inflate(bomb, "zlib", 32768)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
