#!/usr/bin/env python3
"""Writes the shipped workflows, each in the format of the editor and of the API.

    build.py        writes workflows/NAME.json and tests/workflows/NAME.json

One description gives both, so they cannot drift apart; the order of widgets comes from
tests/nodes/schemas.json. Every workflow runs on the bundled clip.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "workflows"
SCHEMAS: dict[str, Any] = json.loads((HERE.parent / "nodes" / "schemas.json").read_text())
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")


@dataclass(frozen=True)
class Link:
    """Output number `slot` of a node."""

    node: Node
    slot: int


@dataclass(eq=False)
class Node:
    """One node of a workflow."""

    number: int
    kind: str
    title: str
    position: tuple[int, int]
    size: tuple[int, int]
    values: dict[str, Any]
    color: str = ""

    def __getitem__(self, slot: int) -> Link:
        return Link(self, slot)


@dataclass(eq=False)
class Workflow:
    """A graph under construction."""

    nodes: list[Node] = field(default_factory=list)

    def add(
        self,
        kind: str,
        position: tuple[int, int],
        size: tuple[int, int] = (320, 200),
        *,
        title: str = "",
        **values: Any,
    ) -> Node:
        """A node with links and widget values; the rest keep their defaults."""
        node = Node(len(self.nodes) + 1, kind, title, position, size, values)
        self.nodes.append(node)
        return node

    def note(self, position: tuple[int, int], size: tuple[int, int], text: str) -> None:
        """A note for the reader."""
        self.add("MarkdownNote", position, size, title="Note", text=text.strip())

    def write(self, name: str) -> None:
        """Both files."""
        _write(SHIPPED / f"{name}.json", self.editor_format(name))
        _write(HERE / f"{name}.json", self.api_format())

    def api_format(self) -> dict[str, Any]:
        """What the editor sends to the server."""
        return {
            str(node.number): {
                "class_type": node.kind,
                "inputs": _api_inputs(node),
                "_meta": {"title": node.title or node.kind},
            }
            for node in self.nodes
            if node.kind in SCHEMAS
        }

    def editor_format(self, name: str) -> dict[str, Any]:
        """What the editor saves."""
        links = self._links()
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"xmempp/{name}")),
            "revision": 0,
            "last_node_id": len(self.nodes),
            "last_link_id": len(links),
            "nodes": [_editor_node(node, order, links) for order, node in enumerate(self.nodes)],
            "links": links,
            "groups": [],
            "config": {},
            "extra": {},
            "version": 0.4,
        }

    def _links(self) -> list[list[Any]]:
        links: list[list[Any]] = []
        for node in self.nodes:
            slots = _slots(node)
            for name, value in node.values.items():
                if isinstance(value, Link):
                    kind = SCHEMAS[value.node.kind]["outputs"][value.slot][1]
                    place = slots.index(name)
                    links.append(
                        [len(links) + 1, value.node.number, value.slot, node.number, place, kind]
                    )
        return links


def _inputs(node: Node) -> list[dict[str, Any]]:
    return SCHEMAS[node.kind]["inputs"] if node.kind in SCHEMAS else []


def _is_widget(declared: dict[str, Any]) -> bool:
    return declared["type"] in WIDGETS


def _slots(node: Node) -> list[str]:
    """Names of the input sockets: real ones first, then widgets that are linked."""
    sockets = [one["id"] for one in _inputs(node) if not _is_widget(one)]
    linked = [
        one["id"]
        for one in _inputs(node)
        if _is_widget(one) and isinstance(node.values.get(one["id"]), Link)
    ]
    return sockets + linked


def _default(declared: dict[str, Any]) -> Any:
    if "default" in declared:
        return declared["default"]
    return declared["options"][0] if declared.get("options") else ""


def _api_inputs(node: Node) -> dict[str, Any]:
    unknown = set(node.values) - {one["id"] for one in _inputs(node)}
    assert not unknown, f"{node.kind} has no input {unknown}"
    result = {}
    for one in _inputs(node):
        value = node.values.get(one["id"])
        if isinstance(value, Link):
            result[one["id"]] = [str(value.node.number), value.slot]
        elif _is_widget(one):
            result[one["id"]] = _default(one) if value is None else value
    return result


def _editor_node(node: Node, order: int, links: list[list[Any]]) -> dict[str, Any]:
    types = {one["id"]: one["type"] for one in _inputs(node)}
    inputs = []
    for place, name in enumerate(_slots(node)):
        link = next((one[0] for one in links if one[3:5] == [node.number, place]), None)
        slot = {"name": name, "type": types[name], "link": link}
        declared = next(one for one in _inputs(node) if one["id"] == name)
        if _is_widget(declared):
            slot["widget"] = {"name": name}
        elif declared["optional"]:
            slot["shape"] = 7
        inputs.append(slot)
    outputs = [
        {
            "name": name,
            "type": kind,
            "links": [x[0] for x in links if x[1:3] == [node.number, slot]],
        }
        for slot, (name, kind) in enumerate(SCHEMAS.get(node.kind, {"outputs": []})["outputs"])
    ]
    widgets = [
        _default(one) if isinstance(value := node.values.get(one["id"]), Link | None) else value
        for one in _inputs(node)
        if _is_widget(one)
    ]
    result: dict[str, Any] = {
        "id": node.number,
        "type": node.kind,
        "pos": list(node.position),
        "size": list(node.size),
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        "properties": {"Node name for S&R": node.kind} if node.kind in SCHEMAS else {},
        "widgets_values": widgets if node.kind in SCHEMAS else [node.values["text"]],
    }
    if node.title:
        result["title"] = node.title
    if node.kind not in SCHEMAS:
        result.update({"color": "#432", "bgcolor": "#000"})
    return result


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- the workflows

COLUMN = 420
ANNOTATE = (340, 500)
ADAPT = (340, 420)
PROPAGATE = (340, 560)
PREVIEW = (400, 360)
EXPORT = (340, 520)


def annotate_a_shot() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 560),
        """
