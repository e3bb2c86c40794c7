"""Least privilege, proven: each right is taken out of the templates, and something has to fail without it."""
