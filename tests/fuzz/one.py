"""One target in this process: `python -m tests.fuzz.one TARGET [FOLDER…] [-option=value…]`, as libFuzzer."""

from __future__ import annotations

import logging
import sys
import warnings


def main() -> None:
    import atheris

    name = sys.argv.pop(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    # Not the simulated cards: what they do is none of the reader's paths.
    with atheris.instrument_imports(
        include=["hca_card", "signing", "agent", "pcsc", "asn1crypto"],
        exclude=["hca_card.simulator", "pcsc.virtual"],
    ):
        target(b"")  # imports what it needs, before the clock runs
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