### Annotate a shot in one node

1. **Open the shot**, then paint the bunny with the brush (**B**). **[** and **]** change its size.
2. **2** makes the second object: paint the boulder.
3. **Scrub.** After a moment each frame shows a preview of its masks, without a pass.
   Where it is wrong, paint on it: that is a correction.
4. **Propagate** makes the track of the whole shot; **Suggest frames** names those worth painting.
5. **Run** hands the track on to *Preview Track*.

**?** shows all keys, **Large** the same view in the whole window.

**Your own clip**: put *Load Video* in place of *Load Demo Shot*. Annotations that exist already:
link them to the `annotations` input before you open the shot.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    annotator = w.add("XMemPPAnnotator", (COLUMN, 0), (900, 740), model=model[0], frames=shot[0])
    w.add(
        "XMemPPTrackPreview",
        (COLUMN + 960, 0),
        PREVIEW,
        track=annotator[1],
        frames=shot[0],
    )
    return w


def quick_start() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 480),
        """
### Quick start

1. Press **Run**. The clip already has two objects (bunny, boulder), annotated on three frames.
2. Right-click **Add Permanent Annotation** > **Open in Mask Editor**, paint something on the frame,
   for example the grey stone beside the boulder. **Save**.
3. Press **Run** again: what you painted is now object 3, on every frame.

**Another frame**: change `frame_index`, select the node and press the **play button** above it.
It shows the frame and runs nothing else.

**Your own clip**: put *Load Video* in place of *Load Demo Shot*, and link nothing to the
`annotations` input: what you paint is then the first annotation.

More annotations make it better: chain another *Add Permanent Annotation* for each frame and object.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    paint = w.add(
        "XMemPPAddAnnotation",
        (COLUMN, 0),
        ANNOTATE,
        frames=shot[0],
        frame_index=60,
        object_id=3,
        name="painted",
        annotations=shot[1],
    )
    track = w.add(
        "XMemPPPropagate",
        (2 * COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=paint[0],
    )
    w.add("XMemPPTrackPreview", (3 * COLUMN, 0), PREVIEW, track=track[0], frames=shot[0])
    return w


def xmem_loop() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 520),
        """
### The XMem++ loop

1. **Annotate** one frame (here frame 12 of the demo; the other two are taken out).
2. **Propagate** it through the clip.
3. **Select Annotation Candidates** shows the frames that look least like what is annotated.
4. **Annotate those**: set `frame_index` of the two nodes on the right to the proposed numbers.
   Select each and press the **play button** above it: it shows its frame and runs no pass. Paint
   the object in the mask editor (right-click the node), save.
