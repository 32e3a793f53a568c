"""Pre-training of a backbone on many tasks: with a head for each, or by meta-learning."""
