"""Speed and memory of a pass at 480p, and of one recall against the plain way to write it.

    python benchmarks/propagation.py [--threads N] [--output docs/propagation.json]

Every pass runs in a process of its own, so that peak memory is its own. The official layout has
seeded weights: its speed does not depend on them, its masks mean nothing. The recall is compared
in one process with the same top-k done by a three-term similarity, a dense scattered matrix and a
full product; results must agree within 1e-5.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from plain_errors import run_plainly
from torch import Tensor

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.demo import VIDEO
from xmempp_core.cli.progress import peak_memory_bytes
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network import ops
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.xmem import XMem
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import Network

SIZE = (480, 854)
CELLS = 30 * 54
FRAMES = {"xmem": 10, "lite": 30}
MEMORY_TOKENS = (4_000, 10_000, 29_000)


def main() -> None:
    """Runs all cases, prints tables, writes JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds after which a pass is given up"
    )
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.case:
        print(json.dumps(pass_case(*options.case.split(","))))
        return
    result = {"machine": machine(options.threads), "passes": passes(options.threads, options.limit)}
    result["recall"] = [recall_case(tokens) for tokens in MEMORY_TOKENS]
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


# ---- passes


def passes(threads: int, limit_seconds: float) -> list[dict[str, Any]]:
    """Frames per second and peak memory of each network, object count and dtype.

    A pass that takes longer than the limit is named without figures: some processors have no
    bfloat16 of their own.
    """
    print(f"{'network':<8}{'objects':>8}{'dtype':>10}{'frames/s':>10}{'peak MB':>9}")
    results = []
    for network in FRAMES:
        for objects in (1, 3):
            for dtype in ("float32", "bfloat16"):
                case = f"{network},{objects},{dtype}"
                command = [sys.executable, __file__, "--case", case, "--threads", str(threads)]
                head = f"{network:<8}{objects:>8}{dtype:>10}"
                try:
                    answer = subprocess.run(
                        command, check=True, capture_output=True, text=True, timeout=limit_seconds
                    )
                except subprocess.TimeoutExpired:
                    print(f"{head}  not done after {limit_seconds:.0f} s", flush=True)
                    continue
                one = json.loads(answer.stdout)
                results.append(one)
                rate, peak = one["frames_per_second"], one["peak_bytes"] / 2**20
                print(f"{head}{rate:>10.2f}{peak:>9.0f}", flush=True)
    return results


def pass_case(name: str, objects: str, dtype: str) -> dict[str, Any]:
    """One pass over the bundled film at 480p; the first predicted frame warms up."""
    runtime = Runtime.choose("cpu", dtype)
    network: Network = load_model("lite", runtime) if name == "lite" else seeded_xmem(runtime)
    film = open_frames(VIDEO)
    count = FRAMES[name]
    frames = torch.stack([_shrunk(film.frame(t)) for t in range(count + 2)])
    settings = PropagationSettings(memorize_every=5)
    result = propagate(network, open_frames(frames), boxes(int(objects)), settings)
    next(result), next(result)
    start = time.perf_counter()
    done = sum(1 for _ in islice(result, count))
    seconds = time.perf_counter() - start
    return {
        "network": name,
        "objects": int(objects),
        "dtype": dtype,
        "frames_per_second": done / seconds,
        "peak_bytes": peak_memory_bytes(runtime.device),
    }


def seeded_xmem(runtime: Runtime) -> XMem:
    """The official layout with seeded weights."""
    torch.manual_seed(0)
    return XMem().eval().requires_grad_(False).to(runtime.device, runtime.dtype)


def boxes(objects: int) -> AnnotationSet:
    """Frame 0 with boxes as objects."""
    masks = torch.zeros(objects, *SIZE)
    for i in range(objects):
        masks[i, 60 + 100 * i : 180 + 100 * i, 100 + 200 * i : 320 + 200 * i] = 1
    return AnnotationSet((Annotation(0, tuple(range(1, objects + 1)), masks),))


def _shrunk(frame: Tensor) -> Tensor:
    planes = frame.permute(2, 0, 1)[None].float()
    small = F.interpolate(planes, SIZE, mode="bilinear", antialias=True)[0]
    return small.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)


# ---- recall


def recall_case(tokens: int, *, key: int = 64, value: int = 512, top_k: int = 30) -> dict[str, Any]:
    """Seconds of each part of one recall, ours against the plain way."""
    generator = torch.Generator().manual_seed(0)
    memory_key = torch.randn(tokens, key, generator=generator)
    shrinkage = 1 + torch.rand(tokens, generator=generator)
    query_key = torch.randn(CELLS, key, generator=generator)
    selection = torch.rand(CELLS, key, generator=generator)
    values = torch.randn(tokens, value, generator=generator)
    columns = values.t().contiguous()
    rows = ops.memory_rows(memory_key, shrinkage)
    buffer = torch.empty(CELLS, tokens)

    seconds: dict[str, float] = {}
    ours = _timed(
        seconds, "similarity", lambda: ops.similarity_of(rows, query_key, selection, buffer)
    )
    affinity = _timed(seconds, "top-k", lambda: ops.top_k_affinity(ours, top_k))
    read = _timed(seconds, "value", lambda: ops.readout(affinity, values))
    plain = _timed(
        seconds,
        "plain similarity",
        lambda: plain_similarity(memory_key, shrinkage, query_key, selection),
    )
    weights = _timed(seconds, "plain top-k", lambda: scattered_top_k(plain, top_k))
    plain_read = _timed(seconds, "plain value", lambda: columns @ weights)
    difference = (read.t() - plain_read).abs().max().item()
    assert difference < 1e-5, f"results differ by {difference}"
    return _report_recall(tokens, seconds, difference)


def plain_similarity(
    memory_key: Tensor, shrinkage: Tensor, query_key: Tensor, selection: Tensor
) -> Tensor:
    """(L, Q): -(k_m^2 e) + 2 k_m (k_q e) - (e k_q^2), three terms one after the other."""
    square = memory_key.pow(2) @ selection.t()
    cross = 2 * (memory_key @ (query_key * selection).t())
    own = (selection * query_key.pow(2)).sum(1)[None]
    return (-square + cross - own) * shrinkage[:, None] / math.sqrt(memory_key.shape[1])


def scattered_top_k(similarities: Tensor, top_k: int) -> Tensor:
    """(L, Q) dense matrix that is zero but for the softmax of each column's largest."""
    best, places = similarities.topk(top_k, 0)
    weights = best.sub(best[:1]).exp_()
    weights /= weights.sum(0, keepdim=True)
    return torch.zeros_like(similarities).scatter_(0, places, weights)


def _timed(seconds: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    """The result of a call; keeps the median of five runs after a warm-up."""
    result = call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    seconds[name] = sorted(times)[2]
    return result


def _report_recall(tokens: int, seconds: dict[str, float], difference: float) -> dict[str, Any]:
    parts = ("similarity", "top-k", "value")
    whole, plain = (sum(seconds[p + part] for part in parts) for p in ("", "plain "))
    ratios = {part: seconds[f"plain {part}"] / seconds[part] for part in parts}
    ratios["whole"] = plain / whole
    text = ", ".join(f"{name} {ratio:.1f}x" for name, ratio in ratios.items())
    print(f"recall of {tokens} tokens: {1000 * whole:.0f} ms, faster by: {text}", flush=True)
    return {"tokens": tokens, "seconds": seconds, "ratios": ratios, "difference": difference}


if __name__ == "__main__":
    run_plainly(main)
