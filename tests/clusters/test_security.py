"""What another user of the machine can do to a cluster: nothing.

The other user is a process that has given up being this one, so that these tests need root.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
from distributed import LocalCluster

import simherd as sh
from simherd.errors import ClusterOptionError

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")

OTHER = """
import asyncio, contextlib, json, os, ssl, sys
from pathlib import Path

from distributed import Client, Security
from distributed.core import connect

ports, files = json.loads(sys.argv[1])
theirs = Security.temporary()
anonymous = ssl.create_default_context()
anonymous.check_hostname, anonymous.verify_mode = False, ssl.CERT_NONE
WAYS = {
    "in the clear": ("tcp", {}),
    "without credentials": ("tls", {"ssl_context": anonymous, "require_encryption": True}),
    "with credentials of their own": ("tls", theirs.get_connection_args("client")),
}
QUESTIONS = ({"op": "identity"}, {"op": "run", "function": b"", "args": b"", "kwargs": b""})


async def ask(address, way, question):
    protocol, arguments = WAYS[way]
    comm = await connect(f"{protocol}://{address}", timeout=2, **arguments)
    try:
        await comm.write({**question, "reply": True})
        return await comm.read()
    finally:
        comm.abort()


async def answers():
    found = []
    for address in ports:
        for way in WAYS:
            for question in QUESTIONS:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(ask(address, way, question), 6)
                    found.append([address, way, question["op"]])
    return found


def readable(path):
    with contextlib.suppress(OSError):
        return bool(Path(path).read_bytes())
    with contextlib.suppress(OSError):
        return bool(os.listdir(path))
    return False