5. **Propagate** again. Frames that did not change are not encoded again.

Repeat 3 to 5 until it is right. Every annotated frame comes back exactly as annotated.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    one = w.add("XMemPPRemoveAnnotation", (0, 340), (300, 110), annotations=shot[1], frame_index=60)
    start = w.add(
        "XMemPPRemoveAnnotation", (0, 520), (300, 110), annotations=one[0], frame_index=122
    )
    first = w.add(
        "XMemPPPropagate",
        (COLUMN, 0),
        PROPAGATE,
        title="First pass: one annotated frame",
        model=model[0],
        frames=shot[0],
        annotations=start[0],
    )
    w.add(
        "XMemPPSelectCandidates",
        (2 * COLUMN, 0),
        (380, 520),
        model=model[0],
        frames=shot[0],
        annotations=start[0],
        track=first[0],
        k=2,
    )
    common = {"frames": shot[0], "object_id": 1, "name": "bunny"}
    near = w.add(
        "XMemPPAddAnnotation",
        (3 * COLUMN, 0),
        ANNOTATE,
        title="Annotate the first candidate",
        frame_index=60,
        annotations=start[0],
        **common,
    )
    far = w.add(
        "XMemPPAddAnnotation",
        (3 * COLUMN, 680),
        ANNOTATE,
        title="Annotate the second candidate",
        frame_index=122,
        annotations=near[0],
        **common,
    )
    second = w.add(
        "XMemPPPropagate",
        (4 * COLUMN, 0),
        PROPAGATE,
        title="Second pass: with the new annotations",
        model=model[0],
        frames=shot[0],
        annotations=far[0],
    )
    w.add("XMemPPTrackPreview", (5 * COLUMN, 0), PREVIEW, track=second[0], frames=shot[0])
    return w


def several_objects() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 300),
        """
### Several objects, separate mattes

One pass follows all objects together, so they never overlap. **Track to Mask** then takes each
object by its number, here with soft edges, and saves it as a matte film of its own.

`object_ids` takes several: `1, 2` is both in one mask. Empty is all.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    track = w.add(
        "XMemPPPropagate",
        (COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=shot[1],
    )
    w.add(
        "XMemPPTrackPreview",
        (COLUMN, 700),
        PREVIEW,
        track=track[0],
        frames=shot[0],
        style="outline",
    )
    for row, (object_id, name) in enumerate((("1", "bunny"), ("2", "boulder"))):
        top = row * 420
        mask = w.add(
            "XMemPPTrackToMask",
            (2 * COLUMN, top),
            (320, 180),
            title=f"Matte of the {name}",
            track=track[0],
            object_ids=object_id,
            frame_count=24,
            binary=False,
        )
        image = w.add("MaskToImage", (2 * COLUMN, top + 230), (200, 40), mask=mask[0])
        film = w.add("CreateVideo", (3 * COLUMN, top), (260, 110), images=image[0], fps=25.0)
        w.add(
            "SaveVideo",
            (4 * COLUMN, top),
            (400, 380),
            video=film[0],
            filename_prefix=f"xmempp/{name}_matte",
        )
    return w


def label_maps() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 400),
        """
### Import label maps, export masks

**Annotations from Masks** reads a folder of label maps: PNGs named by frame number
(`00012.png`, ...) whose pixels are object numbers, as DAVIS and many tools write them.

So that this runs at once, *Save Annotations* first writes such a folder from the demo. For yours,
delete it and type the folder's name under ComfyUI's `input` folder.

