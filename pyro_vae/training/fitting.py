"""``fit``: everything a person can ask of one fit, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyro.infer

from pyro_vae.estimators.annealing import Annealing
from pyro_vae.estimators.base import Estimator
from pyro_vae.guides import fit_options
from pyro_vae.training.fabric import devices_from
from pyro_vae.training.objective import Elbo, elbo_from
from pyro_vae.training.options import FitOptions
from pyro_vae.training.prepare import on_device, prepare
from pyro_vae.training.randomness import kept_randomness, own_randomness
from pyro_vae.training.result import Fit
from pyro_vae.training.starts import Starts
from pyro_vae.training.stopping import StopRule


def fit(
    model: Callable,
    guide: Callable | str,
    data: Any = None,
    *,
    estimator: Estimator | str | Elbo | None = None,
    num_particles: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    optimizer: Any = "adam",
    learning_rate: float | None = None,
    schedule: str | Callable[[int, int], float] = "settle",
    clip: float | None = None,
    stop: str | StopRule | None = "auto",
    average: bool = True,
    restarts: int = 1,
    init: Mapping[str, Any] | Callable | str | None = None,
    seed: int | None = None,
    compile: bool | None = None,
    device: Any = None,
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
    resume: str | Path | bool | None = None,
    vectorize: bool | None = None,
    beta: float = 1.0,
    annealing: Annealing | None = None,
    free_bits: float | None = None,
    accumulate: int = 1,
    validation: Any = None,
    log: str | Path | None = None,
    fabric: Any = None,
) -> Fit:
    r"""Fit a guide (and the model's own parameters) by stochastic optimisation of a variational bound.

    .. math:: \max_{\theta, \phi}\ \mathbb E_{q_\phi(z)}\bigl[\log p_\theta(x, z) - \log q_\phi(z)\bigr]

    With the defaults: Adam at 0.05 with 16 particles holds its learning rate until the bound is flat (at most 60 % of
    ``steps``), then lets it fall to 0.1 % over half as many steps again (at least 750); the mean of the parameters over
    the second half of that is kept if it does not lower the bound. Fitted values are left in the modules and in
    Pyro's param store, as ``SVI`` does. Pyro's argument validation is on for a first look at the pair and off in the
    loop; it is left as it was.

    Args:
        model: a Pyro program.
        guide: a Pyro program, an automatic guide, or its name, see :func:`~pyro_vae.guides.autoguide`.
        data: what both are called with: a dict of keyword arguments, a tuple of positional ones, one tensor, None, or
            a ``DataLoader`` of any of these for minibatches (with ``pyro.plate("data", size=N, subsample=batch)`` in
            the model).
        estimator: an estimator or its name; default :class:`~pyro_vae.Reparameterized`. A ``pyro.infer.ELBO`` is
            taken too.
        num_particles: K, default 16, of a flow 128.
        steps: the most steps to take, default 4000, of a flow 1500. ``stop=None`` takes them all.
        epochs: passes through a ``DataLoader``, instead of ``steps``.
        optimizer: see :func:`~pyro_vae.training.optimizers.optimizer_from`.
        learning_rate: default 0.05 for Adam and its relatives, 0.01 with Adam for a flow.
        schedule: ``"settle"``, ``"constant"``, ``"cosine"``, ``"exponential"``, ``"linear"`` or a function (step,
            steps) -> factor.
        clip: scale gradients down to this norm (over all parameters).
        stop: ``"auto"`` is :class:`~pyro_vae.training.Flat`; None, or a function of the bound's history at a constant
            learning rate. A schedule that falls over the whole run has nothing to stop early.
        average: iterate averaging of the tail.
        restarts: fit from this many starts; the best final bound wins (the lowest, where it is an upper bound).
        init: for a guide given by name what :func:`~pyro_vae.guides.autoguide` takes: None finds a good start,
            ``"prior"`` is the prior's median, ``{site: value}`` or a strategy of Pyro's say where;
            ``{parameter: value}`` for a guide of your own.
        seed: makes the run repeatable to the bit, and leaves the global random state as it was.
        compile: a step is turned into machine code (seconds, and a C++ compiler; kept on disk for the next time), and
            further steps are taken with it: the same draws and, to rounding, the same numbers. None does so for fits
            of 2000 steps or more where it can be done; True for any, with a warning that says why where it cannot
            (what branches on values, an optimiser of ``pyro.optim``, a GPU); False never.
        device: move modules, parameters and data there first. dtypes stay.
        progress: None shows a bar on a terminal or in a notebook.
        checkpoint: a path to write the run to, every ``checkpoint_every`` steps and at the end. The one before it is
            kept beside it (``run.previous.safetensors``), and is used, with a warning, where the newer is damaged.
        resume: a checkpoint to go on from; the result is that of a run that was never interrupted, to the bit.
            True goes on from ``checkpoint`` where there is one, and starts otherwise: the same call for the first
            time and for every time after.
        vectorize: see :class:`~pyro_vae.TraceELBO`.
        beta: and ``annealing``, ``free_bits``: weights on the latents' terms, see :class:`~pyro_vae.TraceELBO`. The
            history is the weighted objective; the bound of the finished fit, by which the tail average and the best
            start are chosen, is at beta 1 and without free bits. Annealing should end within the search.
        accumulate: batches whose gradients are averaged in one step: a batch that many times as large, in the memory of
            one. ``steps`` are steps still, ``epochs`` epochs.
        validation: rows that are not trained on, as ``data``, or a :class:`~pyro_vae.Validation`, which also says how
            often to check, when to stop, and where to write the best values so far.
        log: a folder for ``history.csv`` and ``validation.csv``, written while the fit runs, and for TensorBoard's
            events where TensorBoard is installed.
        fabric: devices, precision and processes: a ``lightning.fabric.Fabric``, or a dict of its options such as
            ``{"accelerator": "cpu", "devices": 2, "precision": "bf16-mixed"}``. Several processes, as ``torchrun``
            starts them, take the batches in turns and step together; the first one writes the files.

    Returns:
        the :class:`Fit`.

    Raises:
        ModelError: naming the site or plate, when the pair cannot be fitted.
        DivergedError: when the bound or gradient becomes NaN or infinite, naming step and sites; ``error.fit`` is the
            fit up to the last good step.
        FitInterrupted: on Ctrl-C; a ``KeyboardInterrupt`` whose ``fit`` is the fit so far.
        OptionError: naming the option.

    Source: Kingma and Ba, "Adam", ICLR 2015; Polyak and Juditsky, SIAM J. Control Optim. 30 (1992).

    >>> import pyro_vae as pv, torch, pyro, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0.0, 1.0))
    ...     pyro.sample("x", dist.Normal(z, 1.0), obs=x)
    >>> result = pv.fit(model, "auto_normal", torch.tensor(2.0), seed=0)
    >>> round(result.bound, 2)  # the exact log evidence is log N(2; 0, 2) = -2.27
    -2.27
    """
    own = fit_options(guide)
    if learning_rate is None and optimizer == "adam":
        learning_rate = own.get("learning_rate")
    if num_particles is None and not isinstance(estimator, pyro.infer.ELBO):
        num_particles = own.get("num_particles")
    if steps is None and epochs is None:
        steps = own.get("steps")
    compile = own.get("compile") if compile is None else compile
    elbo = elbo_from(estimator, num_particles, vectorize, beta=beta, annealing=annealing, free_bits=free_bits)
    options = FitOptions.checked(
        steps=steps,
        epochs=epochs,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        clip=clip,
        stop=stop,
        average=average,
        restarts=restarts,
        seed=seed,
        compile=compile,
        progress=progress,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
        accumulate=accumulate,
        validation=validation,
        log=log,
    )
    devices = devices_from(fabric, device)
    device = devices.device
    with on_device(device), kept_randomness() if resume else nullcontext(), own_randomness(seed):
        share = devices.team.new_share()
        prepared = prepare(model, guide, data, elbo, init=init, device=device, share=share)
        return Starts(prepared, data, options, devices).fit()
