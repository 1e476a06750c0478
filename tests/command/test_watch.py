"""`minigan watch`: what it serves of a run that goes on, to whom, and that nothing else can be asked for."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from urllib.parse import urlencode

import pytest
from made_up_run import add_health, add_timings, folder
from served import serving

from minigan.command import cli
from minigan.command.watch import Server
from minigan.errors import CheckpointError
from minigan.system import disk
from minigan.training.report.live import state


@pytest.fixture
def run(tmp_path):
    path = folder(tmp_path / "runs" / "first")
    add_health(path)
    add_timings(path)
    return path


def ask(server, path="/", method="GET", **headers):
    """(status, text) of what is asked for as it stands: no client makes the path another."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    status, text = reply.status, reply.read().decode()
    connection.close()
    return status, text


def embedded(html, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.S)[1])


def changes(server, known, of=""):
    status, text = ask(server, f"{of}/changes?{urlencode(known)}")
    assert status == 200
    return json.loads(text)["changed"]


def test_what_has_changed_is_told_once(run):
    with serving(run) as server:
        status, html = ask(server)
        known = embedded(html, "known")
        assert status == 200
        assert embedded(html, "run")["last"] == 200
        assert changes(server, known) == {}
        with (run / "log.csv").open("a") as log:
            log.write("201,9.5,1,1,1,1,1\n")
        changed = changes(server, known)
        assert {"curves", "facts"} <= changed.keys() <= {"curves", "facts", "state"}
        assert changed["curves"]["content"]["last"] == 201
        assert changed["curves"]["content"]["charts"][0]["curves"][0]["y"][-1] == 9.5
        assert "201 of 400" in changed["facts"]["content"]
        assert changes(server, known | {name: part["tag"] for name, part in changed.items()}) == {}
        (run / "samples" / "step_00000200.png").rename(run / "samples" / "step_00000201.png")
        assert changes(server, known)["pictures"]["content"]["frames"][""][-1]["step"] == 201


def test_it_says_whether_the_run_goes_on(run):
    assert state(run) == "The run has stopped at step 200 of 400."
    with disk.holding(run / ".lock"):
        assert state(run) == "The run goes on, and this page with it."
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "total_steps": 200}))
    assert state(run) == "The run has ended: all of its 200 steps are done."
    with serving(run) as server:
        html = ask(server)[1]
        assert '<p data-part="state" role=status>The run has ended: all of its 200 steps are done.</p>' in html
        known = embedded(html, "known")
        with disk.holding(run / ".lock"):
            assert list(changes(server, known)) == ["state"]


@pytest.mark.parametrize(
    "path",
    [
        *("/log.csv", "/config.json", "/.lock", "/samples/step_00000000.png", "/../secret", "/%2e%2e/secret", "/x//"),
        *(
            "/..%2fsecret",
            "/../first/",
            "/changes/../log.csv",
            "/first/",
            "/changes/",
            "secret",
            "/\\..\\secret",
            "/%00",
        ),
    ],
)
def test_nothing_but_the_page_is_served(run, path):
    (run.parent / "secret").write_text("secret")
    with serving(run) as server:
        status, text = ask(server, path)
    assert status == 404
    assert "secret" not in text


@pytest.mark.parametrize(
    "path", ["/../", "/%2e%2e/", "/other/", "/%2Ffirst/", "/first%2f..%2ffirst/", "/first", "/.hidden/"]
)
def test_nothing_but_runs_of_the_folder_is_served(run, path):
    (run.parent / "other").mkdir()
    folder(run.parent.parent / "outside")
    with serving(run.parent) as server:
        assert ask(server, path)[0] == 404


def test_it_can_only_be_read_from_this_machine_and_by_its_name(run):
    with serving(run) as server:
        assert server.server_address[0] == "127.0.0.1"
        for method in ("POST", "PUT", "DELETE"):
            assert ask(server, method=method)[0] == 501
        for host in ("evil.example", f"evil.example:{server.server_port}", "localhost.evil.example", ""):
            assert ask(server, Host=host)[0] == 403
        for host in ("localhost", f"127.0.0.1:{server.server_port}", "localhost:9000"):  # a tunnel has its own port
            assert ask(server, Host=host)[0] == 200


def test_several_runs_have_a_list(run):
    folder(run.parent / "a b<i>")
    with serving(run.parent) as server:
        html = ask(server)[1]
        assert re.findall('href="(.*?)"', html) == ["a%20b%3Ci%3E/", "first/"]
        assert "a b&lt;i&gt;" in html
        assert "The run has stopped at step 200 of 400." in html
        known = embedded(ask(server, "/a%20b%3Ci%3E/")[1], "known")
        assert changes(server, known, "/a%20b%3Ci%3E") == {}


def test_a_run_that_is_gone(run):
    with serving(run) as server:
        assert ask(server)[0] == 200
        run.rename(run.with_name("elsewhere"))
        status, text = ask(server, "/changes")
        assert status == 404
        assert "no run, there is no such folder" in text


def test_where_there_is_no_run(tmp_path, capsys):
    assert cli.main(["watch", str(tmp_path)]) == 1
    assert "no run is in this folder" in capsys.readouterr().err
    with pytest.raises(CheckpointError):
        Server(tmp_path / "nowhere")


def test_a_port_that_is_taken_or_none(run, capsys):
    with serving(run) as server:
        assert cli.main(["watch", str(run), "--port", str(server.server_port)]) == 1
    assert f"port {server.server_port} of 127.0.0.1 cannot be had" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["watch", str(run), "--port", "65536"])


def test_ctrl_c_ends_it_quietly(run):
    command = [sys.executable, "-m", "minigan", "watch", str(run)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = program.stdout.readline()
    port = int(re.match(r"http://127\.0\.0\.1:(\d+)/ shows ", line)[1])
    assert str(run) in line
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    assert b"<title>dcgan</title>" in connection.getresponse().read()
    connection.close()
    os.kill(program.pid, signal.SIGINT)
    rest = program.communicate(timeout=60)
    assert (rest, program.returncode) == (("", ""), 0)


def test_whoever_looks_at_a_lock_keeps_nobody_from_it(tmp_path):
    path = tmp_path / ".lock"
    assert not disk.is_held(path)
    path.touch()
    fcntl = pytest.importorskip("fcntl")
    with path.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.005, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with disk.holding(path):
            assert disk.is_held(path)
    assert not disk.is_held(path)
