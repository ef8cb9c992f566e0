"""Every estimator against exact gradients, and against what it claims."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators import (
    ARM,
    REBAR,
    RELAX,
    AnalyticKL,
    ClosedFormEntropy,
    DisARM,
    Estimator,
    MeasureValued,
    Network,
    Reparameterized,
    ScoreFunction,
    StickingTheLanding,
    by_name,
)
from pyro_vae.particles import Particles, Site
from pyro_vae.particles.data import FACTORS
from pyro_vae.particles.table import take
from tests.estimators.problems import PROBLEMS, Problem, everywhere


@dataclass(frozen=True)
class Case:
    """An estimator and the fewest particles at which it is tried."""

    estimator: Estimator
    families: str = "Normal Bernoulli OneHotCategorical"

    def control(self, particles: Particles) -> torch.nn.Module | None:
        """What it learns, set to something that is not zero."""
        with torch.random.fork_rng():
            torch.manual_seed(11)
            control = self.estimator.init(particles)
            with torch.no_grad():
                for parameter in control.parameters() if control is not None else ():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            return control

    def __str__(self) -> str:
        return repr(self.estimator)


CASES = [
    Case(Reparameterized(), "Normal"),
    Case(AnalyticKL()),
    Case(ClosedFormEntropy()),
    Case(StickingTheLanding(), "Normal"),
    Case(ScoreFunction()),
    Case(ScoreFunction(pathwise=True)),
    Case(ScoreFunction(baseline="leave-one-out")),
    Case(ScoreFunction(baseline="leave-one-out", pathwise=True)),
    Case(ScoreFunction(baseline="moving-average")),
    Case(ScoreFunction(baseline="optimal")),
    Case(ScoreFunction(baseline="optimal", pathwise=True)),
    Case(ScoreFunction(baseline=Network((4,)))),
    Case(ARM(), "Normal Bernoulli"),
    Case(DisARM()),
    Case(REBAR(scale=0.7)),
    Case(RELAX(scale=0.8)),
    Case(RELAX(relaxed=False)),
    Case(MeasureValued(), "Normal Bernoulli"),
    Case(MeasureValued(pathwise=True), "Normal Bernoulli"),
]
TABLE = [(case, problem) for case in CASES for problem in PROBLEMS if problem.families <= set(case.families.split())]
every_case = pytest.mark.parametrize(("case", "problem"), TABLE, ids=lambda item: str(getattr(item, "name", item)))


def gradient(case: Case, problem: Problem, params, K: int):
    particles = problem.draw(params, K, case.estimator.passes)
    control = case.control(particles)
    estimate = case.estimator(particles, control)
    grads = torch.autograd.grad(estimate.loss(), list(params.values()), allow_unused=True)
    flat = [torch.zeros_like(p) if g is None else g for p, g in zip(params.values(), grads, strict=True)]
    return torch.cat([g.flatten() for g in flat]), estimate.bound


@every_case
def test_mean_gradient_and_bound_are_exact(case, problem):
    """200 independent estimates of 250 particles; 5 standard errors for each of about 40 numbers: failure budget 3e-5
    in all."""
    torch.manual_seed(7)
    params = problem.params()
    exact_bound = problem.elbo(params)
    exact = -torch.cat([g.flatten() for g in torch.autograd.grad(exact_bound, list(params.values()))])
    rows = [gradient(case, problem, params, 250) for _ in range(200)]
    grads, bounds = torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])
    for values, truth in ((grads, exact), (bounds[:, None], exact_bound.detach()[None])):
        error = values.mean(0) - truth
        standard_error = values.std(0) / len(values) ** 0.5
        assert (error.abs() <= 5 * standard_error + 1e-9).all(), (error, standard_error)


@every_case
def test_value_of_the_loss_is_minus_the_bound(case, problem):
    torch.manual_seed(0)
    particles = problem.draw(problem.params(), 4, case.estimator.passes)
    estimate = case.estimator(particles, case.control(particles))
    assert estimate.loss().item() == pytest.approx(-estimate.bound.item())
    assert not estimate.bound.requires_grad


def _shifted(particles: Particles, constant: float) -> Particles:
    site = particles["x"]
    shift = constant / (site.log_p.log_prob[0].numel() * site.log_p.plate_scale)
    return replace(
        particles,
        sites={**particles.sites, "x": replace(site, log_p=replace(site.log_p, log_prob=site.log_p.log_prob + shift))},
    )


@every_case
def test_a_constant_moves_the_bound_and_where_claimed_no_single_gradient(case, problem):
    torch.manual_seed(1)
    params = problem.params()
    particles = problem.draw(params, 6, case.estimator.passes)
    found = []
    for constant in (0.0, 10.0):
        moved_table = everywhere(particles, lambda table, times, by=constant: _shifted(table, by))
        estimate = case.estimator(moved_table, case.control(particles))
        grads = torch.autograd.grad(estimate.loss(), list(params.values()), retain_graph=True, allow_unused=True)
        found.append((estimate.bound.item(), torch.cat([g.flatten() for g in grads if g is not None])))
    assert found[1][0] - found[0][0] == pytest.approx(10.0)
    moved = (found[1][1] - found[0][1]).abs().max().item()
    scored = any(site.log_q is not None and not site.reparameterised for site in particles.sites.values())
    if case.estimator.claims.shift_invariant or not scored:
        assert moved < 1e-9
    else:
        assert moved > 1e-3


class _Permuted:
    """Particles in another order, in the table and in its reruns."""

    order = torch.tensor([3, 0, 4, 1, 2])

    def __call__(self, particles: Particles, times: int) -> Particles:
        table = take(particles, self._rows(self.order, times))
        return replace(table, sites={name: self._passes(site) for name, site in table.sites.items()})

    def back(self, values: torch.Tensor, times: int) -> torch.Tensor:
        return values[self._rows(self.order.argsort(), times)]

    def _rows(self, order: torch.Tensor, times: int) -> torch.Tensor:
        return (torch.arange(times)[:, None] * len(order) + order).flatten()

    def _passes(self, site: Site) -> Site:
        moved = {
            name: {key: value[self.order] for key, value in getattr(site, name).items() if len(value) == 5}
            for name in ("parameters", "scores", "canonical")
        }
        return replace(site, noise=None if site.noise is None else site.noise[:, self.order], **moved)


@every_case
def test_particles_may_be_permuted(case, problem):
    torch.manual_seed(2)
    params = problem.params()
    particles = problem.draw(params, 5, case.estimator.passes)
    grads = []
    for table in (particles, everywhere(particles, _Permuted())):
        loss = case.estimator(table, case.control(table)).loss()
        grads.append(torch.autograd.grad(loss, list(params.values()), retain_graph=True, allow_unused=True))
    for one, other in zip(*grads, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


def _in_single_precision(particles: Particles, times: int = 1) -> Particles:
    sites = {}
    for name, site in particles.sites.items():
        factors = {field: getattr(site, field) for field in FACTORS}
        cast = {
            field: None if factor is None else replace(factor, log_prob=factor.log_prob.float())
            for field, factor in factors.items()
        }
        offered = site.baseline_input
        sites[name] = replace(site, baseline_input=None if offered is None else offered.float(), **cast)
    return replace(particles, sites=sites)


@every_case
def test_single_precision_agrees_with_double(case, problem):
    torch.manual_seed(3)
    params = problem.params()
    particles = problem.draw(params, 5, case.estimator.passes)
    found = []
    for table in (particles, everywhere(particles, _in_single_precision)):
        loss = case.estimator(table, case.control(table)).loss()
        found.append(torch.autograd.grad(loss, list(params.values()), retain_graph=True, allow_unused=True))
    for one, other in zip(*found, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_leave_one_out_is_the_covariance_of_score_and_cost():
    """With K particles, RLOO is K/(K-1) times the sample covariance: an independent way to compute it."""
    torch.manual_seed(4)
    problem = PROBLEMS[1]
    params = problem.params()
    K = 7
    particles = problem.draw(params, K, frozenset())
    loss = ScoreFunction(baseline="leave-one-out")(particles).loss()
    found = torch.autograd.grad(loss, params["logits"])[0]
    z = particles["z"].value
    score = z - torch.sigmoid(params["logits"].detach())
    log_q = particles["z"].log_q.log_prob.detach()
    # plates: the cost of bit i is log p less bit i's own log q (the other bits' log q share no row with it)
    cost = particles["x"].log_p.log_prob.detach()[:, None] - log_q
    expected = -((score * (cost - cost.mean(0))).sum(0) / (K - 1))
    torch.testing.assert_close(found, expected)


def test_errors_name_site_and_remedy():
    problem = PROBLEMS[2]
    with pytest.raises(EstimatorError, match=r"'b'.*ScoreFunction"):
        Reparameterized()(problem.draw(problem.params(), 2, frozenset()))
    with pytest.raises(OptionError, match="leave-one-out"):
        ScoreFunction(baseline="running-mean")


def test_names_lead_to_estimators():
    assert by_name("score-function:leave-one-out") == ScoreFunction(baseline="leave-one-out")
    assert by_name("Analytic_KL") == AnalyticKL()
    own = ScoreFunction(pathwise=True)
    assert by_name(own) is own
