"""Artefacts through a team's remote: a second clone has all without running, or fetches what one stage needs.

The remote is S3, by a server of this machine, started for the tests; test_checkout.py pulls from a folder.
"""

import contextlib
import hashlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from likelihood.commands import audit
from tests.clone import environment, ran
from tests.helpers import ROOT, files, git

EVERY_OUT = ("data", "metrics", "plots")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def s3():
    """The address of a server that speaks S3, with a bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
                break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def team(small, tmp_path_factory):
    """A copy of the small pipeline with settings of a remote, as a team's member makes them, that has pushed everything."""
    with s3() as address:
        settings = [("url", "s3://bucket/images"), ("endpointurl", address)]
        settings += [("access_key_id", "test"), ("secret_access_key", "test"), ("region", "us-east-1")]
        first = small.copied(tmp_path_factory.mktemp("team") / "first")
        joined(first, settings)
        assert "pushed" in first.dvc("push")
        yield first


def joined(workspace, settings):
    """Make the team's remote the default in a clone, without a trace in git."""
    for name, value in settings:
        workspace.dvc("remote", "modify", "--local", "team", name, value)
    workspace.dvc("remote", "default", "--local", "team")
    assert git("status", "--porcelain", cwd=workspace.folder) == "", "the remote's address or its keys would be committed"


def told(workspace, first):
    """Give a clone the settings of another one, as those who join copy them."""
    (workspace.folder / ".dvc/config.local").write_text(first.read(".dvc/config.local"))


def contents(workspace):
    """SHA-256 of every file that stages write."""
    return {
        f"{part}/{file}": hashlib.sha256((workspace.folder / part / file).read_bytes()).hexdigest()
        for part in EVERY_OUT
        for file in files(workspace.folder / part)
        if not file.startswith(("trainings/", "downloads/"))
    }


IMAGES = {"check", "download", "preprocess"}  # what is not cached is made again


def test_a_second_clone_pulls_everything_and_then_an_experiment(team, tmp_path):
    """What is not shared, images and figures, it makes again."""
    first = team
    git("init", "-q", "--bare", str(tmp_path / "origin"))
    mine = first.copied(tmp_path / "mine")
    git("remote", "add", "origin", str(tmp_path / "origin"), cwd=mine.folder)
    git("push", "-q", "origin", "HEAD:refs/heads/main", cwd=mine.folder)
    git("symbolic-ref", "HEAD", "refs/heads/main", cwd=tmp_path / "origin")
    mine.dvc("exp", "run", "-n", "narrow", "-S", "plot.bins=40", "-S", "evaluate.bootstrap=200")
    mine.dvc("exp", "push", "origin", "narrow")

    theirs = type(mine)(tmp_path / "theirs")
    git("clone", "-q", str(tmp_path / "origin"), str(theirs.folder))
    told(theirs.named(), first)
    theirs.dvc("pull")
    assert ran(theirs.dvc("repro")) == {*IMAGES, "plot"}
    assert git("status", "--porcelain", cwd=theirs.folder) == ""
    assert contents(theirs) == contents(first)
    assert (theirs.folder / "data/processed/mnist_5k/in/train.npy").is_file()
    assert list((theirs.folder / "data/models/mnist_5k/glow/snapshots").iterdir())
    theirs.dvc("exp", "pull", "origin", "narrow")
    theirs.dvc("exp", "apply", "narrow")
    assert "bins: 40" in theirs.read("params.yaml")
    assert ran(theirs.dvc("repro")) == set()
    assert contents(theirs) == contents(mine)


def test_a_push_shares_all_but_images_contact_sheets_and_what_git_has(small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    clone.dvc("push", "-r", "shipped")
    pushed = {path.parent.name + path.name for path in (clone.folder / "shipped/files/md5").rglob("*") if path.is_file()}
    for stage in yaml.safe_load(clone.read("dvc.lock"))["stages"].values():
        for out in stage.get("outs", []):
            made_again = out["path"].startswith(("data/raw", "data/processed", "data/settings")) or out["path"].endswith(
                "contact"
            )
            in_git = git("ls-files", out["path"], cwd=clone.folder) != ""
            assert (out["md5"] in pushed) == (not made_again and not in_git), out["path"]


def test_own_pictures_are_shared_by_the_team_s_remote_alone(small, tmp_path):
    page = (ROOT / "docs/scale.md").read_text()
    (command,) = re.findall(r"^dvc (add data/own/holidays)", page, re.M)
    (added,) = re.findall(r"^git (add data/own/holidays\.dvc.*)$", page, re.M)
    (line,) = re.findall(r"Add `(  remote: \w+)` at the end of that file", page)
    settings = [("url", str(tmp_path / "remote"))]
    first = small.copied(tmp_path / "first")
    joined(first, settings)
    folder = first.folder / "data/own/holidays"
    folder.mkdir()
    pictures = {f"{number}.png": f"picture {number}".encode() for number in range(3)}
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    first.dvc(*command.split())
    first.write("data/own/holidays.dvc", f"{first.read('data/own/holidays.dvc')}{line}\n")
    first.dvc("repro")
    git(*added.split(), cwd=first.folder)
    git("commit", "-qm", "Share the pictures", cwd=first.folder)
    assert "data/own/holidays.dvc" in git("ls-files", cwd=first.folder).split()
    first.dvc("push")
    first.dvc("push", "-r", "shipped")
    md5s = [hashlib.md5(content).hexdigest() for content in pictures.values()]
    assert all((tmp_path / "remote/files/md5" / md5[:2] / md5[2:]).exists() for md5 in md5s)
    assert not any((first.folder / "shipped/files/md5" / md5[:2] / md5[2:]).exists() for md5 in md5s)
    second = first.cloned(tmp_path / "second")
    joined(second, settings)
    second.dvc("pull")
    assert {path.name: path.read_bytes() for path in (second.folder / "data/own/holidays").iterdir()} == pictures
    for place in ("data/models", "data/scores", "data/detectors"):
        assert files(second.folder / place) == files(first.folder / place)
    old = audit.stale(audit.enabled(second.folder, tmp_path / "as it is"), audit.load_lock(second.folder))
    assert old == {}, "what reads the folder sees it as it was"
    assert git("status", "--porcelain", cwd=second.folder) == ""


def test_what_a_remote_damaged_is_not_taken(small, tmp_path):
    first = small.copied(tmp_path / "first")
    joined(first, [("url", str(tmp_path / "remote"))])
    first.dvc("push")
    path = "data/models/mnist_5k/vae/best.safetensors"
    lock = yaml.safe_load(first.read("dvc.lock"))["stages"]["train_vae@mnist_5k"]["outs"]
    md5 = next(out["md5"] for out in lock if out["path"] == path)
    stored = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    second = first.cloned(tmp_path / "second")
    joined(second, [("url", str(tmp_path / "remote"))])
    output = second.dvc("pull", path, check=False)
    assert f"Missing cache files:\nmd5: {md5}" in output
    assert not (second.folder / path).exists()


def test_the_three_of_amazon_are_pinned_together():
    pinned = dict(
        line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line and ";" not in line
    )
    extra = (ROOT / "pyproject.toml").read_text()
    for name in ("aiobotocore", "boto3", "botocore"):
        assert f'"{name}=={pinned[name]}"' in extra