The track goes to disk (*Save Track*), comes back (*Load Track* refuses another clip), and a part
of it leaves as masks.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    folder = w.add(
        "XMemPPSaveAnnotations",
        (0, 340),
        (300, 90),
        title="Save Annotations (delete for your own folder)",
        annotations=shot[1],
        folder="xmempp/demo_annotations",
    )
    maps = w.add("XMemPPAnnotationsFromMasks", (COLUMN, 0), (320, 170), folder=folder[0])
    track = w.add(
        "XMemPPPropagate",
        (2 * COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=maps[0],
    )
    saved = w.add(
        "XMemPPSaveTrack", (3 * COLUMN, 0), (320, 80), track=track[0], filename="xmempp/demo"
    )
    loaded = w.add(
        "XMemPPLoadTrack", (3 * COLUMN, 140), (320, 80), filename=saved[0], frames=shot[0]
    )
    masks = w.add(
        "XMemPPTrackToMask",
        (3 * COLUMN, 280),
        (320, 180),
        track=loaded[0],
        first_frame=60,
        frame_count=4,
    )
    w.add("MaskPreview", (4 * COLUMN, 0), (380, 300), mask=masks[0])
    return w


def mattes_for_nuke() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 520),
        """
### Mattes for Nuke

1. Press **Run**. *Export Mattes* writes a half-float OpenEXR sequence for each object under
   ComfyUI's output folder, `xmempp/mattes`, the matte in the alpha channel, and shows it as a film.
2. **Look first**: set `preview_frame` to 60 and run: it shows the mattes of this frame and writes
   nothing.
3. `preset` **aftereffects** and **resolve** write ProRes 4444 with alpha, **fusion** one OpenEXR
   sequence with a layer for each object, **cryptomatte** one of ids, **png** 16-bit gray.

`steady` calms edges that boil, along the motion of the clip. `existing` version-up writes the next
version on every run. Edge controls: **Show advanced**.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    track = w.add(
        "XMemPPPropagate",
        (COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=shot[1],
    )
    w.add(
        "XMemPPExportMattes",
        (2 * COLUMN, 0),
        (400, 560),
        track=track[0],
        frames=shot[0],
        shot="bunny_010",
        existing="version-up",
        steady=2,
    )
    return w


def into_generation() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 420),
        """
### The masks drive other nodes

Only ComfyUI's own nodes: the mask of the bunny is grown and feathered, then

- composites the bunny onto a plain background, and
- becomes the **noise mask** of a latent: put *VAE Encode* in place of *Empty Latent Image* and a
  *KSampler* behind *Set Latent Noise Mask*, and only the masked area is generated anew.

