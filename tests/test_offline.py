"""The tests cannot reach the network: not this process, not one that it starts, not a kernel."""

import asyncio
import socket
import subprocess
import sys

import nbclient
import nbformat
import pytest

FAR = "192.0.2.1"  # an address set aside for documents: nobody has it
NAME = "kdlab.example"  # a name set aside likewise


def reach(host):
    socket.create_connection((host, 80), timeout=1)


@pytest.mark.parametrize("host", [FAR, NAME, "2001:db8::1"])
def test_this_process_reaches_nobody(host):
    with pytest.raises(OSError, match="tested offline.*" + host):
        reach(host)


def test_no_way_around():
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        for way in (
            lambda: tcp.connect_ex((FAR, 80)),
            lambda: udp.connect((FAR, 80)),
            lambda: udp.sendto(b"", (FAR, 80)),
            lambda: socket.gethostbyname(NAME),
            lambda: socket.gethostbyname_ex(NAME),
            lambda: socket.gethostbyaddr(FAR),
            lambda: socket.getnameinfo((FAR, 80), 0),
            lambda: asyncio.run(asyncio.open_connection(NAME, 80)),
        ):
            with pytest.raises(OSError, match="tested offline"):
                way()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machine_stays_in_reach(name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((name, server.getsockname()[1]), timeout=5).close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")
def test_unix_sockets_stay_in_reach(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of such a socket must be short
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("here")
        server.listen()
        client.connect("here")


@pytest.mark.parametrize("host", [FAR, NAME])
def test_a_child_process_reaches_nobody(host):
    code = f"import socket; socket.create_connection(({host!r}, 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "tested offline" in done.stderr


def test_a_notebook_kernel_reaches_nobody():
    notebook = nbformat.v4.new_notebook()
    code = f"import socket\nsocket.create_connection(({FAR!r}, 80), timeout=1)"
    notebook.cells.append(nbformat.v4.new_code_cell(code))
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="tested offline"):
        nbclient.execute(notebook)
