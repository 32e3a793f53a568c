"""The few-shot methods by name."""

from __future__ import annotations

from medimeta.learning.fewshot.method import Method

METHODS: dict[str, Method] = {}
