"""A SLURM of one node on loopback, from Debian's slurm-wlm and munge, in a folder of its own (needs root)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=600
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Reason why no SLURM can be started here, or None."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: slurm-wlm, munge)"
    return None if os.geteuid() == 0 else "starting SLURM needs root"


class OneNodeSlurm:
    """Starts munged, slurmctld and slurmd; ``environment`` makes sbatch and dask-jobqueue use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
            "DASK_JOBQUEUE__SLURM__SHARED_TEMP_DIRECTORY": str(folder / "keys"),
            "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(folder / "jobs"),
            # the node declares no memory, so that no job may ask for some
            "DASK_JOBQUEUE__SLURM__JOB_DIRECTIVES_SKIP": '["--mem"]',
        }

    def __enter__(self) -> OneNodeSlurm:
        for name in ("state", "spool", "keys", "jobs"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        host = socket.gethostname().split(".")[0]
        ports = {"ctld_port": _free_port(), "slurmd_port": _free_port()}
        text = CONFIGURATION.format(host=host, folder=self.folder, cpus=os.cpu_count(), **ports)
        (self.folder / "slurm.conf").write_text(text)
        munge = self.folder / "munge"
        self._start(
            "munged", "--foreground", "--force", "--key-file", str(key), "--socket", f"{munge}.socket",
            "--pid-file", f"{munge}.pid", "--log-file", f"{munge}.log", "--seed-file", f"{munge}.seed",
        )  # fmt: skip
        _wait_until(lambda: Path(f"{munge}.socket").exists(), "munged")
        self._start("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        self.start_slurmd()
        _wait_until(self._is_idle, "the node")
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes.values()):
            process.kill()
            process.wait()

    def start_slurmd(self) -> None:
        """The node's daemon; again after it was killed."""
        self._start("slurmd", "-D", "-f", self.environment["SLURM_CONF"])

    def kill_slurmd(self) -> None:
        """As a crash would."""
        self._processes["slurmd"].kill()
        self._processes["slurmd"].wait()

    def _start(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "ab") as log:
            environment = os.environ | self.environment
            self._processes[command[0]] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def _is_idle(self) -> bool:
        asked = subprocess.run(
            ["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, env=os.environ | self.environment
        )
        return asked.stdout.strip() == "idle"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(ready: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up in {seconds:.0f} s")
        time.sleep(0.3)
