"""Each module of the rooms where a mistake lets a stranger in has one file of tests of its own name."""

from __future__ import annotations

import pytest

from tests import individual_coverage


def test_each_module_has_one_file_of_tests_that_mirrors_it() -> None:
    modules = individual_coverage.modules()
    assert "agent/access/policy.py" in modules
    mirrors = {individual_coverage.mirror_of(module) for module in modules}
    assert len(mirrors) == len(modules)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_mirror_runs_every_line_of_its_module() -> None:
    assert not {module: lines for module, lines in individual_coverage.missed(jobs=2).items() if lines}
