"""Speed of a pass against the same mathematics written plainly, alternated frame by frame.

    python benchmarks/speed.py --output docs/speed.json [--baseline CHECKOUT] [--device cuda]

Each contender (the product in one or more dtypes, `benchmarks/plain.py`, and with --baseline an
older checkout of the product) is a process of its own that computes one frame when it is told to,
in turn with the others, so that a busy machine slows all alike. Reported are the median and the
quartiles of the seconds of a frame, ratios of the medians, and peak memory. All must find masks of
the same size on each frame. The official layout has seeded weights: its speed does not depend on
them. "memory full" reads eight annotated frames of 480x854, 13,000 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import xmempp_core as xmempp

HERE = Path(__file__).parent
FILM = HERE.parent / "xmempp_core" / "assets" / "demo" / "bigbuckbunny.mp4"
MEMORIZE_EVERY = 5
TOP_K = 30


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    network: str
    """"xmem" (official layout, seeded) or "lite" (bundled)"""
    objects: int
    annotated: int
    """annotated frames, evenly spread over the first 40; all are permanent memory"""
    height: int = 480
    """of the source frames"""

    @property
    def name(self) -> str:
        """As the table says it."""
        memory = ", memory full" if self.annotated > 1 else ""
        source = "" if self.height == 480 else f", {self.height}p source"
        return f"{self.network}, {self.objects} object{'s' * (self.objects > 1)}{memory}{source}"


CASES = tuple(
    Case(network, objects, annotated, height)
    for network in ("xmem", "lite")
    for objects, annotated, height in (
        (1, 1, 480),
        (3, 1, 480),
        (10, 1, 480),
        (1, 8, 480),
        (1, 1, 1080),
    )
)


def main() -> None:
    """Measures all cases, prints the table, writes JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    parser.add_argument("--baseline", type=Path, help="an older checkout to compare with")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", default="float32", help="of the product, joined by commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=8, help="counted frames a case")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.worker:
        work(json.loads(options.worker))
        return
    if options.baseline and not (options.baseline / "xmempp_core").is_dir():
        parser.error(f"{options.baseline} holds no xmempp_core; give a checkout of the product")
    with tempfile.TemporaryDirectory() as folder:
        seeded = Path(folder) / "seeded.pth"
        save_seeded(seeded)
        rows = [measured(case, options, seeded) for case in CASES if options.only in case.name]
    if options.output:
        text = json.dumps({"machine": machine(options), "cases": rows}, indent=1)
        options.output.write_text(text + "\n", encoding="utf-8")


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    if options.device.startswith("cuda"):
        name = torch.cuda.get_device_name(options.device)
    return {
        "processor": name,
        "threads": options.threads,
        "frames": options.frames,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


# ---- the one who compares


def measured(case: Case, options: argparse.Namespace, seeded: Path) -> dict[str, Any]:
    """Figures of one case; prints its line."""
    contenders = {f"product {dtype}": ("product", dtype) for dtype in options.dtypes.split(",")}
    contenders["plain"] = ("plain", "float32")
    if options.baseline:
        contenders["baseline"] = ("baseline", "float32")
    workers = {
        name: started(kind, dtype, case, options, seeded)
        for name, (kind, dtype) in contenders.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    sums: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(options.frames + 2):
        for name, worker in workers.items():
            answer = asked(worker, "step")
            sums[name].append(answer["objects"])
            if turn >= 2:  # the annotated frame and the first predicted one warm up
                seconds[name].append(answer["seconds"])
    peaks = {name: asked(worker, "end")["peak_bytes"] for name, worker in workers.items()}
    check_equal(sums, case)
    result = {name: quartiles(values) for name, values in seconds.items()}
    for name, figures in result.items():
        figures["peak_bytes"] = peaks[name]
        figures["plain_ratio"] = result["plain"]["median_seconds"] / figures["median_seconds"]
        if options.baseline:
            before = result["baseline"]["median_seconds"]
            figures["baseline_ratio"] = before / figures["median_seconds"]
    print(line_of(case, result), flush=True)
    return {"case": case.name, **asdict(case), "contenders": result}


def line_of(case: Case, result: dict[str, dict[str, float]]) -> str:
    """One line of the table."""
    parts = []
    for name, figures in result.items():
        ratio = f"{figures['plain_ratio']:.2f}x plain"
        if "baseline_ratio" in figures:
            ratio += f", {figures['baseline_ratio']:.2f}x baseline"
        peak = figures["peak_bytes"] / 2**20
        parts.append(f"{name} {figures['median_seconds']:.3f} s ({ratio}, {peak:.0f} MB)")
    return f"{case.name}: " + "; ".join(parts)


def quartiles(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median_seconds": middle, "lower_seconds": low, "upper_seconds": high}


def check_equal(sums: dict[str, list[float]], case: Case) -> None:
    """All contenders in float32 found masks of the same size on all frames."""
    expected = sums["plain"]
    for name, values in sums.items():
        tolerance = 0.02 if "16" in name else 0.001
        for got, right in zip(values, expected, strict=True):
            if abs(got - right) > tolerance * max(right, 1e-3):
                raise SystemExit(f"{case.name}: {name} covers {got}, plain {right}: not the same")


def started(
    kind: str, dtype: str, case: Case, options: argparse.Namespace, seeded: Path
) -> subprocess.Popen[str]:
    """A contender's process, ready to compute its first frame."""
    task = {"kind": kind, "dtype": dtype, "device": options.device, "seeded": str(seeded)}
    task |= {"case": asdict(case), "frames": options.frames}
    root = options.baseline if kind == "baseline" else HERE.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(HERE)])}
    arguments = ["--worker", json.dumps(task), "--threads", str(options.threads)]
    worker = subprocess.Popen(
        [sys.executable, str(HERE / "speed.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    asked(worker, "start")
    return worker


def asked(worker: subprocess.Popen[str], word: str) -> dict[str, float]:
    """A worker's answer to a word."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(word + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("a contender stopped; see above")
    return json.loads(line)


# ---- a contender


def work(task: dict[str, Any]) -> None:
    """Computes one frame for each "step" read, until "end"."""
    case = Case(**task["case"])
    step = (plain_steps if task["kind"] == "plain" else product_steps)(case, task)
    for line in sys.stdin:
        word = line.strip()
        answer: dict[str, float] = {}
        if word == "step":
            start = time.perf_counter()
            objects = step()
            synchronize(task["device"])
            answer = {"seconds": time.perf_counter() - start, "objects": objects}
        elif word == "end":
            answer = {"peak_bytes": peak_bytes(task["device"])}
        print(json.dumps(answer), flush=True)
        if word == "end":
            return


def product_steps(case: Case, task: dict[str, Any]) -> Callable[[], float]:
    """The product's pass; each call gives the share of the frame that is no background."""
    runtime = xmempp.Runtime.choose(task["device"], task["dtype"])
    model = "lite" if case.network == "lite" else task["seeded"]
    network = xmempp.load_model(model, runtime)
    source = xmempp.open_frames(film_frames(case, task["frames"]))
    annotations = xmempp.AnnotationSet(
        tuple(
            xmempp.Annotation(t, tuple(range(1, case.objects + 1)), boxes(case, t) > 0)
            for t in annotated_frames(case)
        )
    )
    settings = xmempp.PropagationSettings(
        memorize_every=MEMORIZE_EVERY, top_k=TOP_K, direction="forward"
    )
    frames: Iterator[Any] = iter(xmempp.propagate(network, source, annotations, settings))
    return lambda: float(1 - next(frames).probabilities[0].mean())


def plain_steps(case: Case, task: dict[str, Any]) -> Callable[[], float]:
    """The plain pass; each call gives the share of the frame that is no background."""
    from plain import PlainPass, plain_network

    from xmempp_core.network.checkpoint import BUNDLED
    from xmempp_core.resize import internal_size, resize_frame, resize_masks
    from xmempp_core.types import Size

    path = BUNDLED["lite"] if case.network == "lite" else Path(task["seeded"])
    frames, device = film_frames(case, task["frames"]), torch.device(task["device"])
    size = internal_size(Size(*frames.shape[1:3]), 480)

    def frame_at(index: int) -> torch.Tensor:
        planes = frames[index].to(device).permute(2, 0, 1).float() / 255
        return resize_frame(planes, size, antialias=True)

    annotated = {t: resize_masks(boxes(case, t), size) for t in annotated_frames(case)}
    network = plain_network(path).to(device)
    masks = {t: one.to(device) for t, one in annotated.items()}
    one_pass = PlainPass(network, frame_at, masks, MEMORIZE_EVERY, TOP_K)
    return lambda: float(1 - one_pass.step()[0].mean())


def film_frames(case: Case, count: int) -> torch.Tensor:
    """(T, H, W, 3) uint8 frames of the bundled film at the case's height."""
    film = xmempp.open_frames(FILM)
    width = 2 * round(case.height * 16 / 9 / 2)
    last = max(count + 2, annotated_frames(case)[-1] + 1)
    frames = torch.stack([film.frame(t) for t in range(last)]).permute(0, 3, 1, 2)
    size = (case.height, width)
    enlarged = torch.nn.functional.interpolate(frames.float(), size, mode="bilinear")
    return enlarged.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def annotated_frames(case: Case) -> list[int]:
    """Frame 0, and others behind the frames that are measured."""
    return [0, *range(100, 100 + case.annotated - 1)]


def boxes(case: Case, frame_index: int) -> torch.Tensor:
    """(N, H, W) float32 boxes side by side, a little moved on each frame."""
    height, width = case.height, 2 * round(case.height * 16 / 9 / 2)
    masks = torch.zeros(case.objects, height, width)
    side = width // (2 * case.objects + 1)
    for n in range(case.objects):
        left = (2 * n + 1) * side - side // 2 + frame_index % 7
        masks[n, height // 4 : height // 4 * 3, left : left + side] = 1
    return masks


def save_seeded(path: Path) -> None:
    """The official layout with seeded weights."""
    from xmempp_core.network.xmem import XMem

    torch.manual_seed(0)
    torch.save(XMem().state_dict(), path)


def synchronize(device: str) -> None:
    """Waits for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def peak_bytes(device: str) -> float:
    """Peak memory of this process, on the device where that is a GPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
