"""AWSAuthenticationPlugin for a plain MySQL server, so that Aurora's own CREATE USER statements run on it.

On Aurora, `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'` makes a user who logs in by IAM token. MySQL's
own auth_socket has what stands in for it: it admits to an account whoever the operating system says is
allowed. The plugin made here is auth_socket's file under Aurora's name. The endpoint checks the token, and
then logs in for the client by the server's socket.
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
    if not name or description < 0:
        return None
    pointers = [struct.pack("<QQ", kind, name) for kind in _RELATIVE]
    pointer = next((one for one in pointers if library.count(one) == 1), None)
    if pointer is None:
        return None
    return library.replace(pointer, pointer[:8] + struct.pack("<Q", description)).replace(
        _DESCRIPTION, NAME.ljust(len(_DESCRIPTION), b"\0")
    )
