"""What a process that reads hostile documents may take; its real bounds are tried where it runs."""

from __future__ import annotations

import os
import sys

import pytest

from signing.limits import answer_alone, limit_process

if sys.platform != "win32":
    import resource


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limits")
def test_a_process_is_bounded_and_a_limit_that_cannot_be_set_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: dict[int, tuple[int, int]] = {}

    def set_limit(kind: int, limits: tuple[int, int]) -> None:
        if kind == resource.RLIMIT_FSIZE:
            raise OSError
        bound[kind] = limits

    monkeypatch.setattr(resource, "setrlimit", set_limit)
    limit_process(5, 1 << 30)
    assert bound == {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (5, 5),
        resource.RLIMIT_AS: (1 << 30, 1 << 30),
    }


def test_the_answer_alone_is_written_where_it_is_read(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # The process ends after its answer; this one goes on, with its own standard output.
        back = os.dup(1)
        with answer_alone() as target:
            os.write(1, b"what a library prints")
            target.write(b"answer")
        patch.undo()
        os.dup2(back, 1)
        os.close(back)
    assert capfd.readouterr() == ("answer", "what a library prints")
