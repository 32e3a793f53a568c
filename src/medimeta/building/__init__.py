"""From an original to a stored dataset: plan, work in processes, write, verify, publish."""
