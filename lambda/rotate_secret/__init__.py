"""Rotation of the admin secret, as Secrets Manager asks for it."""
