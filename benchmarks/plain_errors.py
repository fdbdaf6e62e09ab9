"""A benchmark that cannot run says so in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable

from xmempp_core.errors import XMemError


def run_plainly(main: Callable[[], None]) -> None:
    """Runs a benchmark; what it lacks (data, a model) ends it with a sentence and code 2."""
    try:
        main()
    except XMemError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
