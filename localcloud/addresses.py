"""Loopback addresses of a cloud's own: every endpoint can listen on its service's usual port."""

from __future__ import annotations

import ipaddress
import threading


class Addresses:
    """Hands out addresses that no other cloud of this machine hands out.

    The network is 127.<port / 256>.<port mod 256>.0/24 of the server's own port, and no two servers share a
    port. Linux answers on all of 127.0.0.0/8; elsewhere the loopback device has to be given the addresses.
    """

    def __init__(self, port: int) -> None:
        self.network = ipaddress.IPv4Network((f"127.{port >> 8}.{port & 255}.0", 24))
        self._free = [str(address) for address in self.network.hosts()][::-1]
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def allocate(self) -> str:
        """Return an address that is in nobody's use until it is released; RuntimeError when none is left."""
        with self._lock:
            if not self._free:
                raise RuntimeError(f"all {len(self._taken)} addresses of {self.network} are in use")
            address = self._free.pop()
            self._taken.add(address)
            return address

    def release(self, address: str) -> None:
        """Give an address back; what is not allocated (any more) is left alone."""
        with self._lock:
            if address in self._taken:
                self._taken.remove(address)
                # last in, last out: a client that still holds the old address does not meet its successor
                self._free.insert(0, address)
