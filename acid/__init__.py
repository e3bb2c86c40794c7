"""What ACID means here, with counts: each letter, and controls beside it that must fail."""
