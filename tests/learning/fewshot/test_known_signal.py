"""Every method finds what signal there is in all four kinds of task, and nothing that is not there."""

import math

import pytest

import medimeta as mm

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ("binary", "multi-class", "multi-label", "ordinal")
TINY = {"backbone": "test_resnet.r160_in1k", "weights": "none", "episodes": 12, "queries": 15}
METHODS = {
    "finetune": {"steps": 10, "learning_rate": 1e-2, "episodes": 5},
    "linear-probe": {},
    "protonet": {},
    "maml": {"episodes": 5},
}
BEST = 0.5 * (1 + math.erf(1))  # see conftest.py: the signal is two standard deviations of the noise
# What scores can reach for certain, by kind. Multi-class: the brightness of one channel tells its class from either
# other one. Ordinal: the brightness tells the lowest and the highest grade from their neighbour as well as that, and
# from each other better; of the middle grade nothing is promised.
REACHABLE = {"binary": BEST, "multi-class": BEST, "multi-label": BEST, "ordinal": (2 * BEST + 0.5) / 3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_methods_beat_chance_by_half_of_what_the_signal_allows(known, method, kind):
    """The mean AUROC is above 0.5 + (reachable - 0.5) / 2 with all of its interval.

    The images are of known signal (conftest.py): a Gaussian brightness that labels move by two standard deviations. The
    brightness itself, as a score, has the AUROC Phi(sqrt 2) = 0.921, and in the binary task nothing has a larger one;
    in the others `REACHABLE` is a lower bound of what is possible. So the margin over chance that is asked for is 0.21,
    and 0.14 for the ordinal task. Five shots, and a backbone of random weights.
    """
    result = mm.few_shot(known[kind], method, **{**TINY, **METHODS[method]})
    low, _ = result.interval
    assert low > 0.5 + (REACHABLE[kind] - 0.5) / 2
    if kind == "binary":
        assert low < BEST  # more would mean that labels of the query set are seen
    assert result.accuracy > (0.5 if kind in ("binary", "multi-label") else 1 / 3) + 0.1
