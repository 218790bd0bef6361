"""fastlogctl fsck: what it says with --dry-run is what a start does, and without it, what it does itself."""

import json
import pathlib
import random
import subprocess

import pytest
from support.daemon import BIN, Daemon
from support.load import Load, numbers

LINES = 150_000  # several segments of 4 MiB


def fsck(directory, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN / "fastlogctl"), "fsck", "--directory", str(directory), *options], capture_output=True,
                          text=True, timeout=60)


def plan(directory) -> dict:
    before = contents(directory)
    done = fsck(directory, "--dry-run", "--json")
    assert contents(directory) == before, "a dry run changes nothing"
    found = json.loads(done.stdout)
    assert done.returncode == (3 if found["damaged"] else 0), done.stderr
    return found


def contents(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(directory).iterdir() if path.name != "LOCK"}


def killed(daemon: Daemon) -> Daemon:
    """Filled over several segments, then killed in the middle."""
    daemon.start()
    Load(daemon.connect, rate=1e9, count=LINES).run()
    daemon.quiesce(LINES)
    daemon.kill()
    return daemon


def segments(daemon: Daemon) -> list[pathlib.Path]:
    return sorted(daemon.log_directory.glob("*.flog"))


def overwrite(path: pathlib.Path, offset: int, data: bytes) -> None:
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def used(path: pathlib.Path) -> int:
    """Where the bytes end that are not zero."""
    return len(path.read_bytes()[:-4096].rstrip(b"\0"))


def test_a_clean_stop_leaves_nothing_to_do(idle_daemon):
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=1e9, count=LINES).run()
    daemon.quiesce(LINES)
    assert daemon.stop() == 0
    found = plan(daemon.log_directory)
    assert {file["fate"] for file in found["files"]} == {"keep"} and not found["damaged"] and found["gaps"] == []
    assert sum(file["records"] for file in found["files"]) == LINES and found["next_sequence"] == LINES + 1
    newest = found["files"][-1]
    assert (found["durable_segment"], found["durable_offset"]) == (found["next_segment"] - 1, newest["kept_bytes"])


@pytest.mark.parametrize("seed", range(6))
def test_what_it_foretells_is_what_a_start_does(idle_daemon, seed):
    daemon = killed(idle_daemon)
    chance = random.Random(seed)
    in_use = [path for path in segments(daemon) if used(path) > 4096]
    newest = in_use[-1]
    end = used(newest)
    if seed % 2 == 0:  # a torn tail: the last frames never reached the disk
        overwrite(newest, end - chance.randrange(100, 2000), b"\0" * 64)
    victim = chance.choice(in_use[1:-1])  # of the first nobody can tell how many records it held
    if seed % 3 == 1:
        overwrite(victim, 40, b"damage")
    if seed % 3 == 2:
        victim.unlink()
    before = contents(daemon.log_directory)
    foretold = plan(daemon.log_directory)
    daemon.start()
    assert daemon.stop() == 0
    after = contents(daemon.log_directory)
    for file in foretold["files"]:
        name = file["file"]
        if file["fate"] == "keep":
            assert after[name] == before[name]
        elif file["fate"] in ("finish", "cut"):
            assert after[name][:file["kept_bytes"]] == before[name][:file["kept_bytes"]]
            assert not after[name][file["kept_bytes"]:-4096].strip(b"\0")
            torn = [data for other, data in after.items() if other.startswith(f"{name}.torn-")]
            assert [len(data) for data in torn] == ([file["cut_bytes"]] if file["fate"] == "cut" else [])
        elif file["fate"] == "set-aside":
            assert after[f"{name}.damaged"] == before[name] and name not in after
        elif file["fate"] == "remove":
            assert before[name] != after.get(name)
    with_gaps = [gap for gap in foretold["gaps"] if gap["first"] is not None]
    shown = json.loads(daemon.ctl("gaps", "--json", check=False).stdout)
    assert [(gap["first"], gap["last"]) for gap in shown if gap["first"] is not None] == [
        (gap["first"], gap["last"]) for gap in with_gaps]
    found = numbers(b"\n".join(daemon.cat()))
    missing = sum(gap["records"] for gap in with_gaps)
    assert len(found) == foretold["next_sequence"] - 1 - missing and found == sorted(set(found))


def test_it_names_the_records_and_the_time_of_a_file_that_is_set_aside(idle_daemon):
    daemon = killed(idle_daemon)
    victim = segments(daemon)[1]
    whole = {file["file"]: file for file in plan(daemon.log_directory)["files"]}[victim.name]
    overwrite(victim, 40, b"damage")
    file = {file["file"]: file for file in plan(daemon.log_directory)["files"]}[victim.name]
    assert file["fate"] == "set-aside" and "checksum" in file["why"]
    assert (file["affected_first"], file["affected_last"]) == (whole["first"], whole["last"])
    assert file["affected_from"] <= whole["oldest"] and file["affected_to"] >= whole["newest"]
    text = fsck(daemon.log_directory, "--dry-run").stdout
    assert victim.name in text and "set-aside" in text and str(whole["first"]) in text


def test_without_dry_run_it_does_it_and_the_next_start_tells_of_it(idle_daemon):
    daemon = killed(idle_daemon)
    victim = segments(daemon)[1]
    overwrite(victim, 40, b"damage")
    foretold = plan(daemon.log_directory)
    done = fsck(daemon.log_directory)
    assert done.returncode == 3 and "set aside" in done.stdout
    again = plan(daemon.log_directory)
    assert {file["fate"] for file in again["files"]} == {"keep"}
    daemon.start()
    gaps = json.loads(daemon.ctl("gaps", "--json").stdout)
    assert [(gap["first"], gap["last"]) for gap in gaps if gap["first"]] == [
        (gap["first"], gap["last"]) for gap in foretold["gaps"] if gap["first"]]
    daemon.verify()


def test_it_leaves_a_running_daemons_log_alone(daemon):
    for options in ([], ["--dry-run"]):
        done = fsck(daemon.log_directory, *options)
        assert done.returncode == 2 and str(daemon.process.pid) in done.stderr


def test_it_says_what_is_wrong_with_what_is_no_log(folder):
    assert fsck(folder / "nowhere", "--dry-run").returncode == 2
    (folder / "empty").mkdir()
    assert fsck(folder / "empty", "--dry-run").returncode == 2
