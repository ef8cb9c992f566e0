"""One contender in a process of its own: ``python -m tests.benchmarks.contender '{...}'``, started by ``race``.

What it is given is JSON: ``measure``, as ``module:function`` in ``contenders``; its ``options``; ``core``, the one
that the process is tied to, or null. The function prepares (imports, compiles, warms up) and returns a function of
nothing that measures once. Each line on standard input asks for one measurement; each answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib import import_module


def main() -> None:
    """Prepare, say so, and measure as often as asked."""
    given = json.loads(sys.argv[1])
    if given["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given["core"]})  # before anything counts the cores for its thread pool
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer

    def answer(**said: object) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    module, _, function = given["measure"].partition(":")
    try:
        measure = getattr(import_module(f"tests.benchmarks.contenders.{module}"), function)(**given["options"])
        answer(ready=True)
        for _ in sys.stdin:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                figures = measure()
            # A fit that could not be compiled says so: its figure is that of an eager one.
            refused = [str(warning.message) for warning in caught if str(warning.message).startswith("compile=")]
            answer(figures=figures, notes=refused)
    except Exception as error:
        answer(error=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300])
        raise


if __name__ == "__main__":
    main()
