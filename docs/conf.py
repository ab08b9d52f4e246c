"""How the pages of this folder become a site: `make docs` writes it to build/docs."""

import re
from pathlib import Path

from sphinx.application import Sphinx

from oodl import __version__ as release

__all__ = ["release"]

project = "oodl"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]

myst_heading_anchors = 4  # so that a link to a heading is checked as one to a page is
nitpick_ignore_regex = [("py:.*", r".*")]

autodoc_typehints = "none"  # the docstrings have them
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "oodl"
html_show_copyright = html_show_sphinx = False
html_copy_source = html_show_sourcelink = False

# Files of the project that are pages here as well: a link to the file is one to its page.
PAGES = {
    "benchmarks/README.md": "measurements",
    "CHANGELOG.md": "changes",
    "SECURITY.md": "vulnerabilities",
}
ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)")


def _to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead links to files of the project that are pages to the pages."""
    folder = (Path(app.srcdir) / name).parent

    def page(link: re.Match[str]) -> str:
        place = (folder / link[1]).resolve()
        found = place.is_relative_to(ROOT) and PAGES.get(str(place.relative_to(ROOT)))
        return f"](/{found}.md" if found else link[0]

    source[0] = LINK.sub(page, source[0])


def setup(app: Sphinx) -> None:
    """Have links followed before a page is read."""
    app.connect("source-read", _to_pages)
