"""Measures what the project promises, each figure as a ratio to its floor in the same run."""
