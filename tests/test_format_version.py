"""Files carry a format version, and one that is newer than known is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from xmempp_core.errors import FormatError
from xmempp_core.format_version import check_format_version


@pytest.mark.parametrize("version", [None, 1, 2, "1", "2"])
def test_known_versions_and_files_without_one_pass(version: object) -> None:
    check_format_version(Path("a.json"), version, 2)


@pytest.mark.parametrize("version", [3, "3", 10**30])
def test_a_newer_version_is_refused_with_the_remedy(version: object) -> None:
    with pytest.raises(FormatError, match=r"^a\.json: .*newer version.*up to 2\); update"):
        check_format_version(Path("a.json"), version, 2)


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "", "new", [], {}])
def test_what_is_no_version_is_refused(version: object) -> None:
    with pytest.raises(FormatError, match="names no format version"):
        check_format_version(Path("a.json"), version, 2)
