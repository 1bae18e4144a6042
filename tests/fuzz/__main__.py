"""Look for inputs that no reader must fall over: `python -m tests.fuzz [--seconds N] [TARGET…]`.

Each target runs in a process of its own under atheris, from the inputs in `corpus/`; what fails is kept there
as `found-…`, to be mended and replayed from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus"
HANG_SECONDS: Final = 60
"""By the clock, on a computer that may be busy with other things; what is slower than usual is no finding."""
MEGABYTES_MAX: Final = 1500
INPUT_BYTES_MAX: Final = 8192


def main() -> int:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"there is no target called {', '.join(sorted(unknown))}")
    failed = 0
    for name in options.targets or TARGETS:
        failed += not fuzz(name, options.seconds)
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> bool:
    """Run one target for so long; say whether it found nothing."""
    seeds = CORPUS / name
    with tempfile.TemporaryDirectory(prefix="hca-agent-fuzz-") as folder:
        place = Path(folder)
        (place / "grown").mkdir()
        (place / "found").mkdir()
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.one",
            name,
            str(place / "grown"),
            *([str(seeds)] if seeds.is_dir() else []),
            f"-max_total_time={seconds}",
            f"-timeout={HANG_SECONDS}",
            f"-report_slow_units={HANG_SECONDS}",
            f"-rss_limit_mb={MEGABYTES_MAX}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-artifact_prefix={place / 'found'}/",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
        runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        found = sorted((place / "found").iterdir())
        for each in found:
            seeds.mkdir(parents=True, exist_ok=True)
            content = each.read_bytes()
            target = seeds / f"found-{hashlib.sha256(content).hexdigest()[:12]}"
            target.write_bytes(content)
            say(f"✗ {name}: {target}\n{_why(done.stderr + done.stdout)}")
        clean = done.returncode == 0 and not found
        if not clean and not found:
            say(f"✗ {name}: ended with {done.returncode}\n{done.stderr[-2000:]}")
        took = time.monotonic() - began
        say(f"{'✓' if clean else '✗'} {name}: {''.join(runs[-1:]) or '?'} inputs in {took:.0f} s")
        return clean


def say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _why(told: str) -> str:
    """Return the exception of what a target told."""
    begin = told.rfind("=== Uncaught Python exception")
    return told[begin : begin + 3000] if begin >= 0 else told[-2000:]


if __name__ == "__main__":
    sys.exit(main())
