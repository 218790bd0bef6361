"""/metrics as Prometheus reads it: promtool finds nothing to say, a real Prometheus scrapes it, the numbers add up."""

import json
import subprocess
import time
import urllib.request

from support.daemon import eventually, free_port
from support.load import Load
from support.senders import program


def test_promtool_has_nothing_to_say(idle_daemon):
    daemon = idle_daemon.with_text().start()
    Load(daemon.connect, count=1000).run()
    daemon.quiesce(1000)
    done = subprocess.run([program("promtool"), "check", "metrics"], input=daemon.metrics().text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_real_prometheus_scrapes_it(daemon, folder):
    Load(daemon.connect, count=1234).run()
    daemon.quiesce(1234)
    port = free_port()
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: fastlogd, static_configs: [{{targets: ['127.0.0.1:{daemon.http_port}']}}]}}]\n")
    process = subprocess.Popen([program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                                f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def value() -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=sum(fastlogd_stored_records_total)", timeout=2) as answer:
                result = json.load(answer)["data"]["result"]
                return result[0]["value"][1] if result else None
        except OSError:
            return None

    try:
        assert eventually(value, 30, 0.2) == "1234"
    finally:
        process.terminate()
        process.wait(20)


def test_the_equation_holds_at_every_scrape_under_load(daemon):
    loads = [Load(daemon.connect, f"l{index}", rate=100_000) for index in range(4)]
    for load in loads:
        load.start()
    end = time.monotonic() + 3
    scrapes = 0
    while time.monotonic() < end or scrapes <= 50:
        daemon.metrics().check_equation()
        scrapes += 1
    sent = sum(load.stop() for load in loads)
    now = daemon.quiesce(sent)
    assert (now.received, now.stored, now.in_flight) == (sent, sent, 0)


def test_it_tells_about_its_process_and_build(daemon):
    now = daemon.metrics()
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"} <= now.names()
    assert 1 << 20 < now.sum("process_resident_memory_bytes") < 1 << 30


def test_label_values_do_not_grow_with_what_senders_say(daemon):
    before = len(daemon.metrics().text.splitlines())
    with daemon.connect() as connection:
        for number in range(2000):
            connection.sendall(b"<13>Nov 22 23:05:01 host%d app%d[%d]: hello\n" % (number, number, number))
    after = daemon.quiesce(2000)
    assert len(after.text.splitlines()) - before < 20
