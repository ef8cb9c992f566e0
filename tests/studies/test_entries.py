"""A guide, or a guide and one of several estimators: each has a name that a person recognises."""

from __future__ import annotations

from typing import Any

import pyro
import pytest
import torch

import pyro_vae as pv
from pyro_vae.catalogue import Program
from pyro_vae.studies.entries import entries_of
from pyro_vae.studies.inputs import program_of


def named(guides: Any, estimator: Any, program: str = "funnel") -> list[str]:
    return list(entries_of(guides, estimator, program_of(program)).by_name)


@pytest.mark.parametrize("estimator", [None, "dreg", pv.DReG(), pyro.infer.Trace_ELBO()])
def test_with_one_estimator_the_entries_are_the_guides(estimator: Any) -> None:
    entries = entries_of(None, estimator, program_of("funnel"))
    assert list(entries.by_name) == ["auto_normal", "auto_multivariate_normal"]
    assert not entries.several
    assert entries.kind == "guide"
    assert {entry.estimator for entry in entries.by_name.values()} == {estimator}


def test_with_several_and_no_guide_there_is_one_guide() -> None:
    entries = entries_of(None, ["reparameterized", "dreg"], program_of("funnel"))
    assert list(entries.by_name) == ["reparameterized", "dreg"]
    assert {entry.guide_name for entry in entries.by_name.values()} == {"auto_normal"}
    assert (entries.kind, entries.several, entries.estimators) == ("estimator", True, "reparameterized, dreg")


def test_a_programs_first_guide_comes_before_the_automatic_one() -> None:
    program = Program("mine", None, model=lambda: None, guides={"first": print, "second": print})
    entries = entries_of(None, ["iwae", "dreg"], program)
    assert {entry.guide_name for entry in entries.by_name.values()} == {"first"}


def test_with_several_guides_both_names_are_said() -> None:
    found = named(["auto_normal", "auto_delta"], ["iwae", "dreg"])
    assert found == ["auto_normal / iwae", "auto_normal / dreg", "auto_delta / iwae", "auto_delta / dreg"]
    entries = entries_of(["auto_normal", "auto_delta"], ["iwae", "dreg"], program_of("funnel"))
    assert (entries.kind, entries.estimators) == ("guide / estimator", "iwae, dreg")


def test_names_are_those_of_the_command_line_where_there_is_one() -> None:
    given = [pv.DReG(), "Analytic_KL", pv.ScoreFunction("leave-one-out"), pv.Renyi(alpha=0.3)]
    assert named(None, given) == ["dreg", "analytic-kl", "score-function:leave-one-out", "Renyi(alpha=0.3)"]
    elbos = [pv.TraceELBO(pv.DReG(), 64), pyro.infer.Trace_ELBO(num_particles=4)]
    assert named(None, elbos) == ["dreg (K=64)", "Trace_ELBO"]


def test_a_dict_names_them() -> None:
    found = entries_of(None, {"few": pv.TraceELBO(pv.DReG(), 4), "many": "dreg"}, program_of("funnel"))
    assert list(found.by_name) == ["few", "many"]
    assert found.by_name["many"].estimator == pv.DReG()


def test_a_list_of_one_is_a_study_of_one() -> None:
    entries = entries_of(None, ["dreg"], program_of("funnel"))
    assert (list(entries.by_name), entries.several) == (["dreg"], True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["iwae", pv.IWAE()], "'iwae' is there twice"),
        ([], "at least one estimator"),
        (["iwae", "drek"], "Nearest: dreg"),
        (["iwae", 3], "estimator 'int': expected an estimator"),
        ({"a": 3.0}, "estimator 'a': expected an estimator"),
    ],
)
def test_what_is_no_list_of_estimators_is_refused(given: Any, said: str) -> None:
    with pytest.raises(pv.OptionError, match=said):
        named(None, given)


def test_an_elbo_is_copied_for_each_fit_because_it_remembers() -> None:
    elbo = pv.TraceELBO(pv.ScoreFunction("moving-average"), 4)
    (entry,) = entries_of(None, {"a": elbo}, program_of("funnel")).by_name.values()
    assert entry.objective() is not elbo
    assert entry.objective().estimator == elbo.estimator
    elbo.control = torch.nn.BatchNorm1d(1)  # what an ELBO that was used before has learnt
    entry.objective().control.running_mean.fill_(7.0)
    assert elbo.control.running_mean.item() == 0
