"""What is true of a signed document: one report for every format.

Each format has a reader in a module of its own here that takes the document apart and checks what only it
can: digests, signature values, what is covered, what was changed (`found.py`). Whose certificate it is, by
which chain, revoked or not, when and by whose clock, and the verdict are decided once, in `judge.py`, for all
of them; `report.py` is what a person, a page and a program get to read.
"""
