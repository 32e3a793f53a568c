"""The catalogue and its verbs need no heavy library."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "h5py", "numpy", "PIL", "lightning", "timm")


@pytest.mark.parametrize(
    "work",
    [
        "import medimeta; dir(medimeta)",
        "import medimeta as mm; assert mm.task('oct/disease class') in mm.tasks() and len(mm.datasets()) == 19",
        "import medimeta.cli.boundary as b; assert b.run(['list', '--json']) == 0",
        "import medimeta.cli.boundary as b; assert b.run(['show', 'bus', '--bibtex']) == 0",
        "import medimeta.cli.boundary as b; assert b.run(['build', '--help']) == 0",
    ],
)
def test_no_heavy_library_is_imported(work):
    code = f"{work}\nimport sys\nprint('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_import_makes_no_file_and_reads_no_card(tmp_path):
    code = "import medimeta, sys; print('yaml' in sys.modules, 'medimeta.catalogue' in sys.modules)"
    home = {"HOME": str(tmp_path), "MEDIMETA_ROOT": str(tmp_path / "root")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=home
    )
    assert done.stdout.split() == ["False", "False"]
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_of_the_package_are_attribute_errors():
    import medimeta

    with pytest.raises(AttributeError, match="has no attribute 'nosuch'"):
        medimeta.nosuch  # noqa: B018
    assert set(medimeta.__all__) <= set(dir(medimeta))
