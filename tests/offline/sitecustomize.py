"""Keeps a process from leaving this machine; Python reads a file of this name at its start.

The root conftest.py loads it, and puts this folder on PYTHONPATH for all child processes:
notebook kernels, JupyterLab, pytest's workers.
"""

import ipaddress
import socket
import sys

OWN_NAMES = {"", "localhost", socket.gethostname().lower()}


class Offline(OSError):
    """An OSError, so that the code under test sees what it would see without a network."""


def is_local(host):
    if host is None:
        return True
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    name = name.lower().rstrip(".")
    if name in OWN_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def host_of(event, arguments):
    """Whom the event wants to reach; None if nobody beyond this machine can be meant."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments[:2]
        internet = connection.family in (socket.AF_INET, socket.AF_INET6)
        return address[0] if internet and address else None
    if event == "socket.getnameinfo":
        return arguments[0][0]
    return arguments[0]


WATCHED = {
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
}


def stay_here(event, arguments):
    if event in WATCHED and not is_local(host := host_of(event, arguments)):
        raise Offline(f"kdlab is tested offline, but something wants to reach {host!r}")


# An audit hook sees every socket of Python's, whichever library made it, and cannot be undone.
sys.addaudithook(stay_here)
