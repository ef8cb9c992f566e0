"""A posterior as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

MOST_ROWS = 40


def print_parameters(tree: xr.DataTree, *, chains: bool) -> None:
    """Mean, sd and quantiles of every scalar parameter, 80 columns wide; with ``chains`` its ESS and R-hat too."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from pyro_vae.posterior.datatree import scalar_parameters

    parameters = scalar_parameters(tree)
    table = Table(box=None, pad_edge=False)
    table.add_column("parameter", overflow="fold")
    for heading in ("mean", "sd", "5 %", "50 %", "95 %", *(("ESS", "R-hat") if chains else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, draws in list(parameters.items())[:MOST_ROWS]:
        numbers = [draws.mean(), draws.std(), *np.quantile(draws, [0.05, 0.5, 0.95])]
        table.add_row(name, *(f"{number:.4g}" for number in numbers), *(_mixing(draws) if chains else ()))
    console = Console(width=80, highlight=False, markup=False)
    console.print(table)
    if len(parameters) > MOST_ROWS:
        console.print(f"... and {len(parameters) - MOST_ROWS} more parameters; --out FILE.nc writes all of them.")


def _mixing(draws: np.ndarray) -> tuple[str, str]:
    import numpy as np
    from arviz_stats.base import array_stats

    with np.errstate(divide="ignore", invalid="ignore"):
        ess, rhat = np.asarray(array_stats.ess(draws)), np.asarray(array_stats.rhat(draws))
    return f"{ess.item():.0f}", f"{rhat.item():.3f}"
