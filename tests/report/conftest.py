"""Contents of reports that the tests share; judging and drawing them takes longer than testing them."""

from __future__ import annotations

import pytest

from pyro_vae.report import ReportContent
from pyro_vae.report.html import render
from pyro_vae.report.vae_content import VAEContent
from tests.report import contents, vae_contents


@pytest.fixture(scope="session")
def schools() -> ReportContent:
    """Eight schools, two guides, neither to be trusted."""
    return contents.eight_schools()


@pytest.fixture(scope="session")
def schools_page(schools: ReportContent) -> str:
    """Its report."""
    return render(schools)


@pytest.fixture(scope="session")
def bimodal() -> ReportContent:
    """One guide on one of two modes, exact draws, no fit and no predictions."""
    return contents.bimodal()


@pytest.fixture(scope="session")
def estimators() -> ReportContent:
    """Gradient estimators, one of which diverged."""
    return contents.estimators()


@pytest.fixture(scope="session")
def many() -> ReportContent:
    """Sixty parameters with long names, three guides, the first of them right."""
    return contents.many()


@pytest.fixture(scope="session")
def autoencoder() -> VAEContent:
    """A VAE of images, two of whose rows were judged on NUTS."""
    return vae_contents.images()


@pytest.fixture(scope="session")
def collapsed() -> VAEContent:
    """A VAE of sentences whose code is lost."""
    return vae_contents.sentences()
