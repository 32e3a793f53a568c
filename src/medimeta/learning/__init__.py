"""Backbones, heads, training and metrics."""
