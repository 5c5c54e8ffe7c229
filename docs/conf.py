"""Configuration of the documentation."""

from importlib.metadata import version as installed_version

from sphinx.ext.napoleon import GoogleDocstring

project = "idemkit"
author = "the idemkit authors"
copyright = "the idemkit authors"  # noqa: A001 - Sphinx reads this name
version = release = installed_version("idemkit-toolkit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
# A page is listed by lying in the folder of its kind, and a kind may have no page yet.
suppress_warnings = ["toc.empty_glob"]
html_theme = "furo"
html_title = f"idemkit {release}"
html_theme_options = {"source_directory": "docs/"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings name parameters and classes in single backticks.
default_role = "code"
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Docstrings of attributes are prose: what stands before a colon in them is not a type.
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end  # noqa: SLF001