*Trim Video* takes the first second; frame numbers count from its start. Only the frames that a node
really needs become pictures (*Image From Batch*, `frame_count`).
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    trim = w.add("Video Slice", (0, 340), (300, 120), video=shot[0], duration=1.0)
    one = w.add(
        "XMemPPRemoveAnnotation",
        (0, 540),
        (300, 110),
        title="Frame 60 is not in the trimmed clip",
        annotations=shot[1],
        frame_index=60,
    )
    two = w.add(
        "XMemPPRemoveAnnotation",
        (0, 720),
        (300, 110),
        title="Frame 122 neither",
        annotations=one[0],
        frame_index=122,
    )
    track = w.add(
        "XMemPPPropagate",
        (COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=trim[0],
        annotations=two[0],
    )
    mask = w.add(
        "XMemPPTrackToMask",
        (2 * COLUMN, 0),
        (320, 180),
        track=track[0],
        object_ids="1",
        first_frame=12,
        frame_count=4,
        binary=False,
    )
    grown = w.add("GrowMask", (2 * COLUMN, 230), (320, 90), mask=mask[0], expand=6)
    soft = w.add(
        "FeatherMask",
        (2 * COLUMN, 370),
        (320, 140),
        mask=grown[0],
        left=8,
        top=8,
        right=8,
        bottom=8,
    )
    parts = w.add("GetVideoComponents", (2 * COLUMN, 560), (240, 100), video=trim[0])
    frames = w.add(
        "ImageFromBatch", (2 * COLUMN, 710), (240, 90), image=parts[0], batch_index=12, length=4
    )
    plain = w.add(
        "EmptyImage",
        (3 * COLUMN, 0),
        (300, 140),
        width=1280,
        height=720,
        batch_size=4,
        color=0x3060A0,
    )
    merged = w.add(
        "ImageCompositeMasked",
        (3 * COLUMN, 190),
        (300, 150),
        destination=plain[0],
        source=frames[0],
        mask=soft[0],
    )
    w.add("PreviewImage", (4 * COLUMN, 0), (400, 300), images=merged[0])
    latent = w.add(
        "EmptyLatentImage", (3 * COLUMN, 400), (300, 110), width=1280, height=720, batch_size=4
    )
    noise = w.add(
        "SetLatentNoiseMask", (3 * COLUMN, 560), (300, 60), samples=latent[0], mask=soft[0]
    )
    w.add(
        "SaveLatent",
        (4 * COLUMN, 400),
        (300, 60),
        title="Stands for VAE Decode, KSampler, ...",
        samples=noise[0],
        filename_prefix="xmempp/masked_latent",
    )
    return w


def correct_a_matte() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 540),
        """
### Correct the mattes of another program

**Import Mattes** reads what another program made (EXR, PNG, TIFF, films with alpha, label maps):
every so many of them become annotations, all of them a track to look at.

So that this runs at once, *Export Mattes* first writes such mattes of the demo. For yours, delete
the nodes on the left and type a folder under ComfyUI's `input` folder into `mattes`.

`offset`: mattes of a film are numbered from 1001, its frames count from 0, hence -1001 here.

1. Look for a frame where the matte is wrong (*Preview Track* of the imported mattes).
2. Set `frame_index` of **Correct one frame** to it, select the node, press the **play button**
   above it, paint the object in the mask editor (right-click), save.
3. **Run**: the correction is carried through the clip, and the mattes go out again.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    first = w.add(
        "XMemPPPropagate",
        (0, 320),
        PROPAGATE,
        title="Makes mattes to import (delete for your own)",
        model=model[0],
        frames=shot[0],
        annotations=shot[1],
    )
    made = w.add(
        "XMemPPExportMattes",
        (0, 960),
        EXPORT,
        title="Makes mattes to import (delete for your own)",
        track=first[0],
        preset="png",
        folder="xmempp/mattes_to_correct",
        existing="overwrite",
    )
    given = w.add(
        "XMemPPImportMattes",
        (COLUMN, 0),
        (320, 220),
        mattes=made[2],
        frames=shot[0],
        every=60,
        offset=-1001,
    )
    w.add(
        "XMemPPTrackPreview",
        (COLUMN, 300),
        PREVIEW,
        title="The imported mattes",
        track=given[1],
        frames=shot[0],
    )
    corrected = w.add(
        "XMemPPAddAnnotation",
        (2 * COLUMN, 0),
        ANNOTATE,
        title="Correct one frame",
        frames=shot[0],
        frame_index=90,
        annotations=given[0],
    )
    track = w.add(
        "XMemPPPropagate",
        (3 * COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=corrected[0],
    )
    w.add(
        "XMemPPExportMattes",
        (4 * COLUMN, 0),
        EXPORT,
        title="The corrected mattes",
        track=track[0],
        frames=shot[0],
        folder="xmempp/mattes_corrected",
        existing="version-up",
    )
    return w


def negative_annotation() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 420),
        """
### Negative annotation

"The object is **not** here" is an annotation, too. It helps where something that looks alike stays
while the object is gone.

- `absent` says it for one frame: nothing needs painting.
- `absent_frames` says it for a range, such as `0-5`: the result is empty there, whatever the
  network thinks.

Here the bunny is said to be absent on frame 0 and on frames 0 to 5, as if the shot began with an
empty burrow. *Preview Track* shows the cut.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    absent = w.add(
        "XMemPPAddAnnotation",
        (COLUMN, 0),
        ANNOTATE,
        title="Not here: frame 0, and frames 0 to 5",
        frames=shot[0],
        frame_index=0,
        object_id=1,
        absent=True,
        absent_frames="0-5",
        annotations=shot[1],
    )
    track = w.add(
        "XMemPPPropagate",
        (2 * COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=absent[0],
    )
    w.add("XMemPPTrackPreview", (3 * COLUMN, 0), PREVIEW, track=track[0], frames=shot[0])
    return w


def adapt_to_the_shot() -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 420),
        """
### Adapt to the shot

The annotated frames are exact training data for this very clip: **Adapt Model to Shot** fine-tunes
the model on them before the pass. On a CPU it takes as long as a few passes through the clip.

- Its pictures show the frames where the given and the adapted model differ most.
- **Bypass** it (select it, Ctrl+B) to compare: *Propagate Masks* then takes the model as it was
  loaded.
- `mode` auto adds a second round from three annotated frames on; it takes several times as long.
- `save_as` (advanced) keeps the model in models/xmem, for *Load XMem++* and the command line.
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    adapted = w.add(
        "XMemPPAdaptModel",
        (COLUMN, 0),
        ADAPT,
        model=model[0],
        frames=shot[0],
        annotations=shot[1],
    )
    track = w.add(
        "XMemPPPropagate",
        (2 * COLUMN, 0),
        PROPAGATE,
        model=adapted[0],
        frames=shot[0],
        annotations=shot[1],
    )
    w.add("XMemPPTrackPreview", (3 * COLUMN, 0), PREVIEW, track=track[0], frames=shot[0])
    return w


def sam3_start(*, fake: bool) -> Workflow:
    w = Workflow()
    w.note(
        (-360, 0),
        (320, 420),
        """
