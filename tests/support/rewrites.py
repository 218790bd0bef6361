"""The ways a configuration file gets new content: an editor in place, an editor by rename, an orchestrator by symlink."""

import json
import os
import time

from support.daemon import Daemon


def in_place(daemon: Daemon, text: str) -> None:
    daemon.config_path.write_text(text)


def rename_over(daemon: Daemon, text: str) -> None:
    other = daemon.config_path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, daemon.config_path)


def symlink_swap(daemon: Daemon, text: str) -> None:
    """As Kubernetes does it: fastlogd.yaml -> ..data/fastlogd.yaml, ..data -> a folder, exchanged by rename."""
    version = daemon.folder / f"..{time.time_ns()}"
    version.mkdir()
    (version / "fastlogd.yaml").write_text(text)
    swap = daemon.folder / "..data_new"
    swap.symlink_to(version.name)
    os.replace(swap, daemon.folder / "..data")
    if not daemon.config_path.is_symlink():
        link = daemon.folder / "link"
        link.symlink_to("..data/fastlogd.yaml")
        os.replace(link, daemon.config_path)


WAYS = (in_place, rename_over, symlink_swap)


def text_of(daemon: Daemon) -> str:
    """What daemon.config would be as a file."""
    return json.dumps(daemon.config, indent=2) + "\n"
