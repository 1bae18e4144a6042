"""Fuzzing: every reader of bytes that somebody else wrote, each a target.

`targets.py` has the targets, `corpus/` small seeds and what was found, which `test_corpus.py` replays in
every run of the tests; `python -m tests.fuzz` looks for more.
"""