### A text prompt as the start (SAM 3)

ComfyUI's own SAM 3 finds an object by text and tracks it. **Annotations from Masks** takes its
result on frames where you trust it (`frame_indices`); from there XMem++ keeps every correction you
add.

Needs the SAM 3 checkpoint (`sam3.1_multiplex_fp16.safetensors`) in `models/checkpoints`.
SAM 3 gives objects no numbers: they become `object_id`, `object_id` + 1, ...
""",
    )
    shot = w.add("XMemPPDemoShot", (0, 0), (300, 80))
    model = w.add("XMemPPLoadModel", (0, 140), (300, 110))
    if fake:
        seed = w.add(
            "XMemPPPropagate",
            (COLUMN, 0),
            PROPAGATE,
            model=model[0],
            frames=shot[0],
            annotations=shot[1],
            internal_size=64,
        )
        masks = w.add(
            "XMemPPTrackToMask", (COLUMN, 0), track=seed[0], object_ids="1", frame_count=25
        )
        sam = w.add("TestFakeSam3Track", (COLUMN, 0), masks=masks[0])
    else:
        parts = w.add("GetVideoComponents", (0, 340), (240, 100), video=shot[0])
        checkpoint = w.add(
            "CheckpointLoaderSimple",
            (COLUMN, 0),
            (340, 110),
            ckpt_name="sam3.1_multiplex_fp16.safetensors",
        )
        prompt = w.add(
            "CLIPTextEncode", (COLUMN, 170), (340, 120), clip=checkpoint[1], text="bunny"
        )
        sam = w.add(
            "SAM3_VideoTrack",
            (COLUMN, 350),
            (340, 160),
            images=parts[0],
            model=checkpoint[0],
            conditioning=prompt[0],
            max_objects=1,
        )
    found = w.add(
        "XMemPPAnnotationsFromMasks",
        (2 * COLUMN, 0),
        (320, 170),
        masks=sam[0],
        frame_indices="0, 12, 24" if fake else "0, 60, 120",
    )
    track = w.add(
        "XMemPPPropagate",
        (3 * COLUMN, 0),
        PROPAGATE,
        model=model[0],
        frames=shot[0],
        annotations=found[0],
    )
    w.add("XMemPPTrackPreview", (4 * COLUMN, 0), PREVIEW, track=track[0], frames=shot[0])
    return w


WORKFLOWS = {
    "01_annotate_a_shot": annotate_a_shot,
    "02_quick_start": quick_start,
    "03_xmem_loop": xmem_loop,
    "04_several_objects": several_objects,
    "05_label_maps": label_maps,
    "06_negative_annotation": negative_annotation,
    "07_adapt_to_the_shot": adapt_to_the_shot,
    "08_mattes_for_nuke": mattes_for_nuke,
    "09_correct_a_matte": correct_a_matte,
    "10_into_generation": into_generation,
    "11_sam3_start": lambda: sam3_start(fake=False),
}


def main() -> None:
    for name, build in WORKFLOWS.items():
        build().write(name)
    SCHEMAS["TestFakeSam3Track"] = {
        "inputs": [
            {"id": "masks", "type": "MASK", "optional": False},
            {"id": "object_count", "type": "INT", "optional": False, "default": 1},
        ],
        "outputs": [["track_data", "SAM3_TRACK_DATA"]],
    }
    _write(HERE / "11_sam3_start_fake.json", sam3_start(fake=True).api_format())


if __name__ == "__main__":
    main()
