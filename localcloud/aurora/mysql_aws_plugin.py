"""AWSAuthenticationPlugin for a plain MySQL server, so that Aurora's own CREATE USER statements run on it.

On Aurora, `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'` makes a user who logs in by IAM token. MySQL's
own auth_socket has what stands in for it: it admits to an account by the server's socket only, and there
whom the operating system calls by the account's name. The plugin made here is auth_socket's file under
Aurora's name, which asks for no particular name: whoever may enter the socket's directory is admitted. The
endpoint checks the token, and then logs in for the client by that socket.
"""

from __future__ import annotations

import struct
from pathlib import Path

from localcloud.aurora.postgresql_programs import ProgramFailed

NAME = b"AWSAuthenticationPlugin"
FILE = "aws_authentication.so"
_ORIGINAL = "auth_socket.so"
_ORIGINAL_NAME = b"\0auth_socket\0"
_DESCRIPTION = b"Unix Socket based authentication\0"  # long enough for the new name
# It compares names by strcmp, imported by name and used for nothing else. Under this one of the same length
# both pointers are no terminal: 0, which means equal.
_COMPARES, _AGREES = b"\0strcmp\0", b"\0isatty\0"
_RELATIVE = (8, 1027)  # R_X86_64_RELATIVE, R_AARCH64_RELATIVE: elf.h


def make(plugins: Path, directory: Path) -> Path:
    """Write the plugin into the directory and return its path; ProgramFailed where auth_socket is another."""
    original = (plugins / _ORIGINAL).read_bytes()
    made = _renamed(original)
    if made is None:
        raise ProgramFailed(f"{plugins / _ORIGINAL} is not built as expected: no plugin for IAM users")
    path = directory / FILE
    path.write_bytes(made)
    return path


def _renamed(library: bytes) -> bytes | None:
    """Point the plugin's name, a relocated pointer, at its description, and let that be the new name."""
    name, description = library.find(_ORIGINAL_NAME) + 1, library.find(_DESCRIPTION)
    if not name or description < 0 or library.count(_COMPARES) != 1:
        return None
    pointers = [struct.pack("<QQ", kind, name) for kind in _RELATIVE]
    pointer = next((one for one in pointers if library.count(one) == 1), None)
    if pointer is None:
        return None
    return (
        library.replace(pointer, pointer[:8] + struct.pack("<Q", description))
        .replace(_DESCRIPTION, NAME.ljust(len(_DESCRIPTION), b"\0"))
        .replace(_COMPARES, _AGREES)
    )
