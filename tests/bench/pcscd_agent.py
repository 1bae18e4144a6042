"""An agent that is running already: signs once for each line on its standard input, and says so.

python -m tests.bench.pcscd_agent FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from agent.config import Config
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, open_operations
from agent.paths import Paths
from pcsc.service import Service
from signing.hashes import Hash

PIN: Final = "123456"
_MOST: Final = 1000


async def _serve(folder: Path) -> None:
    person = ScriptedInteraction(pins=[PIN] * _MOST)
    paths = Paths(folder, folder)
    async with open_operations(Service.system(), person, Config(), paths) as operations:
        while await asyncio.to_thread(sys.stdin.readline):
            await operations.sign(Caller(None, "bench"), Hash.SHA_256, document=b"a document")
            print("signed", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
