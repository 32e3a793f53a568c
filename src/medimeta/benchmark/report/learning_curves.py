"""Learning curves: loss and validation AUROC over the epochs, and the epoch that was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medimeta.benchmark.report.plot import (
    WIDTH,
    Axis,
    Entry,
    Figure,
    Panel,
    counting_axis,
    fitted_axis,
    fitted_share_axis,
    series_style,
    svg,
)


@dataclass(frozen=True)
class Training:
    """The epochs of one run.

    Attributes
    ----------
    seed : int
        Of the run.
    history : sequence of mapping
        ``train_loss``, ``val_loss`` and ``val_auroc`` of each epoch; None for what is not defined.
    best_epoch : int
        The epoch that was tested, counted from 1.
    chosen_by : str
        The figure by which it was chosen.
    """

    seed: int
    history: Sequence[Mapping[str, Any]]
    best_epoch: int
    chosen_by: str

    def values(self, name: str) -> list[float]:
        """Return a figure of every epoch; NaN where there is none."""
        return [float("nan") if epoch.get(name) is None else float(epoch[name]) for epoch in self.history]


def learning_figure(runs: Sequence[Training]) -> Figure | None:
    """Draw the epochs of one model; None where none was recorded.

    Parameters
    ----------
    runs : sequence of Training
        One for each seed.
    """
    last = max((len(run.history) for run in runs), default=0)
    if not last:
        return None
    losses = [value for run in runs for name in ("train_loss", "val_loss") for value in run.values(name)]
    aurocs = [value for run in runs for value in run.values("val_auroc")]
    # A loss that shot up once must not press the rest flat.
    known = sorted(value for value in losses if value == value)
    high = min(known[-1], 4 * known[len(known) // 2]) if known else 1.0
    epochs = counting_axis("epoch", last)
    silent = Axis(epochs.low, epochs.high, [(value, "") for value, _ in epochs.ticks])
    above = Panel(34, 26, WIDTH - 46, 108, silent, fitted_axis("loss", [high]))
    below = Panel(
        34, 164, WIDTH - 46, 108, epochs, fitted_share_axis("validation AUROC", [v for v in aurocs if v == v])
    )
    legend = []
    rings: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for index, run in enumerate(runs):
        colour = series_style(index).split()[0]
        steps = range(1, len(run.history) + 1)
        named = f"seed {run.seed}"
        for name, dash in (("train_loss", "d0"), ("val_loss", "d1")):
            values = [min(value, above.y.high) for value in run.values(name)]
            above.line(steps, values, f"{colour} {dash} s{index}", f"{named}, {name.replace('_', ' ')}")
        values = run.values("val_auroc")
        below.line(steps, values, f"{colour} d0 s{index}", f"{named}, validation AUROC")
        panel, name = (below, "val_auroc") if run.chosen_by == "val_auroc" else (above, "val_loss")
        best = run.values(name)[run.best_epoch - 1] if 0 < run.best_epoch <= len(run.history) else float("nan")
        if best == best:
            told = f"{named}: epoch {run.best_epoch} was chosen, {name.replace('val_', 'validation ')} {best:.3f}"
            panel.dot(run.best_epoch, min(best, panel.y.high), f"chosen {colour} s{index}", told, radius=4.5)
            rings.setdefault((name, run.best_epoch), []).append((run.seed, best))
        legend.append(Entry(f"{colour} d0 s{index}", named, f"epoch {run.best_epoch} of {len(run.history)}"))
    for (name, epoch), chosen in rings.items() if len(runs) > 1 else ():  # so that colour is not all that tells them
        panel, high = (below if name == "val_auroc" else above), max(value for _, value in chosen)
        anchor = "end" if epoch > 0.85 * last else "middle"
        seeds = ", ".join(str(seed) for seed, _ in chosen)
        at = min(high, panel.y.high)
        below_it = panel.down(at) < panel.top + 12  # above it stands what the axis shows
        panel.text(epoch, at, seeds, f"ring {anchor}", raised=-15 if below_it else 8)
    legend.append(Entry("ink d1", "validation loss, dashed"))
    by = "validation AUROC" if all(run.chosen_by == "val_auroc" for run in runs) else "validation loss"
    whose = "; the number is the seed" if len(runs) > 1 else ""
    caption = (
        f"Solid: training loss; dashed: loss on the validation split. The ring marks the epoch with the best {by}, "
        f"which was tested{whose}. Training loss that falls while validation loss rises is overfitting."
    )
    drawing = svg(314, f"Learning curves over {last} epochs", above.drawn(), below.drawn())
    return Figure("Learning curves", drawing, caption, legend)
