"""How code reaches the database. All dialect is in postgresql*.py and mysql*.py."""
