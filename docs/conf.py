"""Settings of Sphinx for the site; ``docs/_tools/build.py`` gathers the sources and builds."""

project = "la_outcomes"
html_title = "la_outcomes"
extensions = ["myst_parser"]
html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
pygments_style = "friendly"
smartquotes = False  # options begin with two hyphens
