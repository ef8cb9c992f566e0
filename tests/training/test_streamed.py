"""Ten times the rows on disk do not take more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc"),
]


def fitted(path: Path, rows: int) -> tuple[int, int, float]:
    """Peak memory in bytes, steps, the bound per row."""
    command = [sys.executable, "-m", "tests.training.streamed", str(path), str(rows)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    memory, steps, bound = done.stdout.split()
    return int(memory), int(steps), float(bound)


def test_a_million_rows_take_the_memory_of_a_hundred_thousand(tmp_path):
    fewer, steps, first = fitted(tmp_path / "fewer", 100_000)
    assert steps == 200
    more, steps, last = fitted(tmp_path / "more", 1_000_000)
    assert steps == 2000
    assert last > first + 1.0  # it has learned from the rest
    # The rows are 64 MB, 58 MB more than the others; what grows is a history of 2000 steps.
    assert more - fewer < 12e6
