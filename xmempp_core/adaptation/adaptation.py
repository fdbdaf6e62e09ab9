"""A network fine-tuned on the annotated frames of one shot.

Round one trains on the annotated frames alone. From three of them on, round two trains anew on
these and on some of the shot's own results, where they are surest; it is taken where it is clearly
steadier along the motion of the picture. A round that broke the shot does no harm so.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from ..errors import InputError
from ..network.adapted import AnyNetwork, adapted_network
from ..network.difference import WeightDifference
from ..propagation.propagation import Propagation
from ..resize import internal_size
from ..settings import PropagationSettings
from ..types import FrameSource
from .fitting import Fitting
from .own_labels import RoundResults, chosen_frames, label_frame
from .results import SoftMasks
from .settings import AdaptationSettings
from .shot_pictures import PictureSize, ShotPictures, shot_pictures
from .signals import unsteadiness, worst_ratio

GIVEN, FIRST, SECOND = "given network", "first round", "second round"
LEAST_ANNOTATED_FOR_SECOND = 3
CLEARLY_STEADIER = 0.9
"""How much less unsteady the second round must be to be taken, as a share of the first: it sees its
own smoothed results, so that a little less says nothing (docs/adaptation.md)."""
QUICK_JUDGED_FRAMES = 240
"""In mode "quick" a longer shot is judged by so many frames around the middle annotation."""
_SMALL = (1 / 2, 2 / 3)
"""Internal sizes of the small adaptations, as shares of the pass's."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AdaptationStep:
    """How far an adaptation is."""

    stage: str
    """What is being done, for a person."""
    done: int
    """Steps and frames so far."""
    total: int
    """Steps and frames in all; less where the second round turns out not to be possible."""


@dataclass(eq=False)
class _Progress:
    """What is known so far; all that outlives a process is in the first four fields."""

    differences: dict[str, WeightDifference] = field(default_factory=dict)
    """By round."""
    unsteady: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By round: how unsteady each object's masks are."""
    labels: tuple[Annotation, ...] | None = None
    """For the second round; None before they are made."""
    is_over: bool = False
    masks: dict[str, SoftMasks] = field(default_factory=dict)
    """By round: the results of its pass, where it was made by this process."""


