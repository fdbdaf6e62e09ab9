"""The manifest of a batch: what it stands for, and every fault of it with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from xmempp_core.batch.faults import ManifestError
from xmempp_core.batch.manifest import load_manifest, manifest_of
from xmempp_core.batch.path_maps import PathMap, PathRule, load_path_map
from xmempp_core.batch.shards import Shard
from xmempp_core.batch.toml_lines import parse_toml
from xmempp_core.errors import FormatError, InputError

SHOW = Path("/show/show.toml")
SHOT = '[[shot]]\nname = "a"\nframes = "a.mov"\nannotations = "a"\n'


def faults_of(text: str, path: Path = SHOW) -> list[str]:
    return [f"{fault.line}: {fault.problem}" for fault in manifest_of(text, path).faults]


def test_every_key_has_its_line() -> None:
    text = (
        "# a comment\n"
        'output = "x"\n'
        "\n"
        "[defaults]\n"
        "settings = {top_k = 3}\n"
        "[defaults.more]\n"
        'b = """\n'
        "# no comment\n"
        '"""\n'
        "[[shot]]\n"
        "exports = [\n"
        ' "nuke", # [\n'
        "]\n"
        "[shot.settings]\n"
        "top_k = 3\n"
        "[[shot]]\n"
        "a.b = 1"
    )
    lines = parse_toml(text, SHOW)
    assert lines.line("output") == 2
    assert lines.line("defaults", "settings", "top_k") == 5
    assert lines.line("defaults", "more", "b") == 7
    assert lines.line("shot", 0) == 10
    assert lines.line("shot", 0, "exports") == 11
    assert lines.line("shot", 0, "settings", "top_k") == 15
    assert lines.line("shot", 1, "a", "b") == 17
    assert lines.line("shot", 1, "nothing") == 16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", ":2: this is no TOML: Invalid value"),
        ("a = [", ":1: this is no TOML"),
        ("a = 1\na = 2\n", ":2: this is no TOML: Cannot overwrite a value"),
        ("a = 2024-99-01\n", ":1: this is no TOML"),
        ("a = " + "[" * 5000, ":1: this is no TOML"),
        ("a = [\n" + "1,\n" * 1200 + "]", "goes on for more than 1000 lines"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ManifestError) as error:
        parse_toml(text, SHOW)
    assert said in str(error.value)
    assert str(error.value).startswith("/show/show.toml:")
    assert "\n" not in str(error.value)


def test_defaults_fill_what_a_shot_leaves_out_and_settings_are_put_together() -> None:
    text = (
        '[defaults]\nmodel = "lite"\nsteady = 2\nsettings = {top_k = 20, memorize_every = 5}\n'
        f'exports = ["nuke"]\n{SHOT}settings = {{top_k = 10}}\nsteady = 0\n'
    )
    (shot,) = manifest_of(text, SHOW).shots
    assert dict(shot.settings) == {"top_k": 10, "memorize_every": 5}
    assert (shot.model, shot.steady) == ("lite", 0)
    assert shot.frames == "/show/a.mov"
    assert shot.output == "/show/results/a"
    (export,) = shot.exports
    assert (export.name, export.choice.preset, export.choice.shot) == ("nuke", "nuke", "a")
    assert shot.line_of("settings.top_k") == 10
    assert shot.line_of("settings.memorize_every") == 4


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    text = (
        "color = 1\n"
        "[defaults]\n"
        "steady = true\n"
        'name = "x"\n'
        "[[shot]]\n"
        'name = "con"\n'
        'frames = "a.mov"\n'
        "[[shot]]\n"
        'name = "b"\n'
        "frames = 3\n"
        'annotations = "b"\n'
        'exports = ["nuke", {preset = "nuke"}]\n'
    )
    said = faults_of(text)
    assert [one.partition(":")[0] for one in said] == ["1", "3", "4", "5", "10", "12"]
    assert said[0] == (
        "1: there is no key 'color'; keys are format_version, output, defaults, shot"
    )
    assert "steady is true, allowed is a whole number" in said[1]
    assert "defaults has no key 'name'" in said[2]
    assert "the shot has no annotations" in said[3]
    assert "two exports are called 'nuke'" in said[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: names no shot"),
        ("shot = 3", "1: shot must be an array"),
        ("shot = [3]", "1: shot 1 is 3; it must be a table"),
        ("output = 3\n" + SHOT, "1: output must be a folder"),
        (SHOT + SHOT, "5: two shots have the name a, the other in line 1"),
        (SHOT + SHOT.replace('"a"\nframes', '"A"\nframes'), "5: two shots have the name A"),
        (SHOT.replace('"a"\nframes', '"a/b"\nframes'), "contains '/', which Windows"),
        (SHOT.replace('"a"\nframes', '".a"\nframes'), "is hidden"),
        (SHOT.replace('"a"\nframes', '"a,b"\nframes'), "contains a comma"),
        (SHOT.replace("a.mov", "*/*"), "more than one *"),
        (SHOT.replace("a.mov", "~nobody_at_all/x"), "who does not exist"),
        (SHOT.replace("a.mov", ""), "3: shot a: frames is empty"),
        (SHOT + "absent = [3]", "5: shot a: absent is 3"),
        (SHOT + 'exports = [{preset = "nuke", version = "1"}]', "version is '1'"),
        (SHOT + "settings = 3", "settings is 3, allowed is a table"),
    ],
)
def test_each_kind_of_fault_is_a_sentence(text: str, said: str) -> None:
    found = faults_of(text)
    assert any(said in one for one in found), found


