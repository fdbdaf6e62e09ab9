#!/usr/bin/env python3
"""Run API-format workflows in a real ComfyUI in this process and print what the nodes showed.

    run_workflow.py [--base FOLDER] [--repeat N] [--pack FOLDER] workflow.json ...

Exit code 0 = all ran, 1 = one failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from bed import PACK, TEST_PACK, Bed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workflow", nargs="+", type=Path)
    parser.add_argument("--base", type=Path, help="folder for input, output, models and temp")
    parser.add_argument("--pack", type=Path, default=PACK)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    workflows = [path.resolve() for path in arguments.workflow] * arguments.repeat
    with tempfile.TemporaryDirectory() as temporary:
        base = (arguments.base or Path(temporary)).resolve()
        base.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        bed = Bed(base, [arguments.pack.resolve(), TEST_PACK])
        print(f"ComfyUI is ready after {time.perf_counter() - start:.1f} s")
        failed = sum(not _run(bed, path) for path in workflows)
        return 1 if failed else 0


def _run(bed: Bed, path: Path) -> bool:
    start = time.perf_counter()
    result = bed.run(path)
    verdict = "ok" if result.success else "FAILED"
    print(f"{path.name}: {verdict} in {time.perf_counter() - start:.2f} s, cached {result.cached}")
    shown = result.outputs if result.success else f"node {result.failed_node}: {result.error}"
    print(json.dumps(shown, indent=1, default=str))
    return result.success


if __name__ == "__main__":
    sys.exit(main())
