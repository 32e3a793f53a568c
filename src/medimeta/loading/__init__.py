"""From a stored dataset to arrays, PyTorch datasets and batches."""
