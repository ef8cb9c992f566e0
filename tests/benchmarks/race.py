"""Contenders asked in turn, each in a process of its own; see the package's docstring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matplotlib import get_cachedir

from tests.benchmarks.row import Figures

ROOT = Path(__file__).parents[2]
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Contender:
    """Who is measured: ``measure`` is ``module:function`` in ``contenders``, called with ``options``.

    ``fresh``: every measurement in a new process. ``cache``: what compilers keep on disk is ``"kept"`` (and filled by a
    first run that does not count) or ``"empty"`` each time. ``cores``: 1 ties it to one core with one thread each
    library, None leaves it all. ``repeats``: fewer than the others', for what takes minutes. ``needs``: a package that
    must be there. ``environment``: variables of its own; ``{cache}`` in them is its cache's folder.
    """

    name: str
    measure: str
    options: dict[str, Any] = field(default_factory=dict)
    fresh: bool = False
    cache: str = "kept"
    cores: int | None = 1
    repeats: int | None = None
    needs: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Measured:
    """What a race found: by contender, the figures of every repeat; why some have none; remarks."""

    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, name: str, figure: str) -> Figures:
        """One figure of a contender over its repeats."""
        values = tuple(found[figure] for found in self.figures.get(name, []))
        return Figures(name, values, self.why_not.get(name, ""))

    def note(self, name: str, remarks: Sequence[str]) -> None:
        """Keep what a contender remarked on, once."""
        for remark in remarks:
            said = f"{name}: {remark}"
            if said not in self.notes:
                self.notes.append(said)


class FailedError(Exception):
    """A contender that could not be measured, in its own words."""


def race(contenders: Sequence[Contender], repeats: int, say: Callable[[str], None] = lambda _: None) -> Measured:
    """Measure every contender ``repeats`` times, in turn, there and back (a b c, c b a, ...)."""
    measured = Measured()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        runners: list[_Runner] = []
        for contender in contenders:
            if contender.needs and find_spec(contender.needs) is None:
                measured.why_not[contender.name] = f"{contender.needs} is not installed"
                continue
            say(f"{contender.name}: preparing")
            runner = _Runner(contender, folder / f"cache-{len(runners)}", stack)
            if _tried(measured, contender, runner.prepare, say):
                runners.append(runner)
        for repeat in range(repeats):
            for runner in runners if repeat % 2 == 0 else reversed(runners):
                name, asked = runner.contender.name, min(runner.contender.repeats or repeats, repeats)
                if name not in measured.why_not and repeat < asked:
                    say(f"{name}: {repeat + 1} of {asked}")
                    _tried(measured, runner.contender, lambda runner=runner: _measure(measured, runner), say)
    return measured


def _tried(measured: Measured, contender: Contender, action: Callable[[], None], say: Callable[[str], None]) -> bool:
    try:
        action()
    except FailedError as error:
        measured.why_not[contender.name] = str(error)
        say(f"{contender.name}: {error}")
        return False
    return True


def _measure(measured: Measured, runner: _Runner) -> None:
    found, name = runner.measure(), runner.contender.name
    measured.figures.setdefault(name, []).append(found["figures"])
    measured.note(name, found["notes"])


class _Runner:
    """One contender's process, or its processes one after the other."""

    def __init__(self, contender: Contender, cache: Path, stack: ExitStack):
        self.contender, self.cache, self.stack = contender, cache, stack
        self.process: _Process | None = None
        self.emptied = 0

    def prepare(self) -> None:
        """Start what stays; fill a cache that is kept."""
        if not self.contender.fresh:
            self.process = self.stack.enter_context(_process(self.contender, self.cache))
        elif self.contender.cache == "kept":
            self.measure()

    def measure(self) -> dict[str, Any]:
        """One measurement. Of a fresh process also ``process_seconds``, from its start to its end."""
        if self.process is not None:
            return self.process.ask()
        if self.contender.cache == "empty":
            self.emptied += 1
        begin = time.perf_counter()
        with _process(self.contender, self.cache / str(self.emptied)) as process:
            found = process.ask()
        found["figures"]["process_seconds"] = time.perf_counter() - begin
        return found


class _Process:
    def __init__(self, name: str, running: subprocess.Popen[str], complaints: Any):
        self.name, self.running, self.complaints = name, running, complaints

    def ask(self) -> dict[str, Any]:
        """One more measurement."""
        assert self.running.stdin is not None
        self.running.stdin.write("measure\n")
        self.running.stdin.flush()
        return self.heard()

    def heard(self) -> dict[str, Any]:
        """The next answer. Raises ``FailedError`` with the process's own last words if there is none."""
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        said = json.loads(line) if line else {"error": self._last_words()}
        if "error" in said:
            raise FailedError(said["error"])
        return said

    def _last_words(self) -> str:
        self.running.wait()
        self.complaints.seek(0)
        words = self.complaints.read().strip().splitlines()
        return words[-1] if words else f"ended with status {self.running.returncode}"


@contextmanager
def _process(contender: Contender, cache: Path) -> Iterator[_Process]:
    """The contender's process, ready; ended when the block is."""
    core = sorted(os.sched_getaffinity(0))[-1] if contender.cores == 1 and hasattr(os, "sched_getaffinity") else None
    specification = {"measure": contender.measure, "options": contender.options, "core": core}
    command = [sys.executable, "-m", "tests.benchmarks.contender", json.dumps(specification)]
    with tempfile.TemporaryFile("w+") as complaints:
        running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, cwd=ROOT,
            env=environment(contender, cache),
        )  # fmt: skip
        try:
            process = _Process(contender.name, running, complaints)
            process.heard()
            yield process
            assert running.stdin is not None
            running.stdin.close()
            running.wait(timeout=60)
        finally:
            running.kill()
            running.wait()
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    pipe.close()


def environment(contender: Contender, cache: Path) -> dict[str, str]:
    """One thread where it is tied to one core; everybody's compiler cache in ``cache``."""
    found = dict(os.environ) | {"XDG_CACHE_HOME": str(cache), "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    found["PYRO_VAE_CACHE"] = str(cache / "pyro-vae")
    # Matplotlib would list the machine's fonts anew for every empty cache, and that is no compiling.
    found |= {"MPLCONFIGDIR": get_cachedir(), "JAX_PLATFORMS": "cpu"}
    if contender.cores == 1:
        found |= dict.fromkeys(ONE_THREAD, "1") | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    return found | {name: value.format(cache=cache) for name, value in contender.environment.items()}