asyncio.run(answers()) if not ports else None  # imports what is needed, while that can be read
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(json.dumps({"answered": asyncio.run(answers()), "read": [path for path in files if readable(path)]}))
"""


@pytest.fixture
def state(bed, monkeypatch) -> Iterator[Path]:
    """Return a folder for the state of simherd to which the way is open: only its own mode protects it."""
    parent = Path(tempfile.mkdtemp(prefix="simherd-test-"))
    parent.chmod(0o755)
    monkeypatch.setenv("XDG_STATE_HOME", str(parent / "state"))
    yield parent / "state"
    left = [path for path in parent.rglob("*") if path.is_file()]
    shutil.rmtree(parent)

    assert left == []


def listening(*processes: int) -> set[tuple[str, int]]:
    """Return where processes listen."""
    import psutil

    found = [one for pid in processes for one in psutil.Process(pid).net_connections("tcp")]
    places = {tuple(one.laddr) for one in found if one.status == psutil.CONN_LISTEN}
    return {("127.0.0.1" if host in ("0.0.0.0", "::") else host, port) for host, port in places}


def listening_workers(dask_worker) -> tuple[int, set[tuple[str, int]]]:
    """Return where the HTTP server of a worker listens, and where it and its nanny do."""
    import os

    return dask_worker.http_server.port, listening(os.getpid(), os.getppid())


SECURED = [
    pytest.param({}, id="beyond loopback"),
    pytest.param({"interface": "lo", "security": "tls"}, id="loopback"),
]


@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
@pytest.mark.parametrize("options", SECURED)
def test_another_user_can_neither_connect_nor_submit_nor_read(bed, state, script, options):
    before = listening(os.getpid())
    with sh.open_client(bed.kind, memory="500 MiB", **options) as client:
        here = listening(os.getpid()) - before
        web = {("127.0.0.1", client.dashboard_port)}
        there = set()
        for port, places in client.run(listening_workers).values():
            web.add(("127.0.0.1", port))
            there |= places
        ports = sorted(f"{host}:{port}" for host, port in (here | there) - web)
        files = [str(path) for path in (state / "simherd" / "clusters").rglob("*")]
        found = act_as_other(script, ports, files)

        assert client.submit(abs, -1, pure=False).result(30) == 1

    assert web <= here | there
    assert len(ports) == 3  # of the Dask scheduler, a nanny and its worker
    assert any(path.endswith(".pem") for path in files)
    assert found == {"answered": [], "read": []}


@pytest.mark.cluster
def test_what_the_other_user_tries_works_where_nothing_is_secured(script):
    folder = Path(tempfile.mkdtemp(prefix="simherd-test-"))
    folder.chmod(0o755)
    (folder / "open").write_text("to all")
    with LocalCluster(n_workers=1, processes=False, protocol="tcp://", dashboard_address=":0") as cluster:
        port = cluster.scheduler_address.removeprefix("tcp://")
        found = act_as_other(script, [port], [str(folder / "open")])
    shutil.rmtree(folder)

    assert [port, "in the clear", "identity"] in found["answered"]
    assert found["read"] == [str(folder / "open")]


@pytest.mark.cluster
def test_another_user_cannot_connect_to_a_local_cluster(two_workers, script):
    web = {("127.0.0.1", two_workers.dashboard_port)}
    ports = {place for place in listening(os.getpid()) if place[0] == "127.0.0.1"}
    for port, places in two_workers.run(listening_workers).values():
        web.add(("127.0.0.1", port))
        ports |= places
    found = act_as_other(script, sorted(f"{host}:{port}" for host, port in ports - web), [])

    assert len(ports - web) >= 5  # of the Dask scheduler, two nannies and two workers
    assert found["answered"] == []


@pytest.mark.cluster
@pytest.mark.parametrize("options", [{"processes": 0}, {"processes": 0, "security": "tls"}])
def test_workers_in_threads_are_not_open_to_others(options):
    with sh.open_client("local", workers=1, **options) as client:
        assert client.scheduler.address.startswith("tls://" if "security" in options else "inproc://")
        assert status_of(client.dashboard_link.partition("?")[0]) == 403


@pytest.mark.cluster
@pytest.mark.parametrize(
    "path", ["/status", "/info/main/workers.html", "/metrics", "/json/identity.json", "/no"]
)
def test_dashboard_needs_its_token(two_workers, path):
    link = two_workers.dashboard_link
    page, _, query = link.replace("/status", path).partition("?")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    assert status_of(page) == status_of(f"{page}?token=wrong") == 403
    assert browser.open(link, timeout=10).url.endswith("/status")  # the token is gone from the address
    assert status_of(page, browser.open) == (404 if path == "/no" else 200)
    bearer = {"Authorization": f"Bearer {query.removeprefix('token=')}"}
    assert status_of(urllib.request.Request(page, headers=bearer)) == (404 if path == "/no" else 200)


@pytest.mark.cluster
def test_dashboards_change_nothing(two_workers):
    places = [("127.0.0.1", two_workers.dashboard_port)]
    workers = two_workers.run(lambda dask_worker: ("127.0.0.1", dask_worker.http_server.port)).values()
    applications = [two_workers.cluster.scheduler.http_application]

    assert {method for one in applications for method in methods(one.default_router)} == {"get"}
    for host, port in [*places, *workers]:
        for path in (
            "/api/v1/retire_workers",
            "/api/v1/adaptive_target",
            "/jupyter",
            "/info/main/workers.html",
        ):
            request = urllib.request.Request(f"http://{host}:{port}{path}", data=b"{}")
            assert status_of(request) in (403, 404, 405)


def act_as_other(script, ports: list[str], files: list[str]) -> dict[str, list[object]]:
    """Return what another user gets an answer from, and what it can read."""
    done = script(OTHER, json.dumps([ports, files]))
    assert done.returncode == 0, done.stderr
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def methods(router) -> Iterator[str]:
    """Yield the HTTP methods that the handlers of a web server have."""
    from tornado.web import RequestHandler

    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from methods(rule.target)
            continue
        for name in ("get", "post", "put", "patch", "delete"):
            if getattr(rule.target, name, None) is not getattr(RequestHandler, name, None):
                yield name


def status_of(request, opening=urllib.request.urlopen) -> int:
    """Return the HTTP status of a request."""
    try:
        with opening(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
def test_keys_in_a_shared_folder_are_private_and_go_with_the_cluster(bed, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "tls_ca_file.pem").write_text("of another cluster")
    with sh.open_client(bed.kind, memory="500 MiB", shared_temp_directory=str(shared)) as client:
        (folder,) = (path for path in shared.iterdir() if path.is_dir())

        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert client.submit(abs, -1).result(30) == 1

    assert [path.name for path in shared.iterdir()] == ["tls_ca_file.pem"]


@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
def test_a_shared_folder_that_is_none_is_an_error(bed):
    with pytest.raises(ClusterOptionError, match=r"keys cannot be put into .*'/nowhere'.*No such file"):
        sh.open_client(bed.kind, shared_temp_directory="/nowhere")


@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
def test_the_folder_of_the_keys_may_have_spaces_in_its_name(bed, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state of $mine"))

    with pytest.raises(ClusterOptionError, match=r"cannot go to .*state of .* give log_directory"):
        sh.open_client("slurm", **bed.options)
    with sh.open_client("slurm", log_directory=str(tmp_path), **bed.options) as client:
        assert client.submit(sum, (1, 2)).result(timeout=60) == 3
