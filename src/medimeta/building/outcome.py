"""What became of the samples of a build, and the one error for all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.recipes.recipe import Sample
from medimeta.recipes.refusal import Fault, refuse

KEPT = "What is finished is kept for the next build."


@dataclass
class Outcome:
    """What is wrong so far.

    Attributes
    ----------
    broken : list of SourceError
        Why a stream of images ended before its end.
    missing : list of Sample
        What should have come from a stream, but did not.
    problems : list of str
        Why samples cannot be rendered.
    """

    broken: list[SourceError] = field(default_factory=list)
    missing: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def refuse(self, where: str, datasets: str, total: int) -> None:
        """Raise the error for all that is wrong; return where nothing is.

        Raises
        ------
        SourceError
            Of the kind of what comes first: a broken stream, images that are missing, images that do not decode.
        """
        faults: list[Fault] = []
        if self.broken:
            problems = [problem for error in self.broken for problem in error.problems or (str(error),)]
            faults.append(Fault("not all archives of images can be read", type(self.broken[0]), problems))
        if self.missing:
            problems = [f"{sample.original_filepath}: is in none of the archives" for sample in self.missing]
            said = f"lacks {len(self.missing)} of {total} images"
            faults.append(Fault(said, SourceNotFoundError, problems, "Check that the download is whole."))
        if self.problems:
            said = f"{len(self.problems)} of {total} samples of {datasets} cannot be rendered"
            faults.append(Fault(said, DamagedSourceError, sorted(self.problems)))
        if faults:
            last = faults.pop()
            way_out = f"{last.way_out} {KEPT}".strip()
            refuse(where, [*faults, last._replace(said=f"{last.said}, so nothing was published", way_out=way_out)])
