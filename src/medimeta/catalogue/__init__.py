"""Data about the datasets: cards, and how to look them up."""
