"""What fuzzing found, and the seeds it began with, replayed: every input is taken or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(file for file in CORPUS.rglob("*") if file.is_file())


def test_every_folder_of_the_corpus_is_a_target_and_every_target_has_seeds() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_its_inputs_are_taken_or_refused_in_words(target: str) -> None:
    for file in INPUTS:
        if file.parent.name == target:
            TARGETS[target](file.read_bytes())
