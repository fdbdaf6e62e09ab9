"""Nothing is measured in tests: dtype "auto" is float32, whatever the processor."""

from __future__ import annotations

import os

os.environ["CI"] = "1"  # also for the processes that tests start
