"""What a comparison found, told to a person: one HTML file, the figures as files, a table in the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.report.content import ReportContent as ReportContent
    from pyro_vae.report.figures import all_figures as all_figures
    from pyro_vae.report.figures import save_figures as save_figures
    from pyro_vae.report.gradients import print_gradients as print_gradients
    from pyro_vae.report.html import write_html as write_html
    from pyro_vae.report.terminal import print_report as print_report
    from pyro_vae.report.vae_content import VAEContent as VAEContent
    from pyro_vae.report.vae_html import write_vae_html as write_vae_html
    from pyro_vae.report.vae_terminal import print_vae_report as print_vae_report

_HOME = {
    "ReportContent": "content",
    "VAEContent": "vae_content",
    "all_figures": "figures",
    "print_gradients": "gradients",
    "print_report": "terminal",
    "print_vae_report": "vae_terminal",
    "save_figures": "figures",
    "write_html": "html",
    "write_vae_html": "vae_html",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
