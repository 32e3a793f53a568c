"""The command line: one thin module per verb, one error boundary."""
