"""Every seeded fault is found, at its site, and what is said says what to write."""

from __future__ import annotations

import pytest

import pyro_vae as pv
from pyro_vae.studies.checking.registry import ROWS, row
from tests.studies.checking import faults_of_numbers, faults_of_sites

FAULTS = [*faults_of_sites.FAULTS, *faults_of_numbers.FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_found_and_named(fault):
    model, guide, data = fault.make()
    check = pv.check(model, guide, data, **fault.options)
    codes = [finding.code for finding in check]
    assert fault.code in codes, str(check)
    found = [one for one in check if one.code == fault.code and fault.subject in (one.site, one.plate, one.parameter)]
    assert any(fault.words in f"{one.instead} {one.line}" for one in found), str(check)
    assert all(one.severity == row(fault.code).severity for one in found)
    assert check.ok == all(one.severity == "warning" for one in check)
    assert set(codes) <= {fault.code, *fault.also}, str(check)


def test_every_kind_of_finding_has_a_seeded_fault():
    assert {one.code for one in FAULTS} == {one.code for one in ROWS}
