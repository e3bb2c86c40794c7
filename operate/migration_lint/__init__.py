"""Lint of migrations: what would rewrite or lock a large table, or lose data, is found before it runs."""
