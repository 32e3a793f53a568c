"""The application: every verb under its name. Modules of verbs import what they need when they run."""

from __future__ import annotations

from typing import Annotated

import typer

from medimeta._version import __version__
from medimeta.cli import (
    benchmark,
    build,
    demo,
    download,
    episodes,
    evaluate,
    list_datasets,
    new,
    predict,
    pretrain,
    report,
    show,
    stats,
    train,
    verify,
)

app = typer.Typer(
    name="medimeta",
    help="MedIMeta: 19 medical imaging datasets, 54 tasks, one format. Build them, load them, learn from them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"medimeta {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


app.command("list", epilog="Example: medimeta list --domain 'Retinal fundus' --target ordinal")(list_datasets.command)
app.command("show", epilog="Example: medimeta show bus --bibtex")(show.command)
app.command("build", epilog="Example: medimeta build bus pbc --source ~/Downloads --root data")(build.command)
app.command("download", epilog="Example: medimeta download bus pbc --root data")(download.command)
app.command("verify", epilog="Example: medimeta verify bus --deep")(verify.command)
app.command("stats", epilog="Example: medimeta stats 'bus/malignancy' --split train --json")(stats.command)
app.command("train", epilog="Example: medimeta train 'bus/case category' --backbone resnet18 --seeds 0,1,2")(
    train.command
)
app.command("evaluate", epilog="Example: medimeta evaluate predictions.csv --task 'bus/malignancy' --root data")(
    evaluate.command
)
app.command("pretrain", epilog="Example: medimeta pretrain --target oct --method maml --order 2 --shots 1-10")(
    pretrain.command
)
app.command("predict", epilog="Example: medimeta predict runs/model 'bus/malignancy' --split test --out scores.npz")(
    predict.command
)
app.command("benchmark", epilog="Example: medimeta benchmark --datasets bus,pbc --backbone resnet18,resnet50")(
    benchmark.command
)
app.command("report", epilog="Example: medimeta report runs --format html,md")(report.command)
app.command("episodes", epilog="Example: medimeta episodes 'oct/disease class' --shots 5 --out episodes.json")(
    episodes.command
)
app.command("demo", epilog="Example: medimeta demo --source ~/Downloads --out demo")(demo.command)
app.command("new", epilog="Example: medimeta new ~/my_cells --out my_cells.yaml")(new.command)