class Adaptation:
    """An adaptation that can be saved between its rounds and resumed; see `adapt`."""

    def __init__(
        self,
        network: AnyNetwork,
        source: FrameSource,
        annotations: AnnotationSet,
        settings: AdaptationSettings | None = None,
        propagation_settings: PropagationSettings | None = None,
    ) -> None:
        self.network, self.source, self.annotations = network, source, annotations
        self.settings = settings or AdaptationSettings()
        self.propagation_settings = propagation_settings or PropagationSettings()
        if network.difference is not None:
            raise InputError(
                f"{network.info.name} is adapted to a shot already; give the model it was made from"
            )
        # refuses annotations that do not fit the frames, before anything is trained
        Propagation(network, source, annotations, self.propagation_settings)
        self._shot = self._pictures(self.propagation_settings.internal_size)
        self._progress = _Progress()
        self._done = 0

    # ---- what it does

    @property
    def annotated_count(self) -> int:
        """Annotated frames that show an object."""
        return sum(bool(entry.boxes) for entry in self._shot.library.index.entries)

    @property
    def has_second_round(self) -> bool:
        """Whether a second round is tried."""
        enough = self.annotated_count >= LEAST_ANNOTATED_FOR_SECOND
        return self.settings.mode == "auto" and enough

    @property
    def step_count(self) -> int:
        """Steps and frames in all."""
        steps, frames = self.settings.steps_for(self.annotated_count), len(self.source)
        if not self.has_second_round:
            judged = 2 * len(self._judged_frames) if self.settings.unsteadiness_limit else 0
            return steps + judged
        small = len(self._small_sizes) * (steps + frames)
        return steps + 4 * frames + small + self.settings.second_round_steps

    def steps(self) -> Iterator[AdaptationStep]:
        """One training step or one frame of a pass at a time.

        After each of them it can be stopped; `state` then holds what is finished.
        """
        yield from self._fit(FIRST, self._shot, self.settings.steps_for(self.annotated_count))
        if self.has_second_round or self.settings.unsteadiness_limit:
            yield from self._judge(GIVEN, FIRST)
        if self.has_second_round:
            yield from self._make_labels()
            if self._progress.labels:
                pictures = self._pictures(
                    self.propagation_settings.internal_size, self._progress.labels
                )
                yield from self._fit(SECOND, pictures, self.settings.second_round_steps)
                yield from self._judge(SECOND)
        self._progress.is_over = True

    # ---- what comes of it

    @property
    def is_over(self) -> bool:
        """Whether all rounds are done."""
        return self._progress.is_over

    @property
    def chosen(self) -> str:
        """The round whose network is the result: the second where it is clearly steadier."""
        rounds = [name for name in (FIRST, SECOND) if name in self._progress.differences]
        given = self._progress.unsteady.get(GIVEN)
        if given is None:
            return rounds[-1]
        ratios = {name: worst_ratio(self._progress.unsteady[name], given) for name in rounds}
        limit = self.settings.unsteadiness_limit or math.inf
        allowed = [name for name in rounds if ratios[name] <= limit]
        if allowed == rounds and len(rounds) == 2:
            return SECOND if ratios[SECOND] <= CLEARLY_STEADIER * ratios[FIRST] else FIRST
        return allowed[0] if allowed else GIVEN

    def result(self, notes: Mapping[str, str] | None = None) -> AnyNetwork:
        """The adapted network, a new one with a hash of its own.

        Args:
            notes: further facts that its `info` keeps.

        Raises:
            InputError: the adaptation is not over.
        """
        if not self.is_over:
            raise InputError("the adaptation is not over; go on with its steps first")
        return self.network_of(self.chosen, notes)

    def network_of(self, name: str, notes: Mapping[str, str] | None = None) -> AnyNetwork:
        """The network of a round that is done, or the given one without any difference."""
        nothing = WeightDifference({}, self.network.info.sha256)
        difference = self._progress.differences.get(name, nothing)
        facts = {**self.facts(name), **(notes or {})}
        return adapted_network(self.network, difference, json.dumps(facts))

    def facts(self, name: str) -> dict[str, object]:
        """How the network of a round was made, and how steady the masks of each were."""
        number = self.source.number
        labels = self._progress.labels or ()
        return {
            "network": name,
            "annotated_frames": [number(t) for t in self.annotations.frame_indices],
            "frames_of_its_own": [number(one.frame_index) for one in labels],
            "unsteadiness": {
                key: [round(value, 3) for value in values]
                for key, values in self._progress.unsteady.items()
            },
            "settings": asdict(self.settings),
        }

    def masks_of(self, name: str) -> SoftMasks | None:
        """The masks of a round's pass; None where this process did not make them."""
        return self._progress.masks.get(name)

    # ---- rounds

    def _fit(self, name: str, shot: ShotPictures, steps: int) -> Iterator[AdaptationStep]:
        if name in self._progress.differences:
            self._done += steps
            return
        for figures in Fitting(self.network, shot, self.settings, steps).run():
            if isinstance(figures, WeightDifference):
                self._progress.differences[name] = figures
            else:
                yield self._step(name)

    def _judge(self, *names: str) -> Iterator[AdaptationStep]:
        """Passes of rounds, and how unsteady their masks are."""
        if all(name in self._progress.unsteady for name in names):
            self._done += len(names) * len(self._judged_frames)
            return
        for name in names:
            yield from self._pass(name)
        results = [self._progress.masks[name] for name in names]
        pairs = []
        for pair in unsteadiness(self.source, results):
            pairs.append(pair)
            yield AdaptationStep("looking along the motion", self._done, self.step_count)
        for place, name in enumerate(names):
            columns = [pair[place] for pair in pairs]
            means = torch.stack(columns).mean(0) if columns else torch.zeros(self._object_count)
            self._progress.unsteady[name] = tuple(means.tolist())
            _log.info("%s: unsteadiness %s", name, _in_words(self._progress.unsteady[name]))

    def _pass(self, name: str) -> Iterator[AdaptationStep]:
        """The pass of a round's network, its masks kept."""
        network = self.network if name == GIVEN else self.network_of(name)
        masks = SoftMasks(f"the {name}")
        frames = self._judged_frames
        passes = Propagation(
            network, self.source, self.annotations, self.propagation_settings, frame_range=frames
        )
        yield from self._collected(passes, masks, f"pass of the {name}")
        self._progress.masks[name] = masks

    def _collected(
        self, passes: Propagation, masks: SoftMasks, stage: str
    ) -> Iterator[AdaptationStep]:
        for segmentation in passes:
            masks.put(segmentation.frame_index, segmentation.probabilities[1:])
            yield self._step(stage)

    def _make_labels(self) -> Iterator[AdaptationStep]:
        """The four results of the first round, and the frames of which they are sure."""
        if self._progress.labels is not None:
            frames = len(self.source)
            steps = self.settings.steps_for(self.annotated_count)
            self._done += frames + len(self._small_sizes) * (steps + frames)
            return
        if FIRST not in self._progress.masks:
            yield from self._pass(FIRST)
        alone = SoftMasks("frames alone")
        yield from self._collected(
            Propagation(
                self.network_of(FIRST),
                self.source,
                self.annotations,
                replace(self.propagation_settings, direction="independent"),
            ),
            alone,
            "frames alone",
        )
        small = []
        for size in self._small_sizes:
            masks = SoftMasks(f"the adaptation at {size}")
            yield from self._adapt_small(size, masks)
            small.append(masks)
        results = RoundResults(self._progress.masks[FIRST], alone, small)
        self._progress.labels = self._labels_from(results)

    def _labels_from(self, results: RoundResults) -> tuple[Annotation, ...]:
        annotated = self.annotations.frame_indices
        trust = {t: results.trust(t) for t in results.passed.frame_indices if t not in annotated}
        chosen = chosen_frames(trust, annotated, len(self.source))
        numbers = ", ".join(str(self.source.number(t)) for t in chosen) or "none is sure enough"
        _log.info("frames of its own for the second round: %s", numbers)
        return tuple(
            label_frame(self.source, self.annotations, results, frame_index, channels)
            for frame_index, channels in chosen.items()
        )

    def _adapt_small(self, size: int, masks: SoftMasks) -> Iterator[AdaptationStep]:
        """An adaptation of its own at a smaller internal size, and its pass."""
        stage, difference = f"adaptation at {size} pixels", None
        steps = self.settings.steps_for(self.annotated_count)
        for figures in Fitting(self.network, self._pictures(size), self.settings, steps).run():
            if isinstance(figures, WeightDifference):
                difference = figures
            else:
                yield self._step(stage)
        assert difference is not None
        settings = replace(self.propagation_settings, internal_size=size)
        network = adapted_network(self.network, difference, "{}")
        passes = Propagation(network, self.source, self.annotations, settings)
        yield from self._collected(passes, masks, f"pass at {size} pixels")

    # ---- sizes

    @property
    def _object_count(self) -> int:
        return len(self.annotations.object_ids)

    @property
    def _small_sizes(self) -> list[int]:
        """Internal sizes of the small adaptations."""
        short = min(internal_size(self.source.size, self.propagation_settings.internal_size))
        return [size for share in _SMALL if (size := round(short * share)) >= 32]

    @property
    def _judged_frames(self) -> range:
        """The frames whose masks are looked at."""
        count = len(self.source)
        if self.has_second_round or count <= QUICK_JUDGED_FRAMES:
            return range(count)
        annotated = self.annotations.frame_indices
        first = annotated[len(annotated) // 2] - QUICK_JUDGED_FRAMES // 2
        first = min(max(first, 0), count - QUICK_JUDGED_FRAMES)
        return range(first, first + QUICK_JUDGED_FRAMES)

    def _pictures(
        self, short_side: int | None, labels: tuple[Annotation, ...] = ()
    ) -> ShotPictures:
        how = PictureSize(short_side, self.propagation_settings.antialias, self.network.device)
        return shot_pictures(self.source, self.annotations, how, labels)

    def _step(self, stage: str) -> AdaptationStep:
        self._done += 1
        return AdaptationStep(stage, self._done, self.step_count)

    # ---- saving

    def state(self) -> dict[str, Tensor]:
        """What is finished, to be given to `load_state` of an equal adaptation."""
        progress, state = self._progress, dict[str, Tensor]()
        for name, difference in progress.differences.items():
            state |= {f"weights/{name}/{n}": t for n, t in difference.tensors.items()}
            state[f"done/{name}"] = torch.ones(1)
        for name, values in progress.unsteady.items():
            state[f"unsteady/{name}"] = torch.tensor(values, dtype=torch.float64)
        if progress.labels is not None:
            state["done/labels"] = torch.ones(1)
        for one in progress.labels or ():
            ids = torch.tensor(one.object_ids, dtype=torch.int64)
            state[f"label/{one.frame_index}/ids"] = ids
            state[f"label/{one.frame_index}/masks"] = one.masks.to(torch.uint8)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes on where the adaptation that returned `state` stood."""
        progress = _Progress()
        for name in (FIRST, SECOND):
            if f"done/{name}" in state:
                prefix = f"weights/{name}/"
                tensors = {n[len(prefix) :]: t for n, t in state.items() if n.startswith(prefix)}
                progress.differences[name] = WeightDifference(tensors, self.network.info.sha256)
        for name in (GIVEN, FIRST, SECOND):
            if f"unsteady/{name}" in state:
                progress.unsteady[name] = tuple(state[f"unsteady/{name}"].tolist())
        if "done/labels" in state:
            frames = sorted(int(n.split("/")[1]) for n in state if n.endswith("/ids"))
            progress.labels = tuple(_label(state, frame) for frame in frames)
        self._progress, self._done = progress, 0


def _label(state: dict[str, Tensor], frame_index: int) -> Annotation:
    ids = tuple(state[f"label/{frame_index}/ids"].tolist())
    return Annotation(frame_index, ids, state[f"label/{frame_index}/masks"].bool())


def _in_words(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def adapt(
    network: AnyNetwork,
    source: FrameSource,
    annotations: AnnotationSet,
    settings: AdaptationSettings | None = None,
    propagation_settings: PropagationSettings | None = None,
) -> AnyNetwork:
    """A new network adapted to a shot; the given one is untouched.

    Args:
        network: from `load_model`.
        source: the frames, from `open_frames`.
        annotations: at least one annotated frame that shows an object.
        settings: None = the defaults.
        propagation_settings: of the passes that the network is for; None = the defaults.

    Raises:
        InputError: the annotations do not fit the frames, or the network is adapted already.
    """
    adaptation = Adaptation(network, source, annotations, settings, propagation_settings)
    for _ in adaptation.steps():
        pass
    return adaptation.result()
