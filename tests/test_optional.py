"""With the core alone installed, what is missing is named with the extra that brings it."""

import subprocess
import sys

import pytest

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocker())
"""


def run_without(blocked, code):
    command = [sys.executable, "-W", "error", "-c", BLOCKER.format(blocked=blocked) + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("blocked", "arguments", "message"),
    [
        (["torch", "timm", "lightning"], ["train", "bus", "--no-pretrained"], "pip install 'medimeta["),
        (["PIL"], ["build", "bus", "--source", "."], "this needs PIL, which is not installed. Install it with: pip"),
        (["timm"], ["train", "bus"], "pip install 'medimeta[train]'"),
    ],
)
def test_a_verb_says_what_to_install(built_root, blocked, arguments, message):
    code = f"from medimeta.cli.boundary import run; sys.exit(run({[*arguments, '--root', str(built_root)]!r}))"
    done = run_without(blocked, code)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [["train", "bus"], ["benchmark"], ["pretrain", "bus"], ["predict", "m"], ["demo"]])
def test_what_is_missing_is_asked_for_before_anything_heavy_is_imported(verb):
    code = f"from medimeta.cli.boundary import run; code = run({verb!r})"
    done = run_without(["timm"], f"{code}; assert 'torch' not in sys.modules; sys.exit(code)")
    assert (done.returncode, done.stdout) == (2, "")
    hint = "error: this needs timm, which is not installed. Install it with: pip install 'medimeta[train]'"
    assert done.stderr == f"{hint}\n"


def test_a_name_says_what_to_install():
    done = run_without(["torch"], "import medimeta as mm\ntry: mm.load\nexcept mm.MedimetaError as error: print(error)")
    assert done.stdout == "this needs torch, which is not installed. Install it with: pip install 'medimeta[torch]'\n"


def test_the_core_lists_verifies_reads_and_evaluates(built_root):
    code = f"""
import medimeta as mm
assert len(mm.datasets()) == 19
assert mm.verify('bus', {str(built_root)!r}).ok
images, labels = mm.load_arrays('bus/malignancy', root={str(built_root)!r}, split='test')
assert len(images) == len(labels)
assert mm.evaluate('bus/malignancy', [0, 1], [0.1, 0.9]).auroc == 1
"""
    done = run_without(["torch", "PIL", "timm", "lightning", "pandas", "safetensors"], code)
    assert done.returncode == 0, done.stderr
