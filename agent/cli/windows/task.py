"""The task that renews the machine's certificate in time (Task Scheduler schema 1.2)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from agent.environment import Child, environment_of

NAME: Final = "HCA Card Agent certificate"  # in no folder, which would stay
_SECONDS: Final = 60.0
_XML: Final = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>更新本機憑證 · Renews the certificate of this computer</Description>
  </RegistrationInfo>
  <Triggers>
    <CalendarTrigger>
      <StartBoundary>2026-01-01T12:00:00</StartBoundary>
      <ScheduleByMonth>
        <DaysOfMonth><Day>1</Day></DaysOfMonth>
        <Months><January/><February/><March/><April/><May/><June/><July/><August/><September/><October/>
          <November/><December/></Months>
      </ScheduleByMonth>
    </CalendarTrigger>
  </Triggers>
  <Principals>
    <Principal id="System"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings>
    <StartWhenAvailable>true</StartWhenAvailable>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <ExecutionTimeLimit>PT10M</ExecutionTimeLimit>
  </Settings>
  <Actions Context="System">
    <Exec><Command>{command}</Command><Arguments>{arguments}</Arguments></Exec>
  </Actions>
</Task>
"""


def xml(command: Sequence[str]) -> str:
    """Return the task that runs `command` each month, later where the computer was off.

    A certificate is renewed sixty days before its end, so that one look a year would do when none is missed.
    """
    return _XML.format(command=escape(command[0]), arguments=escape(subprocess.list2cmdline(command[1:])))


def create(command: Sequence[str]) -> None:
    """Have Windows run `command` as the system.

    Raises:
        OSError: Windows did not accept it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "task.xml")
        file.write_text(xml(command), "utf-16")
        _schtasks("/Create", "/TN", NAME, "/XML", str(file), "/F")


def delete() -> None:
    """Have it no more.

    Raises:
        OSError: Windows did not.
    """
    if _schtasks("/Query", "/TN", NAME, check=False):
        _schtasks("/Delete", "/TN", NAME, "/F")


def _schtasks(*words: str, check: bool = True) -> bool:
    program = str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "schtasks.exe"))
    done = subprocess.run(  # noqa: S603
        [program, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
        env=environment_of(Child.TOOL),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
        raise OSError(f"schtasks {words[0]}: {said or done.returncode}")
    return done.returncode == 0