def test_a_newer_manifest_is_refused() -> None:
    with pytest.raises(ManifestError, match=r":1: was written by a newer version"):
        manifest_of(f"format_version = 2\n{SHOT}", SHOW)


def test_a_star_makes_a_shot_of_each_match(tmp_path: Path) -> None:
    for name in ("sh020", "sh010", "notes", ".hidden", "sh030"):
        (tmp_path / "shots" / name / "plates").mkdir(parents=True)
    (tmp_path / "shots" / "sh040").mkdir()
    path = tmp_path / "show.toml"
    path.write_text(
        '[[shot]]\nframes = "shots/sh*/plates"\nannotations = "shots/sh*/labels"\n'
        'name = "show_*"\nexclude = ["show_030"]\n',
        encoding="utf-8",
    )
    manifest = load_manifest(path)
    assert not manifest.faults
    assert [shot.name for shot in manifest.shots] == ["show_010", "show_020"]
    assert manifest.shots[0].annotations == str(tmp_path / "shots" / "sh010" / "labels")
    assert manifest.shots[1].frames == str(tmp_path / "shots" / "sh020" / "plates")


def test_a_star_that_matches_nothing_is_a_fault_in_the_line_of_frames(tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    text = '[[shot]]\nname = "*"\nframes = "shots/*/plates"\nannotations = "x"\n'
    (said,) = faults_of(text, tmp_path / "show.toml")
    assert said.startswith("3: frames ")
    assert said.endswith("match nothing; check the path")


def test_paths_are_mapped_by_the_first_rule_that_fits(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(
        '{"version": "pathmapping-1.0", "path_mapping_rules": ['
        '{"source_path_format": "WINDOWS", "source_path": "Z:\\\\show", '
        '"destination_path": "/mnt/show"},'
        '{"source_path_format": "POSIX", "source_path": "/vol", "destination_path": "/mnt/vol"}]}',
        encoding="utf-8",
    )
    paths = load_path_map(rules)
    assert paths.local(SHOW.parent, "z:\\SHOW\\a\\plates") == Path("/mnt/show/a/plates")
    assert paths.local(SHOW.parent, "/vol/b.mov") == Path("/mnt/vol/b.mov")
    assert paths.local(SHOW.parent, "/volume/b.mov") == Path("/volume/b.mov")
    assert paths.local(SHOW.parent, "b.mov") == Path("/show/b.mov")
    assert PathMap((PathRule("/x", "/y"),)).local(SHOW.parent, "/x") == Path("/y")


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"path_mapping_rules": 3}', '{"path_mapping_rules": [3]}',
             '{"path_mapping_rules": [{"source_path": "a", "destination_path": "b", '
             '"source_path_format": "VMS"}]}'],
)  # fmt: skip
def test_what_is_no_path_map_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError):
        load_path_map(tmp_path / "rules.json")


def test_shards_part_the_work_without_gap_or_overlap() -> None:
    items = list(range(10))
    parts = [Shard.parse(f"{number}/3").of(items) for number in (1, 2, 3)]
    assert sorted(item for part in parts for item in part) == items
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3"):
        with pytest.raises(InputError, match="not of the form i/n"):
            Shard.parse(text)
