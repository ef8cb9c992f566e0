"""The house itself: what importing costs, that every public name is there, and that errors are one family."""

from __future__ import annotations

import inspect
import itertools
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import pyro_vae
from pyro_vae import errors

HEAVY = (
    "torch",
    "pyro",
    "matplotlib",
    "arviz",
    "arviz_stats",
    "arviz_plots",
    "pandas",
    "xarray",
    "nutpie",
    "rich",
    "jinja2",
)
PACKAGES = (
    "distributions",
    "datasets",
    "particles",
    "estimators",
    "guides",
    "nets",
    "potential",
    "posterior",
    "mcmc",
    "diagnostics",
    "plots",
    "report",
    "training",
    "studies",
    "vae",
    "vae.latents",
    "vae.likelihoods",
    "vae.priors",
)


def modules_after(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded once it has run ``statement``."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import pyro_vae", HEAVY),
        ("import pyro_vae.cli", HEAVY),
        ("import pyro_vae.particles.data", ("pyro",)),
        ("import pyro_vae.estimators as e; [getattr(e, name) for name in e.__all__]", ("pyro",)),
        ("import pyro_vae.nets as n; [getattr(n, name) for name in n.__all__]", ("pyro",)),
        ("import pyro_vae.posterior.datatree", ("torch", "pyro", "matplotlib")),
        ("import pyro_vae.diagnostics as d; [getattr(d, name) for name in d.__all__]", ("torch", "pyro", "matplotlib")),
        ("import pyro_vae.plots as p; [getattr(p, name) for name in p.__all__]", ("torch", "pyro")),
        ("import pyro_vae.report as r; [getattr(r, name) for name in r.__all__]", ("torch", "pyro")),
    ],
)
def test_importing_a_layer_loads_nothing_that_it_must_not_know(statement: str, absent: tuple[str, ...]) -> None:
    assert not modules_after(statement).intersection(absent)


@pytest.mark.parametrize("name", pyro_vae.__all__)
def test_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(pyro_vae, name)
    assert inspect.getdoc(value), f"pyro_vae.{name} has no docstring"
    assert value.__module__.startswith("pyro_vae."), f"pyro_vae.{name} comes from {value.__module__}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_of_a_package_resolves(package: str) -> None:
    module = import_module(f"pyro_vae.{package}")
    assert module.__doc__, f"pyro_vae.{package} has no docstring"
    missing = [name for name in module.__all__ if getattr(module, name, None) is None]
    assert not missing


def test_packages_of_parts_need_no_import_of_their_own() -> None:
    code = "import pyro_vae as pv; assert pv.nets.MLP and pv.vae.latents.Gaussian and 'nets' in dir(pv)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'TraceELBOW'"):
        pyro_vae.TraceELBOW  # noqa: B018


def test_no_module_has_the_name_of_a_public_function() -> None:
    # `import pyro_vae.compare` would put the module where the function `pyro_vae.compare` should be.
    for name in pyro_vae.__all__:
        with pytest.raises(ModuleNotFoundError):
            import_module(f"pyro_vae.{name}")


def test_public_list_and_dir_agree() -> None:
    assert set(pyro_vae.__all__) <= set(dir(pyro_vae))
    assert "__version__" in dir(pyro_vae)


ERRORS = [value for value in vars(errors).values() if inspect.isclass(value)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_public_documented_and_of_the_family(error: type[Exception]) -> None:
    assert issubclass(error, errors.PyroVaeError)
    assert getattr(pyro_vae, error.__name__) is error
    assert inspect.getdoc(error)
    assert str(error("site 'z'")) == "site 'z'"


def test_a_bad_option_is_a_value_error_too() -> None:
    assert issubclass(errors.OptionError, ValueError)


def test_a_diverged_fit_keeps_the_fit_so_far() -> None:
    assert errors.DivergedError("step 7", fit="the fit").fit == "the fit"


ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
# A package that stands on two levels, so that its modules are listed one by one.
SPLIT = ("posterior",)


def test_every_module_has_a_layer() -> None:
    contract = SETTINGS["tool"]["importlinter"]["contracts"][0]
    listed = {name.strip() for layer in contract["layers"] for name in layer.split(":")}
    package = ROOT / "pyro_vae"
    modules = {
        f"pyro_vae.{path.stem}"
        for path in package.iterdir()
        if not path.stem.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    modules -= {f"pyro_vae.{name}" for name in SPLIT}
    modules |= {f"pyro_vae.{name}.{path.stem}" for name in SPLIT for path in (package / name).glob("[!_]*.py")}
    assert modules <= listed, f"add these to the layers in pyproject.toml: {sorted(modules - listed)}"


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    project = SETTINGS["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonical(line.partition("==")[0]) for line in lines if "==" in line}
    assert {canonical(line) for line in wanted} <= pinned


def canonical(requirement: str) -> str:
    """The distribution's name as package indices compare it."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")
