"""The examples of docs/loading.md run; those of frameworks that are not installed are left out."""

import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "loading.md"
BLOCK = re.compile(r"(?:^<!-- needs: (?P<needs>\w+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.M)


class Example(NamedTuple):
    """A block of code, with the module that it needs and the line that it starts in."""

    code: str
    needs: str | None
    line: int


def examples():
    """The Python blocks of the guide, by section."""
    sections = {}
    text = GUIDE.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match["language"] == "python":
            title = re.findall(r"^## (.*)$", text[: match.start()], re.M)[-1]
            line = text.count("\n", 0, match.start("code"))
            sections.setdefault(title, []).append(Example(match["code"], match["needs"], line))
    return sections


EXAMPLES = examples()


def test_every_section_has_examples():
    titles = re.findall(r"^## (.*)$", GUIDE.read_text(encoding="utf-8"), re.M)
    assert list(EXAMPLES) == titles
    assert GUIDE.read_text(encoding="utf-8").count("```python") == sum(map(len, EXAMPLES.values()))


@pytest.mark.parametrize("title", EXAMPLES)
@pytest.mark.filterwarnings("default")  # those of other frameworks are not ours to mend
def test_the_examples_of_a_section_run(title, built_root, capsys):
    names = {"root": built_root, "__name__": "guide"}
    for example in EXAMPLES[title]:
        if example.needs and importlib.util.find_spec(example.needs) is None:
            pytest.skip(f"{example.needs} is not installed")
        code = compile("\n" * example.line + example.code, str(GUIDE), "exec")  # so that errors name their line
        exec(code, names)
