"""`batch`: many shots from one manifest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..batch.bench import Bench
from ..batch.estimate import estimate
from ..batch.job_template import JobChoice, job_template
from ..batch.local import Tally, run_here
from ..batch.logs import told_in_logs_alone
from ..batch.manifest import load_manifest
from ..batch.networks import Networks
from ..batch.path_maps import PathMap, load_path_map
from ..batch.plans import ShotPlan, plan_batch
from ..batch.precision import keep_precision
from ..batch.ranges import stages_of
from ..batch.ray_cluster import ray_cluster
from ..batch.ray_engine import run_on_cluster
from ..batch.shards import Shard
from ..batch.status import as_json, exit_code, table, write_status
from ..batch.tasks import Stages, Task
from ..errors import InputError
from ..runtime import processor_threads
from .batch_plan import plan_json, plan_table
from .batch_ray import add_ray_arguments, check_ray_arguments, ray_choice, runtimes_for
from .progress import peak_memory_bytes, shown_progress, stop_request
from .propagate import add_report_arguments

EXIT_INTERRUPTED = 130
_EPILOG = (
    "Exit codes: 0 every shot is whole, 1 some are not, 2 the manifest or the call is wrong, "
    "130 interrupted."
)


def add_commands(commands: Any) -> None:
    """Adds `batch`."""
    parser = commands.add_parser(
        "batch",
        help="many shots from one manifest",
        description="Makes all shots of a manifest (TOML). Everything is checked before anything "
        "starts. Shots that are finished, and of which nothing has changed, are skipped; a bad "
        "shot does not stop the others.",
        epilog=_EPILOG,
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="the .toml file")
    parser.add_argument(
        "--only", action="append", default=[], metavar="SHOT,SHOT", help="only these shots"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with unfinished shots where they were saved"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also write into output folders that hold files of others",
    )
    parser.add_argument(
        "--split",
        type=int,
        metavar="FRAMES",
        help="each shot in ranges of so many frames, for direction independent; --shard then "
        "counts ranges over all shots",
    )
    step = parser.add_mutually_exclusive_group()
    step.add_argument(
        "--adapt-only", action="store_true", help="with --split: only adapt, before the ranges"
    )
    step.add_argument(
        "--join", action="store_true", help="with --split: only join ranges that are there"
    )
    step.add_argument(
        "--template",
        choices=("openjd",),
        help="start nothing; write the job template of Open Job Description to standard output, "
        "for farms; needs --dtype",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would be done and what it would take, from a measured frame",
    )
    _add_machine_arguments(parser)
    add_ray_arguments(parser)
    parser.add_argument(
        "--status", type=Path, metavar="FILE", help="how every shot stands, as JSON, in a file"
    )
    add_report_arguments(parser)
    parser.set_defaults(run=run_batch)


def _add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say where and how the shots are made."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME,NAME",
        help="auto (every CUDA GPU, else as elsewhere), cpu, mps, or some of cuda:0,cuda:1",
    )
    parser.add_argument(
        "--dtype",
        default="auto",
        help="auto, float32, float16 or bfloat16, for all shots (auto: as the batch was begun; "
        "else the fastest here with the same masks, measured once)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="shots at a time (default: one for each device; "
        "with --engine ray: as many as there is room for)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="processor threads of a shot (default: all)"
    )
    parser.add_argument(
        "--shard", metavar="I/N", help="only the I-th of N parts of the work, for job arrays"
    )
    parser.add_argument(
        "--path-map",
        type=Path,
        metavar="FILE",
        help="where folders of the manifest lie here: JSON with path_mapping_rules",
    )


def run_batch(options: argparse.Namespace) -> int:
    """Runs `batch`."""
    threads = options.threads
    with processor_threads(None if threads is None else _at_least_1("--threads", threads)):
        return _run_batch(options)


def _run_batch(options: argparse.Namespace) -> int:
    paths = load_path_map(options.path_map) if options.path_map else PathMap()
    check_ray_arguments(options)
    manifest = load_manifest(options.manifest, paths)
    runtimes = runtimes_for(manifest, options)
    jobs = len(runtimes) if options.jobs is None else _at_least_1("--jobs", options.jobs)
    shard = _shard(options)
    cluster = ray_choice(options, runtimes[0]) if options.engine == "ray" else None
    networks = Networks()
    plans = plan_batch(
        manifest,
        networks,
        runtimes[0],
        only=[name.strip() for text in options.only for name in text.split(",")],
        overwrite=options.overwrite,
    )
    all_plans, work = plans, chosen_work(options, plans, shard)
    plans = [plan for plan in plans if plan.name in work or (plan.is_finished and not shard)]
    if options.template:
        return _write_template(options, all_plans)
    benches = [Bench(networks, runtime, options.resume) for runtime in runtimes]
    if options.dry_run:
        return _tell_plan(options, plans, benches[0], jobs)
    if options.dtype == "auto":
        keep_precision(manifest, runtimes[0])
    tally = Tally({plan.name: plan for plan in plans}, _teller(options))
    with ExitStack() as stack:
        if cluster and work:
            run: Callable[..., None] = partial(
                run_on_cluster, cluster=stack.enter_context(ray_cluster(cluster))
            )
        else:
            run = partial(run_here, benches=benches, jobs=jobs)
        return _run(options, tally, work, run)


def chosen_work(
    options: argparse.Namespace, plans: list[ShotPlan], shard: Shard | None
) -> dict[str, Stages]:
    """The tasks that this call is to do, by shot.

    Raises:
        InputError: a shot cannot be split, or the arguments do not fit together.
    """
    if options.split is None:
        if options.adapt_only or options.join:
            raise InputError("--adapt-only and --join are steps of a split batch; add --split")
        chosen = shard.of(plans) if shard else plans
        return {plan.name: ((Task(plan.name),),) for plan in chosen if not plan.is_finished}
    frames = _at_least_1("--split", options.split)
    tasks = [
        task for plan in plans for stage in stages_of(plan, frames) for task in stage
    ]  # of finished shots too, so that a task has the same number in every call
    if options.adapt_only or options.join:
        kinds: tuple[str, ...] = ("adapt",) if options.adapt_only else ("join",)
    else:
        kinds = ("range",) if shard else ("adapt", "range", "join")
    tasks = [task for task in tasks if task.kind in kinds]
    finished = {plan.name for plan in plans if plan.is_finished}
    tasks = [one for one in (shard.of(tasks) if shard else tasks) if one.shot not in finished]
    return {
        name: tuple(tuple(t for t in tasks if (t.shot, t.kind) == (name, kind)) for kind in kinds)
        for name in dict.fromkeys(task.shot for task in tasks)
    }


def _run(
    options: argparse.Namespace,
    tally: Tally,
    work: dict[str, Stages],
    run: Callable[..., None],
) -> int:
    with ExitStack() as stack:
        stack.enter_context(told_in_logs_alone())
        progress = stack.enter_context(shown_progress("batch", quiet=options.quiet))
        should_stop = stack.enter_context(stop_request())
        run(work, tally, progress=progress, should_stop=should_stop)
        was_stopped = should_stop()
    has_part = {name for name, stages in work.items() if not _ends_whole(stages)}
    statuses = tally.statuses(frozenset(has_part))
    if options.status:
        write_status(options.status, statuses)
    if options.json:
        print(json.dumps(as_json(statuses)))
    if not options.quiet:
        print(table(statuses), file=sys.stderr)
    return EXIT_INTERRUPTED if was_stopped else exit_code(statuses)


def _ends_whole(stages: Stages) -> bool:
    """Whether the results of a shot are whole once its tasks are done."""
    return any(task.kind in ("shot", "join") for stage in stages for task in stage)


def _tell_plan(options: argparse.Namespace, plans: list[ShotPlan], bench: Bench, jobs: int) -> int:
    """Says what would be done; nothing is written."""
    with told_in_logs_alone():
        estimates = estimate(plans, bench, _teller(options))
    peak = peak_memory_bytes(bench.runtime.device)
    content = plan_json(estimates, peak, jobs)
    if options.json:
        print(json.dumps(content))
    if not options.quiet:
        print(plan_table(estimates, peak, jobs))
    return 0


def _write_template(options: argparse.Namespace, plans: list[ShotPlan]) -> int:
    """Writes the job that would make these shots; nothing is started."""
    if options.shard or options.dry_run:
        raise InputError("--template starts nothing; leave --shard and --dry-run out")
    choice = JobChoice(
        f"xmempp {options.manifest.stem}"[:128],
        options.dtype,
        options.device,
        options.threads or torch.get_num_threads(),
        options.split,
    )
    print(json.dumps(job_template(plans, choice), indent=2))
    return 0


def _teller(options: argparse.Namespace) -> Any:
    """Takes lines for people, which do not tear a progress bar."""
    if options.quiet:
        return lambda line: None
    return lambda line: tqdm.write(line, file=sys.stderr)


def _shard(options: argparse.Namespace) -> Shard | None:
    if not options.shard:
        return None
    if options.dtype == "auto":
        raise InputError(
            "--shard is for several machines, which could choose different precisions; name one, "
            "such as --dtype float32"
        )
    return Shard.parse(options.shard)


def _at_least_1(word: str, value: int) -> int:
    if value < 1:
        raise InputError(f"{word} is {value}, allowed is 1 and up")
    return value
