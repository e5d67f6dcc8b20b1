"""How the documentation is built: Markdown pages, any page in this folder is found by itself."""

from importlib.metadata import version as version_of

project = "jobsaga"
author = "jobsaga contributors"
copyright = "2026, jobsaga contributors"
release = version = version_of("jobsaga")

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"jobsaga {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
nitpicky = True
