"""How Sphinx builds these pages: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for mathml, the figures, and gallery_figures, which sphinx-gallery loads by name

from pyro_vae import __version__  # noqa: E402

project = "pyro-vae"
author = "the authors of pyro-vae"
version = release = __version__

extensions = [
    "distribution_figures",
    "estimator_figures",
    "mathml",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["*.py", "benchmarks/*.md"]
nitpicky = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

# Copy code and commands without their prompts, and without the output below them.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/[^_][^/]*\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("gallery_figures",),
    "reset_modules": ("matplotlib", "gallery_figures.fresh_pyro"),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 5,
    "plot_gallery": "True",
}

html_theme = "furo"
html_math_renderer = "mathml"
html_show_copyright = False
html_title = f"pyro-vae {version}"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme_options = {"navigation_with_keys": True}
