"""Logistic regression: is a breast tumour benign, judging by thirty measurements of its cell nuclei?

For 569 biopsies, thirty features of the cell nuclei (radius, texture, concavity, ...; the mean, the standard error
and the worst of each) were measured from a digitised image. Columns are standardised and an intercept is added, which
makes 31:

.. math:: \\beta_j \\sim N(0, 1), \\quad j = 0, \\dots, 30, \\qquad
          y_i \\sim \\text{Bernoulli}(\\sigma(x_i^\\top \\beta)), \\quad y_i = 1 \\text{ if benign}

The data are nearly separable and the columns strongly correlated (radius, perimeter and area are one thing), so the
prior matters, and a guide of independent normals makes the coefficients far too certain.

Source: W. N. Street, W. H. Wolberg, O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993);
the data as scikit-learn carries them (``sklearn.datasets.load_breast_cancer``, from the UCI repository, CC BY 4.0).
"""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

_MEASURED = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points",
             "symmetry", "fractal dimension"]  # fmt: skip
coords = {
    "column": [
        "intercept",
        *(f"mean {name}" for name in _MEASURED),
        *(f"{name} error" for name in _MEASURED),
        *(f"worst {name}" for name in _MEASURED),
    ]
}
dims = {"beta": ["column"], "y": ["biopsy"]}


def load() -> dict[str, Tensor]:
    """The design matrix ``x`` ``[569, 31]``, first column 1, the others standardised; ``y`` ``[569]`` of 0 and 1."""
    from sklearn.datasets import load_breast_cancer

    measured, benign = load_breast_cancer(return_X_y=True)
    features = torch.as_tensor(measured, dtype=torch.float64)
    features = (features - features.mean(0)) / features.std(0, correction=0)
    x = torch.cat([torch.ones(len(features), 1, dtype=torch.float64), features], 1)
    return {"x": x.to(torch.get_default_dtype()), "y": torch.as_tensor(benign).to(torch.get_default_dtype())}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of the coefficients ``beta`` ``[31]`` and the outcomes ``y`` ``[569]``.

    Both plates lie on the last dim, so with K particles ``beta`` is ``[K, 31]`` and one matrix product makes the
    logits.
    """
    with pyro.plate("column", x.shape[1]):
        beta = pyro.sample("beta", dist.Normal(0.0, 1.0))
    logits = beta @ x.T
    with pyro.plate("biopsy", x.shape[0]):
        pyro.sample("y", dist.Bernoulli(logits=logits), obs=y)


if __name__ == "__main__":
    import pyro_vae as pv

    print(pv.compare(__file__).verdict)
