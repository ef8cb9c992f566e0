"""What it costs to import a library, in a fresh interpreter each time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable


def imports(statement: str) -> Callable[[], dict[str, float]]:
    """Seconds that the statement takes."""
    code = f"import time\nbegin = time.perf_counter()\n{statement}\nprint(time.perf_counter() - begin)"

    def measure() -> dict[str, float]:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        return {"seconds": float(done.stdout)}

    measure()  # the files are in memory from here on, for all contenders alike
    return measure
