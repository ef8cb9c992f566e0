"""One picture per file: draws (``DataTree``) or a diagnostic's numbers in, a matplotlib ``Figure`` out.

Every figure stands for itself: no pyplot, no state outside the ``Figure``, no torch. ``style`` holds the look of all.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.plots.aggregated import plot_aggregated as plot_aggregated
    from pyro_vae.plots.bound import plot_bound as plot_bound
    from pyro_vae.plots.calibration import plot_sbc as plot_sbc
    from pyro_vae.plots.calibration import plot_vsbc as plot_vsbc
    from pyro_vae.plots.estimators import Reached as Reached
    from pyro_vae.plots.estimators import plot_estimators as plot_estimators
    from pyro_vae.plots.forest import plot_forest as plot_forest
    from pyro_vae.plots.gradients import plot_gradients as plot_gradients
    from pyro_vae.plots.images import in_grid as in_grid
    from pyro_vae.plots.images import plot_images as plot_images
    from pyro_vae.plots.images import plot_reconstructions as plot_reconstructions
    from pyro_vae.plots.latent_map import plot_latent_map as plot_latent_map
    from pyro_vae.plots.latent_use import plot_latent_use as plot_latent_use
    from pyro_vae.plots.marginals import plot_marginals as plot_marginals
    from pyro_vae.plots.pair import plot_pair as plot_pair
    from pyro_vae.plots.predictive import plot_predictive as plot_predictive
    from pyro_vae.plots.ranks import plot_ranks as plot_ranks
    from pyro_vae.plots.terms import plot_terms as plot_terms
    from pyro_vae.plots.weights import plot_weights as plot_weights

_HOME = {
    "Reached": "estimators",
    "in_grid": "images",
    "plot_aggregated": "aggregated",
    "plot_bound": "bound",
    "plot_estimators": "estimators",
    "plot_forest": "forest",
    "plot_gradients": "gradients",
    "plot_images": "images",
    "plot_latent_map": "latent_map",
    "plot_latent_use": "latent_use",
    "plot_marginals": "marginals",
    "plot_pair": "pair",
    "plot_predictive": "predictive",
    "plot_ranks": "ranks",
    "plot_sbc": "calibration",
    "plot_vsbc": "calibration",
    "plot_reconstructions": "images",
    "plot_terms": "terms",
    "plot_weights": "weights",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
