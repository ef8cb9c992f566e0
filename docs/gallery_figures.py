"""How the gallery finds the figures of an example: any Matplotlib figure that one of its variables holds.

Figures of ``pyro_vae.plots`` are not registered with pyplot, so sphinx-gallery's own scraper does not see them.
"""

from __future__ import annotations

import warnings
from typing import Any

import pyro
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save each figure that is new since the last block; return the reStructuredText that shows it."""
    saved = block_vars["example_globals"].setdefault("_saved_figures", set())
    paths = []
    for value in list(block_vars["example_globals"].values()):
        if isinstance(value, Figure) and id(value) not in saved:
            saved.add(id(value))
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=150, bbox_inches="tight")
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Any:
    """Sphinx-gallery asks a module that is named as a scraper for this function."""
    return scrape


def fresh_pyro(gallery_conf: dict[str, Any], fname: str) -> None:
    """Each example starts from an empty param store and a fixed seed; Lightning's own deprecations stay out of it."""
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
