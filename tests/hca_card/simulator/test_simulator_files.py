"""SELECT and READ BINARY, as literal APDUs."""

from __future__ import annotations

import pytest

from hca_card.simulator import SimulatedCard
from tests.support.cards import play, say, simulated


@pytest.fixture
def card() -> SimulatedCard:
    return simulated("hpc")


def test_selecting_the_hca_application_names_kind_rank_and_number(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 A4 04 00 0A F0 48 43 41 41 47 45 4E 54 01 00
        < 6F 27 84 0A F0 48 43 41 41 47 45 4E 54 01 50 08 48 43 41 20 63 61 72 64 53 0F 32 31 31 30 30 30 30 30 30 33 33 35 33 36 31 90 00
        > 00 A4 04 0C 0A F0 48 43 41 41 47 45 4E 54 01        no answer wanted
        < 90 00
        > 00 A4 04 00 0A F0 48 43 41 41 47 45 4E 54 02 00     another AID
        < 6A 82
        > 00 A4 04 02 0A F0 48 43 41 41 47 45 4E 54 01 00     a second application of that name
        < 6A 82
        """,  # noqa: E501 - one APDU, one line
    )


def test_opensc_finds_the_applet_version_it_knows(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 A4 04 00 0C F2 76 A2 88 BC FB A6 9D 34 F3 10 01 00
        < 00 06 00 90 00
        > 00 A4 04 00 0C F2 76 A2 88 BC FB A6 9D 34 F3 10 01    Java Cards send data without Le under T=1
        < 00 06 00 90 00
        """,
    )


def test_files_are_found_by_identifier_by_path_and_relative_to_the_current_df(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 A4 00 00 02 3F 00 00                MF
        < 6F 0A 82 01 38 83 02 3F 00 8A 01 05 90 00
        > 00 A4 00 00 00                         MF, by no identifier
        < 6F ... 90 00
        > 00 A4 00 00 02 2F 00 00                EF.DIR with its size and short identifier
        < 6F 11 80 02 ... 82 01 01 83 02 2F 00 88 01 F0 8A 01 05 90 00
        > 00 A4 00 04 02 2F 00 00                FCP
        < 62 11 ... 90 00
        > 00 A4 08 00 04 50 15 45 04 00          path from the MF
        < 6F 11 80 02 00 18 82 01 01 83 02 45 04 88 01 20 8A 01 05 90 00
        > 00 A4 08 0C 06 3F 00 50 15 45 04       the same, MF named
        < 90 00
        > 00 A4 02 0C 02 45 03                   EF under the DF that is now current
        < 90 00
        > 00 A4 09 0C 02 45 04                   path from the current DF
        < 90 00
        > 00 A4 03 0C                            parent
        < 90 00
        > 00 A4 01 0C 02 50 15                   child DF
        < 90 00
        > 00 A4 01 0C 02 45 04                   which an EF is not
        < 6A 82
        > 00 A4 00 0C 02 2F 00                   beside the current DF
        < 90 00
        > 00 A4 03 0C                            above the MF
        < 6A 82
        > 00 A4 08 0C 06 50 15 45 04 45 04       a path through an EF
        < 6A 82
        > 00 A4 08 0C 03 50 15 45                half an identifier
        < 6A 87
        > 00 A4 05 0C 02 50 15                   no such way to select
        < 6A 86
        """,
    )


def test_a_selection_that_fails_leaves_the_current_file_alone(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 A4 08 0C 04 50 15 45 04
        < 90 00
        > 00 A4 08 0C 04 50 15 99 99
        < 6A 82
        > 00 B0 00 00 01
        < 31 90 00
        """,
    )


def test_reading_follows_le_and_the_end_of_the_file(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 B0 00 00 00                         no current EF
        < 69 86
        > 00 A4 08 0C 04 50 15 45 04
        < 90 00
        > 00 B0 00 00 00                         all there is
        < 31 31 31 32 30 36 32 38 31 31 32 30 36 32 38 31 32 32 30 36 32 38 31 30 90 00
        > 00 B0 00 16 02
        < 31 30 90 00
        > 00 B0 00 16 05                         less than was asked for
        < 31 30 62 82
        > 00 B0 00 18 01                         past the end
        < 6B 00
        > 00 B0 00 00                            no Le
        < 67 00
        > 00 B0 00 00 00 00 00                   extended: all there is
        < 31 ... 90 00
        > 00 B0 00 00 00 00 18
        < 31 ... 90 00
        """,
    )


def test_a_short_identifier_reads_under_the_current_df_and_makes_its_file_current(
    card: SimulatedCard,
) -> None:
    play(
        card,
        """
        > 00 B0 84 00 01                         no such file under the MF
        < 6A 82
        > 00 A4 08 0C 02 50 15
        < 90 00
        > 00 B0 84 00 01
        < 31 90 00
        > 00 B0 00 01 07                         the issue date, of what is now the current EF
        < 31 31 32 30 36 32 38 90 00
        > 00 B0 E4 00 01                         reserved bits
        < 6A 86
        """,
    )


def test_extended_length_reads_a_whole_certificate_at_once_and_short_length_in_pieces(
    card: SimulatedCard,
) -> None:
    say(card, "00 A4 08 0C 02 50 15")
    whole = say(card, "00 B0 8B 00 00 00 00")
    assert whole[-2:] == b"\x90\x00"
    assert int.from_bytes(whole[2:4], "big") + 4 == len(whole) - 2
    pieces = b""
    while (piece := say(card, f"00 B0 {len(pieces) >> 8:02X} {len(pieces) & 255:02X} 00"))[
        -2:
    ] == b"\x90\x00":
        pieces += piece[:-2]
    assert pieces == whole[:-2]
    assert piece == b"\x6b\x00"


def test_a_reset_forgets_what_was_selected(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 A4 08 0C 04 50 15 45 04
        < 90 00
        reset
        > 00 B0 00 00 00
        < 69 86
        > 00 B0 84 00 00
        < 6A 82
        """,
    )
