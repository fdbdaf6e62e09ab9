"""A Ray cluster and its workers, which keep their networks. The only module that knows Ray.

Ray is loaded once a cluster is asked for. What a worker does is in `ray_worker`, who does what in
`ray_engine`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from ..errors import InputError
from .ray_worker import Worker, WorkerSettings

THIS_MACHINE = "local"
"""The address of a cluster of this machine alone, which ends with the batch."""
TALK = "talk"
"""Calls of a worker that it takes in the midst of a task."""
_ANSWER_SECONDS = 10.0
# Nothing large goes through Ray: frames and results lie on the storage that all share.
_STORE_BYTES = 100 << 20
_OWN_CLUSTER = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    "RAY_worker_niceness": "0",  # as this process; Ray would have workers give way to all others
}


@dataclass(frozen=True)
class RayChoice:
    """Which cluster, and how its workers work."""

    settings: WorkerSettings
    """Their device may be auto: GPUs where the cluster has some."""
    address: str = THIS_MACHINE
    """host:port of the cluster's head."""
    jobs: int | None = None
    """Workers at most; None = as many as there is room for."""


def check_ray() -> ModuleType:
    """Ray.

    Raises:
        InputError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            '--engine ray needs Ray, which is not installed; pip install "xmempp[ray]"'
        ) from error
    return ray


@contextmanager
def ray_cluster(choice: RayChoice) -> Iterator[RayCluster]:
    """A cluster with room for at least one worker; what runs on it for this batch ends with it.

    Raises:
        InputError: Ray is not installed, there is no such cluster, or it has no room.
    """
    ray = check_ray()
    is_own = choice.address == THIS_MACHINE
    if is_own:
        for name, value in _OWN_CLUSTER.items():
            os.environ.setdefault(name, value)
    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if is_own else {}
    try:
        _check_listens(choice.address)
        ray.init(
            address=choice.address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            namespace="xmempp",
            **own,
        )
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the Ray cluster {choice.address} cannot be reached ({said}); check --address"
        ) from error
    try:
        yield RayCluster(ray, choice)
    finally:
        ray.shutdown()


def _check_listens(address: str) -> None:
    """Raises OSError where nobody answers at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()


class RayCluster:
    """A cluster that this process is connected to.

    Args:
        ray: the package.
        choice: how workers work on it.

    Raises:
        InputError: no machine has room for a worker.
    """

    def __init__(self, ray: ModuleType, choice: RayChoice) -> None:
        self.ray = ray
        if choice.settings.device == "auto":
            device = "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
            choice = replace(choice, settings=replace(choice.settings, device=device))
        self.choice = choice
        if choice.jobs is None and not self.room():
            raise InputError(
                f"no machine of the Ray cluster has {self._needed()} for a worker; lower --threads "
                "or choose another --device, or ask with --jobs for workers of a cluster that grows"
            )

    def room(self) -> int:
        """Workers that the machines could hold if nobody else worked there."""
        name, each = ("GPU", 1) if self._has_gpu else ("CPU", self.choice.settings.threads)
        return sum(
            int(one["Resources"].get(name, 0) // each) for one in self.ray.nodes() if one["Alive"]
        )

    def is_alive(self, node: str) -> bool:
        """Whether a machine of the cluster is there, by Ray's name for it."""
        return any(one["Alive"] for one in self.ray.nodes() if one["NodeID"] == node)

    def start_worker(self) -> Any:
        """A worker that is being started, where there is room, as soon as there is."""
        threads = self.choice.settings.threads
        variables = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        make = self.ray.remote(
            num_gpus=1 if self._has_gpu else 0,
            num_cpus=1 if self._has_gpu else threads,
            max_concurrency=1,
            concurrency_groups={TALK: 1},
            max_restarts=0,  # lost tasks are given to others here, which is told and counted
            max_task_retries=0,
            runtime_env={"env_vars": variables},
        )
        return make(_Actor).remote(self.choice.settings)

    @property
    def _has_gpu(self) -> bool:
        return self.choice.settings.device == "cuda"

    def _needed(self) -> str:
        threads = self.choice.settings.threads
        return "a GPU" if self._has_gpu else f"{threads} processor{'s' if threads > 1 else ''}"


class _Actor(Worker):
    """A worker as Ray holds it."""

    def ready(self) -> tuple[str, str]:
        """Why it cannot work, "" where it can; and Ray's name of its machine."""
        return self.fault(), check_ray().get_runtime_context().get_node_id()
