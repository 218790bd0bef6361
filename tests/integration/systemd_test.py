"""Under a real systemd: ready notification, socket activation, reload good and bad, restart, stop; the units' hardening."""

import pathlib
import re
import shutil
import tempfile

import pytest
from support import booted, fastlog
from support.source_tree import ROOT

EXPOSURE_MAX = 1.5

PROBE = r"""
cd /results
say() { "${@:2}" >"$1.out" 2>"$1.err"; echo $? >"$1.rc"; }
wait_for() { for _ in $(seq 100); do grep -q "$1" <(fastlogctl cat -o cat 2>/dev/null) && return; sleep 0.1; done; }

say start systemctl start fastlogd.service
say active systemctl is-active fastlogd.service
say show systemctl show -p Type -p MainPID -p NRestarts -p StatusText -p User fastlogd.service
say ready curl -s http://127.0.0.1:9514/readyz
say modes stat -c '%a %U %G %n' /run/fastlogd/*.sock /var/log/fastlogd /var/log/fastlogd/*.log

logger --socket /run/fastlogd/log.sock "while it runs"; wait_for "while it runs"

cp /etc/fastlogd/fastlogd.yaml /good.yaml
echo '# a comment more' >>/etc/fastlogd/fastlogd.yaml; say reload_good systemctl reload fastlogd.service
echo 'nonsense: true' >>/etc/fastlogd/fastlogd.yaml; say reload_bad systemctl reload fastlogd.service
say after_bad systemctl is-active fastlogd.service
cp /good.yaml /etc/fastlogd/fastlogd.yaml; say reload_again systemctl reload fastlogd.service

kill -9 "$(systemctl show -p MainPID --value fastlogd.service)"
logger --socket /run/fastlogd/log.sock "while it was down"; wait_for "while it was down"
say after_kill systemctl is-active fastlogd.service

# A program with shared memory: it outlives the daemon a little, and is dead before the next one runs.
FASTLOG_SOCKET=/run/fastlogd/app.sock fastlog_client /returned 1 0 64 0 20000 1 2>/dev/null &
client=$!
for _ in $(seq 100); do grep -q ^0: <(fastlogctl tail -n 1 -o cat) && break; sleep 0.1; done
say kept_with_client systemctl show -p NFileDescriptorStore --value fastlogd.service
kill -9 "$(systemctl show -p MainPID --value fastlogd.service)"; sleep 0.3; kill -9 $client
od -An -tu8 -N8 /returned >returned.out
for _ in $(seq 100); do systemctl is-active -q fastlogd.service && break; sleep 0.1; done
for _ in $(seq 100); do [ "$(systemctl show -p NFileDescriptorStore --value fastlogd.service)" = 0 ] && break; sleep 0.1; done
say kept_afterwards systemctl show -p NFileDescriptorStore --value fastlogd.service
fastlogctl cat -o cat -t client 2>&1 | sed 's/^0:\([0-9]*\) .*/\1/' >client.out

say stop systemctl stop fastlogd.service
say sockets systemctl list-units --no-legend 'fastlogd*.socket'
logger --socket /run/fastlogd/log.sock "wakes it up"; wait_for "wakes it up"
say activated systemctl is-active fastlogd.service
fastlogctl cat -o cat | grep -v ^0: >records.out
say verify_log fastlogctl verify

say units_verify systemd-analyze verify --man=no /usr/lib/systemd/system/fastlogd*
say security systemd-analyze security --no-pager fastlogd.service
say stop_again systemctl stop fastlogd.service
say result systemctl show -p Result -p ExecMainStatus fastlogd.service
say journal journalctl --no-pager -u fastlogd.service -o short-precise
say failed systemctl list-units --failed --no-legend
touch end
"""


@pytest.fixture(scope="module")
def said():
    """What every command of PROBE said: said("name") is its output, said("name", "rc") its exit code."""
    booted.require_heavy("debootstrap", "systemd-nspawn")
    if not (ROOT / "systemd").is_dir():
        pytest.fail("systemd/ is missing")
    results = pathlib.Path(tempfile.mkdtemp(prefix="fastlogd-results-"))
    with booted.copy_of_root() as root:
        booted.install(root)
        shutil.copy(fastlog.program(), root / "usr/bin/fastlog_client")
        shutil.copy(fastlog.LIBRARY.resolve(), root / "usr/lib" / "libfastlog.so.1")
        wants = root / "etc/systemd/system/sockets.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for socket in (ROOT / "systemd").glob("*.socket"):
            (wants / socket.name).symlink_to(f"/usr/lib/systemd/system/{socket.name}")
        booted.boot(root, PROBE, results)

    def answer(name: str, kind: str = "out") -> str:
        return (results / f"{name}.{kind}").read_text(errors="replace").strip()

    print(answer("journal"))
    return answer


def test_it_tells_systemd_when_it_is_ready(said):
    assert said("start", "rc") == "0", said("start", "err")
    assert said("active") == "active" and said("ready") == "ok"
    assert "Type=notify" in said("show")


def test_it_does_not_run_as_root(said):
    assert re.search(r"^User=\S+", said("show"), re.MULTILINE) and "User=root" not in said("show")


def test_reload_says_whether_the_file_is_good(said):
    assert (said("reload_good", "rc"), said("reload_again", "rc")) == ("0", "0"), said("journal")
    assert said("reload_bad", "rc") != "0"
    assert said("after_bad") == "active"
    assert "nonsense" in said("journal") and re.search(r"fastlogd\.yaml:\d+", said("journal"))


def test_sockets_outlive_the_daemon(said):
    assert said("after_kill") == "active"
    assert said("sockets").count(".socket") >= 1
    assert said("activated") == "active", "a message was to start the stopped daemon"
    assert said("records").splitlines() == ["while it runs", "while it was down", "wakes it up"]
    assert said("verify_log", "rc") == "0", said("verify_log")


def test_the_memory_of_a_dead_program_outlives_the_daemon(said):
    returned, stored = int(said("returned")), [int(number) for number in said("client").split()]
    # Two descriptors for the thread that has opened the log, and two for the one that writes.
    assert said("kept_with_client") == "4" and said("kept_afterwards") == "0", said("journal")
    assert stored == list(range(1, len(stored) + 1)) and len(stored) - returned in (0, 1)


def test_it_stops_cleanly(said):
    assert (said("stop", "rc"), said("stop_again", "rc")) == ("0", "0")
    assert "Result=success" in said("result") and "ExecMainStatus=0" in said("result")
    assert "fastlogd" not in said("failed")


def test_the_units_are_sound(said):
    assert (said("units_verify"), said("units_verify", "err")) == ("", "")


def test_the_service_is_confined(said):
    exposure = float(re.search(r"exposure level for fastlogd\.service: ([\d.]+)", said("security"))[1])
    assert exposure <= EXPOSURE_MAX, said("security")


def test_files_are_for_the_group_and_sockets_for_everybody(said):
    modes = {line.split()[3]: line.split()[0] for line in said("modes").splitlines()}
    assert modes["/run/fastlogd/log.sock"] == "666" and modes["/run/fastlogd/control.sock"] == "660"
    assert modes["/var/log/fastlogd/main.log"] == "640"
