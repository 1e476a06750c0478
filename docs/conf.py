"""How Sphinx builds the site: `python -m sphinx -W docs docs/_build`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext"), str(ROOT / "tests" / "support")]

import minigan  # noqa: E402

project = "minigan"
author = "the authors of minigan"
copyright = f"{author}, MIT licence"
version = release = minigan.__version__

extensions = ["myst_parser", "sphinx_copybutton", "mathml", "pages", "spans"]
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
highlight_language = "text"
smartquotes = False  # the dashes of options stay two
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 100
copybutton_exclude = ".linenos, .gp"
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre, .card pre"

html_theme = "furo"
html_math_renderer = "mathml"
html_title = "minigan"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["../examples/gallery/backprop_through_a_critic.html"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "tango"
pygments_dark_style = "monokai"
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {  # the colours of a run's report (minigan/training/report/page.css)
        "color-brand-primary": "#1d5fc4",
        "color-brand-content": "#1d5fc4",
        "color-brand-visited": "#7a3cc2",
        "color-background-primary": "#fbfaf7",
        "color-background-secondary": "#f5f3ee",
        "color-background-border": "#dedbd2",
        "color-foreground-primary": "#1c1b19",
        "color-foreground-secondary": "#57544d",
        "color-foreground-muted": "#6b6860",
        "color-code-background": "#f4f2ec",
        "color-api-name": "#7a3cc2",
        "color-api-pre-name": "#7a3cc2",
        "color-card": "#ffffff",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb0ff",
        "color-brand-content": "#7fb0ff",
        "color-brand-visited": "#c69cff",
        "color-background-primary": "#161514",
        "color-background-secondary": "#1c1b19",
        "color-background-border": "#3a3834",
        "color-foreground-primary": "#eceae4",
        "color-foreground-secondary": "#b5b1a7",
        "color-foreground-muted": "#a19d93",
        "color-code-background": "#201f1d",
        "color-api-name": "#c69cff",
        "color-api-pre-name": "#c69cff",
        "color-card": "#201f1d",
    },
}
