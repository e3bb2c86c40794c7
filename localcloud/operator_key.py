"""The key pair of whoever runs a cloud: no secret, since it opens nothing but this machine's own cloud."""

ACCESS_KEY_ID = "AKIALOCALCLOUD000000"  # of its own: the CDK CLI remembers, per key and for ever, whose it is
SECRET_ACCESS_KEY = "local"  # noqa: S105
