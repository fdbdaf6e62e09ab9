"""`batch --engine ray`: its arguments, and what of the others fits them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from ..batch.manifest import Manifest
from ..batch.path_maps import PathMap, load_path_map
from ..batch.precision import runtimes_of
from ..batch.ray_cluster import THIS_MACHINE, RayChoice, check_ray
from ..batch.ray_worker import WorkerSettings
from ..errors import InputError
from ..runtime import FLOAT_TYPES, Runtime

_DEVICES = ("auto", "cpu", "cuda")


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the choice of the engine and what belongs to Ray alone."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who does the work: this process, or workers of a Ray cluster, one for each GPU or "
        "for each --threads processors; needs the extra ray",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="with --engine ray: the cluster's head; needs --dtype (default: RAY_ADDRESS, else a "
        "cluster of this machine alone)",
    )
    parser.add_argument(
        "--worker-path-map",
        type=Path,
        metavar="FILE",
        help="with --engine ray: where folders of this machine lie on the workers', as --path-map",
    )


def check_ray_arguments(options: argparse.Namespace) -> None:
    """Refuses arguments that do not fit together, before anything is opened.

    Raises:
        InputError: says which.
    """
    if options.engine != "ray":
        for word in ("address", "worker_path_map"):
            if getattr(options, word) is not None:
                raise InputError(f"--{word.replace('_', '-')} belongs to --engine ray; add it")
        return
    if options.template:
        raise InputError("--template starts nothing; leave --engine ray out")
    if options.dry_run:
        raise InputError("--dry-run measures this machine alone; leave --engine ray out")
    if options.device not in _DEVICES:
        raise InputError(
            f"--device is {options.device!r}; with --engine ray, which gives each worker its GPU, "
            f"allowed are {', '.join(_DEVICES)}"
        )
    if (address := _address(options)).startswith("ray://"):
        raise InputError(
            f"--address {address} is that of a Ray client; run the command on a machine of the "
            "cluster and give host:port"
        )
    if address != THIS_MACHINE and options.dtype not in FLOAT_TYPES:
        raise InputError(
            "--engine ray is for several machines, which could choose different precisions; name "
            f"one of {', '.join(FLOAT_TYPES)} with --dtype"
        )
    check_ray()


def runtimes_for(manifest: Manifest, options: argparse.Namespace) -> list[Runtime]:
    """Where the shots are made; with a cluster elsewhere, only where they are checked.

    Raises:
        InputError: as `runtimes_of`.
    """
    if options.engine != "ray":
        return runtimes_of(manifest, options.device, options.dtype)
    if _address(options) == THIS_MACHINE:
        return runtimes_of(manifest, _device_here(options), options.dtype)
    return [Runtime.choose("cpu", options.dtype)]


def ray_choice(options: argparse.Namespace, runtime: Runtime) -> RayChoice:
    """The cluster that the arguments name, with precision and threads settled here.

    Args:
        options: the arguments.
        runtime: the precision of the batch.
    """
    settings = WorkerSettings(
        _device_here(options) if _address(options) == THIS_MACHINE else options.device,
        str(runtime.dtype).removeprefix("torch."),
        torch.get_num_threads(),
        options.resume,
        load_path_map(options.worker_path_map) if options.worker_path_map else PathMap(),
    )
    return RayChoice(settings, _address(options), options.jobs)


def _address(options: argparse.Namespace) -> str:
    return options.address or os.environ.get("RAY_ADDRESS") or THIS_MACHINE


def _device_here(options: argparse.Namespace) -> str:
    """The device of workers of this machine alone; Ray knows no other accelerators."""
    if options.device != "auto":
        return options.device
    return "cuda" if torch.cuda.is_available() else "cpu"
