"""Why a connection could not be had, one type per remedy. No message ever holds a secret."""


class ConnectionFailed(Exception):
    """No connection; the message names endpoint, database, user and what the other side said."""


class Unavailable(ConnectionFailed):
    """Nobody answers, or the database is starting, failing over or full: trying again later helps."""


class CredentialRefused(ConnectionFailed):
    """The password or token was refused: only another credential helps."""


class CertificateRefused(ConnectionFailed):
    """TLS is missing, or the certificate is not trusted or names another host: trying again never helps."""


class HostUnknown(ConnectionFailed):
    """The endpoint's name does not exist."""


class Rejected(ConnectionFailed):
    """The server answered and refuses for good: no such database, no such role, no permission."""


class SecretUnavailable(Exception):
    """The admin secret cannot be read, or does not hold a user name and a password."""
