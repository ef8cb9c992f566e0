"""The line that separates trusted from not: how far each parameter is from it, and which is furthest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MAX_SHIFT = 0.3
MAX_SD_FACTOR = 1.3
MAX_MCSE = 0.1


def misfit(table: pd.DataFrame) -> pd.Series:
    r"""How far off each parameter of a table is: below 1 is within the line, infinite where draws are not finite.

    .. math:: \max\!\left(\frac{|\Delta\text{mean}| + 2\,\text{MCSE}}{.3},
              \frac{|\ln(\text{sd} / \text{baseline sd})|}{\ln 1.3}\right)

    >>> import pandas as pd
    >>> misfit(pd.DataFrame({"delta_mean": [0.1, -0.5], "mcse": 0.05, "sd_ratio": [0.9, 1.0]})).round(2).tolist()
    [0.67, 2.0]
    """
    import pandas as pd

    shift = (table["delta_mean"].abs() + 2 * table["mcse"]).to_numpy() / MAX_SHIFT
    with np.errstate(divide="ignore"):
        spread = np.abs(np.log(table["sd_ratio"].to_numpy())) / np.log(MAX_SD_FACTOR)
    return pd.Series(np.maximum(shift, spread), index=table.index).fillna(np.inf)


def all_within(table: pd.DataFrame) -> bool:
    """Whether every parameter is within the line, and known well enough to say so."""
    return bool((misfit(table) < 1).all()) and least_precise(table) is None


def worst_parameter(table: pd.DataFrame) -> str:
    """The parameter that is furthest off; the first, of several that are infinitely far."""
    return str(misfit(table).idxmax())


def least_precise(table: pd.DataFrame) -> str | None:
    """The parameter whose mean has the largest Monte-Carlo error, if above .1 sd of the wider marginal; else None.

    Of the wider one, because the error of a guide's mean grows with its sd: a guide that is far too wide is wrong,
    whatever its mean. Draws that are not finite are a misfit, not a matter of precision.
    """
    mcse, sd_ratio = (table[name].to_numpy(dtype=np.float64) for name in ("mcse", "sd_ratio"))
    error = np.nan_to_num(mcse, nan=np.inf) / np.maximum(sd_ratio, 1.0)
    error = np.where(np.isnan(sd_ratio), 0.0, error)
    return str(table.index.tolist()[error.argmax()]) if error.max(initial=0.0) > MAX_MCSE else None
