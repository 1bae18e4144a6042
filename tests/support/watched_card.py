"""A program beside a real pcscd: holds a card into the first reader, watches, and tells what it sees.

It reads `remove`, `insert` and `quit`, a line each, and writes one line of JSON for everything its
`ReaderWatcher` tells: {"present": {reader: bool}, "descriptors": n, "threads": n}.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence

import psutil

from pcsc.context import ReaderState
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from pcsc.watcher import ReaderWatcher
from tests.support.plain_card import PlainCard


def tell(states: Sequence[ReaderState]) -> None:
    process = psutil.Process()
    line = {
        "present": {state.name: state.present for state in states},
        "descriptors": process.num_handles() if sys.platform == "win32" else process.num_fds(),
        "threads": process.num_threads(),
    }
    print(json.dumps(line), flush=True)  # noqa: T201


def main() -> None:
    client = VpcdClient(PlainCard())
    serving = threading.Thread(target=client.run)
    serving.start()
    watcher = ReaderWatcher(Service.system(), tell)
    watcher.start()
    for line in sys.stdin:
        match line.strip():
            case "remove":
                client.remove()
            case "insert":
                client.insert()
            case "quit":
                break
    watcher.stop()
    client.stop()
    serving.join()


if __name__ == "__main__":
    main()
