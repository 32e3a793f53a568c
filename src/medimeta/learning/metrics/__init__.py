"""Figures of how well scores tell the classes of a task, each with a bootstrap interval.

`evaluation` and `comparison` are what users call. `ranking`, `decisions` and `calibration` hold one family of figures
each, `figures` puts them together under sample weights, and `bootstrap` draws the weights.
"""

from medimeta.learning.metrics.comparison import Comparison as Comparison
from medimeta.learning.metrics.comparison import Difference as Difference
from medimeta.learning.metrics.comparison import compare as compare
from medimeta.learning.metrics.evaluation import evaluate as evaluate
from medimeta.learning.metrics.evaluation import macro_auroc as macro_auroc
from medimeta.learning.metrics.scores import FIGURES as FIGURES
from medimeta.learning.metrics.scores import AbsentRule as AbsentRule
from medimeta.learning.metrics.scores import ClassScores as ClassScores
from medimeta.learning.metrics.scores import Scores as Scores
