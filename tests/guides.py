"""Run the examples of a guide below docs/, as a reader would who has the datasets in ./data."""

import doctest
import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def text_of(name):
    """The text of a guide."""
    return (DOCS / name).read_text(encoding="utf-8")


def run_examples(name, root, folder, monkeypatch, capsys, *, least):
    """Run the Python blocks of a guide from top to bottom in `folder`, where they find the datasets of `root`."""
    (folder / "data").symlink_to(root)
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", text_of(name), re.DOTALL)
    assert all(block.startswith(">>> ") for block in blocks)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, str(DOCS / name), 0)
    found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert found.attempted >= least
    assert found.failed == 0, capsys.readouterr().out
