"""How code reaches the database: environment, credentials, TLS, connecting. The dialect is postgresql.py's."""
