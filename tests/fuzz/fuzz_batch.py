"""Broken manifests: cases of the fuzz run."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fuzz_cases import Case, Shot

HEAD = '[[shot]]\nname = "a"\nframes = "../frames"\nannotations = "../maps"\n'
MANIFESTS = {
    "nothing": "",
    "a NUL": HEAD + 'model = "\\u0000"\n',
    "not UTF-8": "\udcff",
    "100,000 brackets": "a = " + "[" * 100_000,
    "100,000 tables": "a.b\n" * 100_000,
    "a long array": "a = [\n" + "1,\n" * 3000 + "]",
    "a date": HEAD + "use = 2024-01-01\n",
    "infinity": HEAD + "steady = inf\n",
    "5,000 digits": HEAD + "steady = " + "9" * 5000,
    "a huge number": HEAD + f"steady = {10**18}\n",
    "no array": "shot = 3\n",
    "shots of numbers": "shot = [1, 2]\n",
    "a list of exports": HEAD + 'exports = [["nuke"]]\n',
    "no preset": HEAD + 'exports = [{preset = ""}]\n',
    "a preset of a place": HEAD + 'exports = ["../frames/"]\n',
    "a long name": HEAD.replace('"a"', f'"{"n" * 5000}"'),
    "a long output": HEAD + f'output = "{"n" * 5000}"',
    "a long output of all": f'output = "{"n" * 5000}"\n{HEAD}',
    "a name that climbs": HEAD.replace('"a"', '"../../a"'),
    "no name": HEAD.replace('"a"', '""'),
    "stars": HEAD.replace("../frames", "../*/*"),
    "a star of nobody": HEAD.replace("../frames", "~nosuchuser/*"),
    "a star that ends nowhere": HEAD.replace("../frames", "*"),
    "a device": HEAD.replace("../frames", "/dev/zero"),
    "a NUL in frames": HEAD.replace("../frames", "a\\u0000b"),
    "frames as output": HEAD + 'output = "../../frames"\n',
    "settings of texts": HEAD + 'settings = {top_k = "x", memory = 3}\n',
    "an unknown setting": HEAD + "settings = {color = 3}\n",
    "a range of nothing": HEAD + 'range = "-"\n',
    "a newer version": "format_version = 99\n" + HEAD,
    "a version of words": 'format_version = "x"\n' + HEAD,
    "a list as output": "output = []\n" + HEAD,
    "defaults of a list": "defaults = []\n" + HEAD,
    "a model of nothing": HEAD + 'model = ""\n',
    "many adapt steps": HEAD + 'adapt = "quick"\nadapt_steps = -1\n',
}
OPTIONS = {
    "--shard": ("", "0/0", "9" * 30, "1/2/3"),
    "--split": ("0", "-1"),
    "--only": ("", "x", ",", "\n"),
    "--device": ("", ",", "cpu,cpu", "x"),
    "--path-map": ("/dev/null", "/", "nowhere.json"),
}


def manifests(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """Manifests that are wrong, cut off or damaged, and arguments that do not fit."""
    texts = dict(MANIFESTS)
    for number in range(12):
        text = list(HEAD + 'settings = {top_k = 5}\nexports = ["nuke"]\n')
        for _ in range(3):
            text[rng.randrange(len(text))] = chr(rng.choice((0, 10, 34, 39, 91, 93, 61, 0x1F600)))
        texts[f"three wrong letters, {number}"] = "".join(text)
    for name, text in texts.items():
        path = shot.folder() / "show.toml"
        path.write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"a manifest of {name}", _batch(str(path)))
    for option, values in OPTIONS.items():
        for value in values:
            path = shot.folder() / "show.toml"
            path.write_text(HEAD.replace("../frames", "nowhere"), encoding="utf-8")
            yield Case(f"batch {option} {value[:20]!r}", _batch(str(path), option, value))
    yield Case("a manifest that is a folder", _batch(str(shot.folder())))


def _batch(path: str, *extra: str) -> dict[str, list[str]]:
    return {"argv": ["batch", path, "--device", "cpu", "--dry-run", "--quiet", *extra]}


MAKERS = (manifests,)
