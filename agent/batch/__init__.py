"""A declared batch: many documents, one consent that lists them, one PIN for each card.

`choice.py` says how one document is signed, `listing.py` and `manifest.py` what a batch is of, `files.py`
keeps a batch of files in its journal, `engine.py` signs, whatever the documents come from.
"""
