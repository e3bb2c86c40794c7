"""How code reaches the database. All dialect is in postgresql.py; everything else knows no engine."""
