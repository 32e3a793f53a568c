"""Predictions in files: what a model says of the samples of a split, from this package or from any other framework.

`predictions` says what there is, `files` reads and writes it as npz or CSV, and `fitting` compares it with a stored
dataset or with the predictions of another model.
"""

from medimeta.learning.predictions.files import read_predictions as read_predictions
from medimeta.learning.predictions.files import write_predictions as write_predictions
from medimeta.learning.predictions.fitting import check_same_samples as check_same_samples
from medimeta.learning.predictions.fitting import fitted as fitted
from medimeta.learning.predictions.npz_files import as_arrays as as_arrays
from medimeta.learning.predictions.predictions import Predictions as Predictions
