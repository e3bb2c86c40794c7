"""The proof, after each deployment and on demand, that orders work from end to end."""
