"""What holds for every figure: it is readable, leaves no state behind, and says what it needs when it lacks it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from pyro_vae import plots
from pyro_vae.errors import OptionError
from pyro_vae.plots import style
from pyro_vae.posterior.datatree import build
from tests.plots import trees, vaes
from tests.plots.looks import assert_readable

TAILS = {
    "auto_normal": SimpleNamespace(khat=0.91, constant=False),
    "auto_multivariate_normal": SimpleNamespace(khat=0.63, constant=False),
}
HISTORIES = {"auto_normal": trees.history(-33.4), "auto_multivariate_normal": trees.history(-32.2, 5000, 1, 2.7)}
ESTIMATORS = {"reparameterized": trees.history(-33.4), "score-function:leave-one-out": trees.history(-32, gap=0.9)}
REACHED = {"reparameterized": plots.Reached(-33.4, 0.01, 0.91)}

GRADIENTS = [
    trees.gradient_noise(name, place, objective, variance, biased)
    for place in ("start", "fit")
    for name, objective, variance, biased in (
        ("reparameterized", "ELBO", 40.0, "no"),
        ("score-function:leave-one-out", "ELBO", 9e5, "no"),
        ("of my own, with a name that is long", "ELBO", 0.0, "yes"),
        ("dreg", "IWAE (K=16)", 3.0, "no"),
        ("iwae", "IWAE (K=16)", 5.0, "no"),
        ("cubo", "CUBO 2 (K=16)", 5.0, "by design"),
    )
]
PITS = {
    "mu": np.random.default_rng(0).uniform(size=150),
    "tau": np.random.default_rng(1).beta(1, 2.5, size=150),
    **{f"theta[Phillips Andover {i}]": np.random.default_rng(i).beta(0.8, 0.8, size=150) for i in range(2, 14)},
}
IMAGES = np.random.default_rng(0).uniform(size=(3, 5, 8, 8, 3))

WIDTHS = (style.WIDTH, style.NARROW)

FIGURES: dict[str, Callable[..., Figure]] = {
    "aggregated": lambda schools, **size: plots.plot_aggregated(
        vaes.CODES, vaes.PRIOR, vaes.NAMES, vaes.DISTANCES, **size
    ),
    "bound": lambda schools, **size: plots.plot_bound(HISTORIES, log_evidence=-31.3113, **size),
    "estimators": lambda schools, **size: plots.plot_estimators(ESTIMATORS, REACHED, log_evidence=-31.3113, **size),
    "forest": lambda schools, **size: plots.plot_forest(schools.posteriors, schools.baseline, **size),
    "gradients": lambda schools, **size: plots.plot_gradients(GRADIENTS, **size),
    "images": lambda schools, **size: plots.plot_images(IMAGES, rows=["from the prior"] * 3, columns="abcde", **size),
    "latent_map": lambda schools, **size: plots.plot_latent_map(
        vaes.POINTS, vaes.LABELS, note="Of 8 dimensions, the two with most KL.", **size
    ),
    "latent_use": lambda schools, **size: plots.plot_latent_use(
        vaes.NAMES, vaes.KL, 0.02 * vaes.KL, collapsed=vaes.KL < 0.01, **size
    ),
    "marginals": lambda schools, **size: plots.plot_marginals(schools.posteriors, schools.baseline, **size),
    "pair": lambda schools, **size: plots.plot_pair(schools.posteriors, schools.baseline, **size),
    "predictive": lambda schools, **size: plots.plot_predictive(schools.posteriors, schools.baseline, **size),
    "ranks": lambda schools, **size: plots.plot_ranks(schools.baseline, **size),
    "sbc": lambda schools, **size: plots.plot_sbc(PITS, **size),
    "vsbc": lambda schools, **size: plots.plot_vsbc(PITS, **size),
    "reconstructions": lambda schools, **size: plots.plot_reconstructions(IMAGES[0], 1 - IMAGES[0], **size),
    "terms": lambda schools, **size: plots.plot_terms(vaes.TERMS, **size),
    "weights": lambda schools, **size: plots.plot_weights(schools.posteriors, TAILS, **size),
}


def test_the_table_has_every_figure() -> None:
    assert {f"plot_{name}" for name in FIGURES} == {name for name in plots.__all__ if name.startswith("plot_")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_lies_over_another(name: str, width: float, schools: SimpleNamespace) -> None:
    figure = FIGURES[name](schools, width=width)
    assert_readable(figure)
    assert figure.get_figwidth() == width


@pytest.mark.parametrize("name", FIGURES)
def test_matplotlibs_settings_are_neither_changed_nor_used(name: str, schools: SimpleNamespace) -> None:
    with mpl.rc_context({"lines.linewidth": 17.0, "axes.facecolor": "red", "font.size": 40.0}):
        before = dict(mpl.rcParams)
        figure = FIGURES[name](schools)
        assert dict(mpl.rcParams) == before
    assert all(axes.get_facecolor() != (1.0, 0.0, 0.0, 1.0) for axes in figure.axes)
    assert_readable(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_all_colours_have_a_second_value_for_dark_pages(name: str, schools: SimpleNamespace) -> None:
    written = io.StringIO()
    style.save(FIGURES[name](schools), written, "svg")
    found = {part[:7].lower() for part in written.getvalue().split(": #")[1:]}
    used = {"#" + part[:6] for part in found}
    assert used <= set(style.DARK), f"not in style.DARK: {used - set(style.DARK)}"


def test_drawing_imports_no_pyplot() -> None:
    code = (
        "import sys; from tests.plots import trees; from pyro_vae.plots import plot_marginals, plot_pair\n"
        "tree = trees.normal_tree(['a', 'b'])\n"
        "plot_marginals({'mine': tree}, tree); plot_pair({'mine': tree}, tree)\n"
        "print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False", "False"]


def test_a_figure_that_lacks_what_it_shows_says_so() -> None:
    bare = build({"posterior": {"z": np.random.default_rng(0).normal(size=(1, 50))}})
    with pytest.raises(OptionError, match="two scalar parameters; the draws have 1"):
        plots.plot_pair({"mine": bare}, bare)
    with pytest.raises(OptionError, match="`log_p` and `log_q`"):
        plots.plot_weights({"mine": bare}, {"mine": SimpleNamespace(khat=0.1, constant=False)})
    with pytest.raises(OptionError, match="predictive=True"):
        plots.plot_predictive({"mine": bare}, bare)
    with pytest.raises(OptionError, match=r"images: expected images \[rows, columns, H, W\].*got shape \(8, 8\)"):
        plots.plot_images(np.zeros((8, 8)))
    with pytest.raises(OptionError, match="finite bound"):
        plots.plot_bound({"mine": SimpleNamespace(bound=np.full(9, np.nan), seconds=np.arange(9.0))})
    with pytest.raises(OptionError, match="finite bound"):
        plots.plot_estimators({"mine": SimpleNamespace(**dict.fromkeys(("bound", "elbo", "seconds"), np.empty(0)))})
    with pytest.raises(OptionError, match=r"of 'model': expected one of \['guide'\]"):
        plots.plot_gradients(GRADIENTS, of="model")
    with pytest.raises(OptionError, match="'theta' is not in the draws; they have: z"):
        plots.plot_marginals({"mine": bare}, bare, parameters=["theta"])
    with pytest.raises(OptionError, match=r"the fit recorded no terms: .*terms=True"):
        plots.plot_terms(None)
    with pytest.raises(OptionError, match="at most 12 different ones, got 13"):
        plots.plot_latent_map(np.zeros((13, 2)), np.arange(13))
    with pytest.raises(OptionError, match=r"expected an array \[N, 2\], got shape \(3, 3\)"):
        plots.plot_latent_map(np.zeros((3, 3)))
    with pytest.raises(OptionError, match="at least one component"):
        plots.plot_latent_use([], np.zeros(0))
    with pytest.raises(OptionError, match=r"expected \[N, 2\] and \[M, 2\], got \(9, 2\) and \(9, 3\)"):
        plots.plot_aggregated(np.zeros((9, 2)), np.zeros((9, 3)), ["a", "b"], np.zeros(2))
    with pytest.raises(OptionError, match="'theta' is not in the draws; they have: z"):
        plots.plot_ranks(bare, parameters=["theta"])
