"""``examine``: whether a trained VAE is any good, in one call."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyro_vae.datasets import Rows
from pyro_vae.datasets.rows import numbered
from pyro_vae.diagnostics import (
    RowCheck,
    active_units,
    code_distances,
    elbo_surgery,
    latent_table,
    plane_of,
    posterior_collapse,
    worth_of_code,
)
from pyro_vae.errors import DataError, OptionError, SamplerError
from pyro_vae.nets.modes import evaluating
from pyro_vae.particles import call_arguments
from pyro_vae.report.vae_content import RowEvidence, VAEContent
from pyro_vae.studies.examination import Examination
from pyro_vae.studies.findings import findings
from pyro_vae.studies.inputs import rows_of
from pyro_vae.studies.picturing import pictures
from pyro_vae.studies.record import versions
from pyro_vae.studies.row_posteriors import check_row
from pyro_vae.studies.vae_numbers import Numbers, measure
from pyro_vae.training.randomness import own_randomness
from pyro_vae.vae.latents import Flow, FullGaussian, Gaussian
from pyro_vae.vae.likelihoods import Words
from pyro_vae.vae.local import optimised, row_bounds
from pyro_vae.vae.program import VAE

_log = logging.getLogger(__name__)
_GAP_DRAWS = 1024  # of z per row, for the amortisation gap


def examine(
    vae: Any,
    data: Any,
    *,
    fit: Any = None,
    labels: Any = None,
    rows: int = 500,
    gap_rows: int = 32,
    nuts_rows: int = 3,
    num_particles: int = 256,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    image: tuple[int, int] | None = None,
    vocabulary: Any = None,
    title: str = "",
    story: str = "",
    seed: int | None = None,
    progress: bool | None = None,
) -> Examination:
    r"""Say of a trained VAE what its latents are used for, what its encoder costs, and what its samples are worth.

    Four findings, each with what to do. *The code*: the KL of every latent, active units, posterior collapse. *The
    encoder*: the gap between the ELBO and the evidence, how much of it is the net's (the amortisation gap), and the
    verdict of NUTS on q(z | x) of single rows. *The samples*: how far the codes as a whole are from the prior. *The
    evidence*: the importance-weighted bound, checked by bridge sampling from NUTS.

    Args:
        vae: a :class:`~pyro_vae.VAE`, trained. It is left as it is.
        data: rows, best such as it was not trained on: a tensor, a ``DataLoader``, dict or tuple with one, or
            :class:`~pyro_vae.datasets.Rows`, which know how to be shown.
        fit: the :class:`~pyro_vae.Fit`, for the pictures of its way: ``validation=pv.Validation(x, terms=True)`` has
            it record the KL of each latent.
        labels: ``[N]``, one for each row of ``data``, for the map of the latents alone.
        rows: how many rows to look at, drawn at random if there are more.
        gap_rows: of them, those whose q(z) is optimised by itself; 0 for none.
        nuts_rows: of them, those judged on NUTS; 0 for none.
        num_particles: K, the draws per row of the importance-weighted bound.
        chains: and ``draws`` (of each chain), ``warmup``: of NUTS, see :func:`~pyro_vae.nuts`.
        image: (height, width) of rows of numbers that are images.
        vocabulary: a :class:`~pyro_vae.vae.Vocabulary`, for rows that are words.
        title: and ``story``: of the report.
        seed: repeats the examination; the global random state stays as it was. None takes 0.
        progress: None shows bars on a terminal.

    Raises:
        OptionError: naming the option.
        DataError: rows that the likelihood cannot take, or labels that are not one per row.

    Source: Burda et al., ICLR 2016 (active units, evidence); Cremer, Li, Duvenaud, "Inference suboptimality in
    variational autoencoders", ICML 2018 (gaps); Hoffman and Johnson, "ELBO surgery", 2016 (aggregated posterior).

    >>> import pyro_vae as pv, torch
    >>> program = pv.load_program("linear_vae", latents=2)
    >>> x = program.data["x"]
    >>> _ = pv.fit(program.model, program.vae.guide, x, estimator="analytic-kl", num_particles=1, steps=200, seed=0)
    >>> found = pv.examine(program.vae, x, rows=200, gap_rows=4, nuts_rows=0, num_particles=16, seed=0)
    >>> found.collapse.level, int(found.summary()["active"].sum())
    ('none', 2)
    """
    options = {"rows": rows, "gap_rows": gap_rows, "nuts_rows": nuts_rows, "num_particles": num_particles}
    _check(vae, options)
    seed = 0 if seed is None else seed
    chosen = _chosen(_as_rows(vae, data, labels, image, vocabulary), rows, seed)
    vae.look_at(chosen.x)
    study = _Examining(vae, chosen, seed, {"chains": chains, "draws": draws, "warmup": warmup, "progress": progress})
    with own_randomness(seed), _standing(vae):
        return Examination(study.run(options, fit, title, story))


def _check(vae: Any, options: dict[str, int]) -> None:
    if not isinstance(vae, VAE):
        raise OptionError(f"vae: expected a pv.VAE, got {type(vae).__name__}. A program has one as program.vae.")
    for name, value in options.items():
        least = {"gap_rows": 0, "nuts_rows": 0, "rows": 2}.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise OptionError(f"{name}: expected a whole number from {least}, got {value!r}.")


def _as_rows(vae: VAE, data: Any, labels: Any, image: tuple[int, int] | None, vocabulary: Any) -> Rows:
    """What a person gave as rows that can be shown."""
    if isinstance(data, Rows):
        rows = data
    else:
        args, kwargs = call_arguments(rows_of(data))
        x = args[0] if args else kwargs.get("x")
        if not isinstance(x, Tensor):
            raise DataError(f"data: expected a tensor of rows, or what has one as x, got {type(x).__name__}.")
        shape = tuple(x.shape[1:])
        pictured = shape if len(shape) == 3 and shape[0] in (1, 3) else None
        words = isinstance(vae.likelihood, Words)
        kind = "sentences" if words else "arrays" if pictured is None else "images"
        rows = Rows(x, kind, image=pictured, vocabulary=vocabulary)
    if image is not None:
        if len(image) != 2 or math.prod(image) != rows.x[0].numel():
            raise OptionError(f"image: expected (height, width) of {rows.x[0].numel()} pixels in all, got {image!r}.")
        rows = replace(rows, kind="images", image=(1, *image))
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != (len(rows),):
            raise DataError(f"labels: expected one for each of the {len(rows)} rows, got an array of {given.shape}.")
        numbers, names = numbered([str(label) for label in given])
        rows = replace(rows, labels=numbers, label_names=names)
    return rows


def _chosen(rows: Rows, most: int, seed: int) -> Rows:
    """At most so many rows, at random."""
    if len(rows) < 2:
        raise DataError(f"data: expected at least two rows, got {len(rows)}.")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows.at(order[:most].sort().values.to(rows.x.device))


def _label_names(rows: Rows) -> np.ndarray | None:
    """The label of each row in words."""
    if rows.labels is None:
        return None
    names = [*rows.label_names, "unknown"]  # which is -1
    return np.array([names[label] if label < len(names) else str(label) for label in rows.labels.tolist()])


@contextmanager
def _standing(vae: VAE) -> Iterator[None]:
    """The VAE in evaluation mode with nothing that learns, as it was afterwards."""
    leaves = [leaf for leaf in vae.parameters() if leaf.requires_grad]
    with evaluating(vae):
        try:
            for leaf in leaves:
                leaf.requires_grad_(False)
            yield
        finally:
            for leaf in leaves:
                leaf.requires_grad_(True)


class _Examining:
    """One examination as it goes."""

    def __init__(self, vae: VAE, rows: Rows, seed: int, nuts: dict[str, Any]):
        self.vae, self.rows, self.x, self.seed, self.nuts = vae, rows, rows.x, seed, nuts
        self.seconds: dict[str, float] = {}

    def run(self, options: dict[str, int], fit: Any, title: str, story: str) -> VAEContent:
        with self._timed("encoding and decoding"):
            found = measure(self.vae, self.x)
            table = latent_table(found.kl, found.names)
            surgery = elbo_surgery(found.log_q_all, np.diag(found.log_q_all), found.log_p)
            distances = code_distances(found.codes, found.prior_codes, self.seed)
            by_unit = table["kl"].to_numpy()[: found.means.shape[1]]
            by_unit = by_unit if tuple(table.index[: len(by_unit)]) == found.code_names else None
            order = np.argsort(-by_unit, kind="stable") if by_unit is not None else range(found.means.shape[1])
            shown = pictures(self.vae, self.rows, [int(dim) for dim in order])
        worth = worth_of_code(found.own, found.other)
        collapse = posterior_collapse(table, *worth)
        evidence = self._evidence(found, options)
        checks, why = self._checks(options["nuts_rows"])
        return VAEContent(
            title=title or type(self.vae).__name__,
            story=story,
            rows=len(self.x),
            findings=findings(collapse, evidence, surgery, distances, checks, why),
            table=table,
            exact_kl=found.exact,
            units=active_units(found.means, found.noise),
            unit_names=found.code_names,
            normal=isinstance(self.vae.latent, (Gaussian, FullGaussian, Flow)),
            explained=_mean(found.explained),
            worth=worth,
            collapse=collapse,
            evidence=evidence,
            surgery=surgery,
            distances=distances,
            codes=found.codes,
            prior_codes=found.prior_codes,
            plane=plane_of(found.means, found.code_names, by_unit),
            labels=_label_names(self.rows),
            pictures=shown,
            checks=checks,
            checks_missing=why,
            terms=getattr(fit, "terms", None),
            history=getattr(fit, "history", None),
            run=self._table(options, fit),
        )

    def _evidence(self, found: Numbers, options: dict[str, int]) -> RowEvidence:
        with self._timed("the evidence"):
            _log.info("weighing draws for the evidence")
            bound = self.vae.log_evidence(self.x, K=options["num_particles"])
        gap, error, short, count, why = None, math.nan, math.nan, min(options["gap_rows"], len(self.x)), ""
        if type(self.vae).encode is not VAE.encode:
            why = "its encoder has a form of its own"
        elif not count:
            why = "gap_rows=0"
        else:
            with self._timed("the amortisation gap"):
                _log.info("optimising q(z) of single rows")
                few = self.x[:count]
                now, best = self.vae._encoded(few).detach(), optimised(self.vae, few)
                ends = [row_bounds(self.vae, each, few, draws=_GAP_DRAWS, seed=self.seed + 1) for each in (now, best)]
                gap, error = _mean((ends[1] - ends[0]).numpy())
                short = (ends[1] - bound.rows[:count].cpu()).mean().item()
        return RowEvidence(
            *_mean(found.elbo), bound.value, bound.standard_error, bound.population_error, bound.K, gap, error,
            count if gap is not None else 0, why, short,
        )  # fmt: skip

    def _checks(self, count: int) -> tuple[tuple[RowCheck, ...], str]:
        if not count:
            return (), "nuts_rows=0"
        if type(self.vae).encode is not VAE.encode:
            return (), "its encoder has a form of its own"
        if self.vae.prior().support.is_discrete:
            return (), "its latents are discrete, and NUTS needs a gradient"
        found, why = [], ""
        with self._timed("NUTS on single rows"):
            for row in range(min(count, len(self.x))):
                _log.info("sampling z of row %s with NUTS", row)
                try:
                    found.append(check_row(self.vae, self.x[row], row, seed=self.seed, **self.nuts))
                except SamplerError as error:
                    why = f"NUTS could not sample row {row} ({error})"
        return tuple(found), why

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - began

    def _table(self, options: dict[str, int], fit: Any) -> dict[str, str]:
        vae = self.vae
        told = {"when": time.strftime("%Y-%m-%d %H:%M:%S %z"), "latents": repr(vae.latent)}
        told |= {"likelihood": repr(vae.likelihood), "prior": repr(vae.learned_prior or "standard")}
        told["parameters"] = f"{sum(leaf.numel() for leaf in vae.parameters()):,}"
        if fit is not None and hasattr(fit, "attributes"):
            told["fit"] = f"{fit.attributes()['estimator']}, {fit.steps} steps; {fit.reason}"
        told |= {name.replace("_", " "): str(value) for name, value in options.items()} | {"seed": str(self.seed)}
        told |= {f"time of {what}": f"{seconds:.1f} s" for what, seconds in self.seconds.items()}
        return told | versions()


def _mean(values: np.ndarray) -> tuple[float, float]:
    """And its standard error."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return float(values.mean()), error
