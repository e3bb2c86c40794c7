"""`make audit`: all deployments under four scanners; what these find, and what is acknowledged."""
