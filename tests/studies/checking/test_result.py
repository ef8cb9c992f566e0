"""What a check gives back: findings that can be read, iterated over and tabulated; and an ok that means no error."""

from __future__ import annotations

import dataclasses

import pyro
import pyro.distributions as dist
import pytest
import torch

import pyro_vae as pv
from tests.studies.checking import faults_of_numbers, faults_of_sites
from tests.studies.checking.fault import X, guide, model, normal

COLUMNS = ["severity", "code", "site", "plate", "parameter", "what", "why", "instead", "line", "where"]


def two_faults(x):
    pyro.sample("z", dist.Normal(pyro.param("z_loc", torch.tensor(0.0)), pyro.param("width", torch.tensor(1.0))))
    pyro.sample("other", normal("other"))


def test_all_findings_are_collected_and_errors_come_first():
    learns, _, _ = faults_of_sites.scale_in_the_model()
    check = pv.check(learns, two_faults, X)
    assert [one.code for one in check] == ["extra-site", "unconstrained", "scale"]
    assert [one.severity for one in check] == ["error", "error", "warning"]
    assert check.errors == check.findings[:2]
    assert check.warnings == check.findings[2:]


def test_ok_means_no_error_and_a_check_is_always_true():
    clean, warned, wrong = pv.check(model, guide, X), pv.check(model, guide, X.double()), pv.check(model, two_faults, X)
    assert (clean.ok, warned.ok, wrong.ok) == (True, True, False)
    assert (list(clean), len(warned.warnings), len(wrong.errors)) == ([], 1, 2)
    assert all(map(bool, (clean, warned, wrong)))


def test_the_text_is_80_columns_wide_and_says_where_and_what_to_write():
    text = str(pv.check(model, two_faults, X))
    assert max(map(len, text.splitlines())) <= 80
    assert "test_result.py:" in text
    assert "pyro.sample('other', normal('other'), infer={'is_auxiliary': True})" in text
    assert text.startswith("2 errors in model 'model' and guide 'two_faults':")
    assert str(pv.check(model, guide, X)) == "Nothing wrong was found with model 'model' and guide 'guide'."


def test_the_table_has_a_row_per_finding():
    table = pv.check(model, two_faults, X).table()
    assert list(table.columns) == COLUMNS
    assert list(table["code"]) == ["extra-site", "unconstrained"]
    assert table["where"].str.contains(r"test_result\.py:\d+$").all()
    assert list(pv.check(model, guide, X).table().columns) == COLUMNS


def test_a_check_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        pv.check(model, guide, X).findings = ()


def test_where_is_the_statement_of_the_site():
    finding = next(iter(pv.check(model, two_faults, X)))
    assert finding.where is not None
    assert finding.where.statement == 'pyro.sample("other", normal("other"))'
    assert finding.line == "pyro.sample('other', normal('other'), infer={'is_auxiliary': True})"


def test_a_name_stands_for_an_automatic_guide_and_none_for_the_model_alone():
    assert pv.check(model, "auto_normal", X).ok
    assert pv.check(model, None, X).ok
    assert "model 'model', alone" in str(pv.check(model, None, X))
    with pytest.raises(pv.OptionError, match="auto_normal"):
        pv.check(model, "auto_norml", X)
    with pytest.raises(pv.ModelError, match="expected a callable"):
        pv.check(3, guide, X)


def test_the_estimator_is_checked_only_where_it_is_chosen():
    discrete, draws, x = faults_of_numbers.discrete_for_the_reparameterised()
    assert pv.check(discrete, draws, x).ok
    assert pv.check(discrete, draws, x, estimator="disarm", num_particles=4).ok
    assert [one.code for one in pv.check(discrete, draws, x, estimator="reparameterized")] == ["estimator"]
    with pytest.raises(pv.OptionError, match="not known"):
        pv.check(discrete, draws, x, estimator="reparametrised-twice")


def test_one_particle_needs_no_shared_run():
    sums, rows, x = faults_of_numbers.sum_over_particles()
    assert "16 runs a step" in str(pv.check(sums, rows, x))
    assert "8 runs a step" in str(pv.check(sums, rows, x, num_particles=8))
    assert not list(pv.check(sums, rows, x, num_particles=1))
