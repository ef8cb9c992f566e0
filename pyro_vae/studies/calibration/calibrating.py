"""``calibrate``: is a guide, or NUTS, right on average over data that the model itself makes?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyro_vae.catalogue import Program
from pyro_vae.diagnostics.calibration import LEVEL, Method
from pyro_vae.errors import OptionError
from pyro_vae.studies.calibration.result import Calibration
from pyro_vae.studies.calibration.running import Running
from pyro_vae.studies.calibration.simulating import Simulate
from pyro_vae.studies.calibration.study import Setup
from pyro_vae.studies.inputs import guides_of, program_of, rows_of


def calibrate(
    model: Callable | Program | str | Path,
    guide: Callable | str,
    data: Any = None,
    *,
    simulations: int = 200,
    method: Method | None = None,
    simulate: Simulate | None = None,
    draws: int = 1000,
    estimator: Any = None,
    num_particles: int | None = None,
    steps: int | None = None,
    optimizer: Any = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    stop: Any = "auto",
    compile: bool | None = None,
    engine: str = "nutpie",
    chains: int = 1,
    warmup: int = 1000,
    target_accept: float = 0.8,
    level: float = LEVEL,
    seed: int = 0,
    jobs: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Any] | None = None,
) -> Calibration:
    r"""Draw parameters from the prior, simulate data, fit them; where do the true parameters stand among the draws?

    With an exact posterior the probability of the draws below the truth, :math:`p = q(\theta < \theta_0)`, is uniform,
    whatever the model. *SBC* tests that (simultaneous bands of the ranks' distribution function). A guide that is
    too narrow fails it; *VSBC* asks less, that p be symmetric around 1/2: the guide is too high as often as too low.
    Neither looks at the data at hand: they take their shape, and what the model does not observe (covariates).

    The observed arguments are found by themselves: a site's observed value that is an argument of the model, or a
    view of one, is replaced by a draw of that site.

    Args:
        model: a Pyro program; or the name or path of a model program, or a loaded one.
        guide: ``"nuts"``; or a guide, an automatic guide, its name, or the name of one of the program's own. Each
            simulation fits it from the same start.
        data: what model and guide are called with, see :func:`~pyro_vae.fit`. All rows at once: no minibatches.
        simulations: N. Bias shows with 100; fine faults need 1000.
        method: ``"sbc"``, the default for NUTS, or ``"vsbc"``, the default for guides. The simulations are the same.
        simulate: where the observed arguments cannot be found, or one run of the model does not simulate them (an
            autoregression): a function (sites, data) -> data, with the value of each site in one run of the model.
        draws: of the guide for each simulation, or of each chain. Draws of NUTS are thinned to their effective size.
        estimator: and ``num_particles``, ``steps``, ``optimizer``, ``learning_rate``, ``restarts``, ``stop``,
            ``compile``: as for :func:`~pyro_vae.fit`.
        engine: and ``chains``, ``warmup``, ``target_accept``: as for :func:`~pyro_vae.nuts`, without its retries.
        level: how often a study that is right may be called wrong.
        seed: simulation i has streams of random numbers of its own, made from this and i. The same for every guide, so
            that two guides see the same data.
        jobs: processes, of one thread each; -1 for all cores. It is joblib's ``n_jobs``, and
            ``with joblib.parallel_config("dask"):`` sends the simulations to a cluster. The numbers are the same.
        out: a folder that keeps each simulation as it is done, and the table, verdict and picture in the end.
        resume: go on with the study in ``out``, of these settings. The result is that of an uninterrupted one, to the
            bit; ``simulations`` may be more than before.
        progress: None shows a bar on a terminal.
        coords: labels of the dims, as in ArviZ; a program brings its own.
        dims: names of each variable's dims.

    Returns:
        the :class:`Calibration`. A simulation that fails (a fit that diverges) is in its ``failures``, and counted.

    Raises:
        ModelError: naming a site with a flat prior, a factor, a plate that takes a part of its rows, or observed
            values that are not among the arguments; a model with parameters of its own; when every simulation fails.
        CalibrationInterrupted: on Ctrl-C; its ``calibration`` has the simulations so far.
        OptionError, OutputError: naming the option or folder.

    Source: Talts, Betancourt, Simpson, Vehtari, Gelman, arXiv:1804.06788 (2018); Yao, Vehtari, Simpson, Gelman, "Yes,
    but did it work?", ICML 2018; Modrák et al., Bayesian Analysis 20 (2025), for the joint log-likelihood as one of
    the quantities.

    >>> import pyro_vae as pv, torch, pyro, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0.0, 1.0))
    ...     with pyro.plate("data", 5):
    ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
    >>> result = pv.calibrate(model, "nuts", torch.zeros(5), simulations=5, draws=100, warmup=200, seed=0)
    >>> result.calibrated, list(result.pits)
    (True, ['z', 'log-likelihood'])
    """
    program = program_of(model, data, coords=coords, dims=dims)
    name, chosen = _guide(guide, program)
    fitting = {
        "estimator": estimator,
        "num_particles": num_particles,
        "steps": steps,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "restarts": restarts,
        "compile": compile,
    }
    fitting = {key: value for key, value in fitting.items() if value is not None} | {"stop": stop}
    sampling = {
        "engine": engine,
        "chains": chains,
        "warmup": warmup,
        "target_accept": target_accept,
        "retry": False,
    }
    setup = Setup(
        model=program.model,
        guide=chosen,
        data=rows_of(program.data),
        seed=_checked(seed, level),
        draws=_count("draws", draws, 1),
        simulate=simulate,
        fit={} if name == "nuts" else fitting,
        nuts=sampling if name == "nuts" else {},
        coords=dict(program.coords),
        dims=dict(program.dims),
    )
    study = Running(program.name, name, _method(method, name), _count("simulations", simulations, 2), level, setup)
    return study.run(jobs=jobs, out=out, resume=resume, progress=progress)


def _guide(guide: Callable | str, program: Program) -> tuple[str, Any]:
    if isinstance(guide, str) and guide == "nuts":
        return "nuts", "nuts"
    [(name, chosen)] = guides_of([guide], program).items()
    return name, chosen


def _count(name: str, value: Any, least: int) -> int:
    """A whole number from ``least`` on. Raises :class:`~pyro_vae.errors.OptionError` naming the option."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"{name}: expected a whole number from {least} on, got {value!r}.")
    return value


def _checked(seed: int, level: float) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"seed: expected a whole number from 0, got {seed!r}.")
    if not 0 < level < 1:
        raise OptionError(f"level: expected a number between 0 and 1, got {level!r}.")
    return seed


def _method(method: Method | None, guide: str) -> Method:
    if method is None:
        return "sbc" if guide == "nuts" else "vsbc"
    if method not in ("sbc", "vsbc"):
        raise OptionError(f"method: expected 'sbc' or 'vsbc', got {method!r}.")
    return method
