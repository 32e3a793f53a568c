"""How each original download becomes samples: one module an original, and the rules that they share."""
