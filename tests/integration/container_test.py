"""docker/Dockerfile builds, and the daemon in the image answers /readyz. By buildah, from a base image made here."""

import pathlib
import re
import subprocess
import tempfile
import urllib.request

import pytest
from support import booted
from support.daemon import eventually
from support.source_tree import ROOT

STORAGE = booted.HEAVY / "containers"
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def buildah(*arguments: str, timeout: float = 1500) -> str:
    command = ["buildah", "--storage-driver", "vfs", "--root", str(STORAGE / "root"), "--runroot", str(STORAGE / "run"), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout.strip()


def make_base_images() -> None:
    """Every Debian image the Dockerfile starts from, out of the root that debootstrap made."""
    for name in set(re.findall(r"^FROM\s+(\S*debian\S*)", DOCKERFILE.read_text(), re.MULTILINE)):
        full = name if "/" in name else f"docker.io/library/{name}"
        if full not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            container = buildah("from", "scratch")
            buildah("copy", container, str(booted.debian_root()), "/")
            buildah("commit", "--rm", container, full)


@pytest.fixture(scope="module")
def image():
    booted.require_heavy("debootstrap", "buildah")
    make_base_images()
    buildah("build", "--isolation", "chroot", "--pull-never", "--file", str(DOCKERFILE), "--tag", "fastlogd:test", str(ROOT))
    return "fastlogd:test"


def test_the_daemon_in_the_image_answers(image):
    container = buildah("from", "--pull-never", image)
    log = pathlib.Path(tempfile.mkdtemp(prefix="fastlogd-")) / "output"
    command = ["buildah", "--storage-driver", "vfs", "--root", str(STORAGE / "root"), "--runroot", str(STORAGE / "run"),
               "run", "--isolation", "chroot", container, "--", "fastlogd", "--config", "/etc/fastlogd/fastlogd.yaml"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen("http://127.0.0.1:9514/readyz", timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False
        eventually(ready, 30, 0.2)
    finally:
        process.terminate()
        process.wait(20)
        buildah("rm", container)
