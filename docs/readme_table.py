"""Write the table of datasets in README.md anew from the catalogue: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.views import markdown_table

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- datasets: made by `make docs` -->\n", "<!-- end of datasets -->"


def renewed(text: str) -> str:
    """Return the README's text with the table of today's catalogue between the two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{markdown_table(default_catalogue())}{END}{after}"


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
