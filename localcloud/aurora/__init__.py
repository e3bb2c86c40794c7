"""Aurora on this machine: real database servers, and endpoints that route and refuse as Aurora's do."""
