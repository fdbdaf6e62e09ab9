"""The routes of the annotator: clips, masks, revisions, proposals and results over HTTP.

Each is a plain call of the core on what stands in the path, the query and the body.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import files, host
from .annotation_sets import Positions
from .annotator_results import RESULTS
from .annotator_sources import CLIPS
from .asked import Answer, Asked, NotThereError, Route, json_answer

if TYPE_CHECKING:
    from ..xmempp_core import Project, SelectStroke
    from .annotator_results import ShotResult
    from .annotator_sources import OpenClip

PREFIX = "/xmempp/annotator"
MAX_JSON_BYTES = 8 * 2**20
MAX_PNG_BYTES = 64 * 2**20
MAX_ZIP_BYTES = 2**30


def projects_folder() -> Path:
    """Where the projects lie, under ComfyUI's input folder."""
    return host.folders()[0] / "xmempp"


def project_of(project_id: str) -> Project:
    """A project, there or not; raises InputError for what is no id."""
    from ..xmempp_core import Project

    return Project(projects_folder(), project_id)


# ---- clips


def _source(asked: Asked) -> Answer:
    return json_answer(_clip(asked.parts["key"]).facts)


def _frame(asked: Asked) -> Answer:
    clip = _clip(asked.parts["key"])
    data = clip.proxies.jpeg(asked.whole_number("index"), asked.whole_number("width"))
    return Answer(data, "image/jpeg", keeps=True)


def _clip(key: Any) -> OpenClip:
    clip = CLIPS.find(key) if isinstance(key, str) else None
    if clip is None:
        raise NotThereError(
            "the clip is not open in this ComfyUI, which may have been started anew; open it again"
        )
    return clip


# ---- projects


def _put_mask(asked: Asked) -> Answer:
    return json_answer({"mask": _project(asked).put_mask(asked.body)})


def _mask(asked: Asked) -> Answer:
    project, name = _project(asked), asked.parts["mask"]
    if not project.has_mask(name):
        raise NotThereError(f"mask {name} is not in project {project.project_id}")
    return Answer(project.mask_png(name), "image/png", keeps=True)


def _put_revision(asked: Asked) -> Answer:
    from ..xmempp_core import parse_document

    return json_answer({"revision": _project(asked).put_document(parse_document(asked.body))})


def _revisions(asked: Asked) -> Answer:
    project = _project(asked)
    found = project.revisions()
    listed = [
        {
            "revision": one.revision,
            "bytes": one.size_bytes,
            "saved": one.saved.isoformat(timespec="seconds"),
            "annotations": one.annotation_count,
        }
        for one in found
    ]
    latest = found[0].revision if found else ""
    return json_answer({"latest": latest, "revisions": listed, "bytes": project.size_bytes})


def _revision(asked: Asked) -> Answer:
    project, name = _project(asked), asked.parts["revision"]
    return json_answer(_there(project, name).document(name).to_dict(), keeps=True)


def _sweep(asked: Asked) -> Answer:
    from ..xmempp_core import InputError

    keep = asked.json("keep")["keep"]
    if not isinstance(keep, list) or not all(isinstance(one, str) for one in keep):
        raise InputError("keep is no list of revisions; name those that stay")
    swept = _project(asked).sweep(keep)
    return json_answer({"removed": swept.file_count, "bytes": swept.size_bytes})


def _save(asked: Asked) -> Answer:
    from ..xmempp_core import InputError, fitted_project, save_annotations

    given = asked.json("name revision source")
    if not all(isinstance(one, str) for one in given.values()):
        raise InputError("name, revision and source are texts")
    clip = _clip(given["source"]).clip
    project = _there(_project(asked), given["revision"])
    fitted = fitted_project(project, project.document(given["revision"]), clip)
    if fitted.missing:
        raise InputError(fitted.notices[-1].text)
    if not len(fitted.annotations):
        raise InputError("there is no annotation to save; annotate a frame first")
    path, name = files.output_file(given["name"])
    save_annotations(fitted.annotations, path, Positions(clip.size, clip.frame_count))
    return json_answer({"folder": name, "notices": [one.text for one in fitted.notices]})


def _export(asked: Asked) -> Answer:
    from ..xmempp_core import archive_of

    project, revision = _project(asked), asked.query.get("revision", "")
    data = archive_of(_there(project, revision), revision)
    return Answer(data, "application/zip", file_name=f"xmempp_{project.project_id}.zip")


def _import(asked: Asked) -> Answer:
    from ..xmempp_core import open_archive

    project, revision = open_archive(asked.body, projects_folder())
    return json_answer({"project": project.project_id, "revision": revision})


def _project(asked: Asked) -> Project:
    return project_of(asked.parts["project"])


def _there(project: Project, revision: str) -> Project:
    """The project; raises NotThereError where it has no such revision."""
    if not project.has_document(revision):
        raise NotThereError(
            f"revision {revision[:40]} is not in input/xmempp/{project.project_id}; copy the "
            "project's folder from where it was painted, or open another revision"
        )
    return project


# ---- proposals


def _select(asked: Asked) -> Answer:
    from ..xmempp_core import InputError, mask_to_png, smart_select, to_uint8

    given = asked.json("source frame inside", "ring radius")
    clip, index = _clip(given["source"]), given["frame"]
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(clip.frames):
        raise InputError(f"frame {str(index)[:40]} is not in the clip")
    frame = to_uint8(clip.proxies.frame(index)).numpy()
    mask = smart_select(frame, _stroke(given))
    return Answer(mask_to_png(mask.astype("uint8") * 255), "image/png")


def _stroke(given: dict[str, Any]) -> SelectStroke:
    from ..xmempp_core import InputError, SelectStroke

    radius = given.get("radius", 4)
    if isinstance(radius, bool) or not isinstance(radius, int | float):
        raise InputError("radius is no number")
    ring = given.get("ring")
    around = None if ring is None else _points(ring, "ring")
    return SelectStroke(_points(given["inside"], "inside"), around, float(radius))


def _points(value: Any, name: str) -> tuple[tuple[float, float], ...]:
    from ..xmempp_core import InputError

    if isinstance(value, list) and all(_is_point(one) for one in value):
        return tuple((float(x), float(y)) for x, y in value)
    raise InputError(f"{name} is no list of points [x, y]")


def _is_point(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2
    return numbers and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)


# ---- results


def _result(asked: Asked) -> Answer:
    return json_answer(_found(asked).summary())


def _result_frame(asked: Asked) -> Answer:
    return Answer(_found(asked).label_png(_computed(asked)), "image/png", keeps=True)


def _matte(asked: Asked) -> Answer:
    result, index = _found(asked), _computed(asked)
    object_id = asked.whole_number("object")
    if object_id not in result.object_ids:
        raise NotThereError(f"the result has no object {object_id}")
    return Answer(result.matte_png(index, object_id), "image/png", keeps=True)


def _found(asked: Asked) -> ShotResult:
    result = RESULTS.find(asked.parts["token"])
    if result is None:
        raise NotThereError("the result is not held any more; ask for it again")
    return result


def _computed(asked: Asked) -> int:
    index = asked.whole_number("frame")
    if not _found(asked).has(index):
        raise NotThereError(f"frame {index} is not computed yet")
    return index


ROUTES = (
    Route("GET", f"{PREFIX}/sources/{{key}}", _source),
    Route("GET", f"{PREFIX}/sources/{{key}}/frames/{{index}}", _frame),
    Route("POST", f"{PREFIX}/projects/import", _import, MAX_ZIP_BYTES),
    Route("POST", f"{PREFIX}/projects/{{project}}/masks", _put_mask, MAX_PNG_BYTES),
    Route("GET", f"{PREFIX}/projects/{{project}}/masks/{{mask}}", _mask),
    Route("POST", f"{PREFIX}/projects/{{project}}/revisions", _put_revision, MAX_JSON_BYTES),
    Route("GET", f"{PREFIX}/projects/{{project}}/revisions", _revisions),
    Route("GET", f"{PREFIX}/projects/{{project}}/revisions/{{revision}}", _revision),
    Route("POST", f"{PREFIX}/projects/{{project}}/sweep", _sweep, MAX_JSON_BYTES),
    Route("POST", f"{PREFIX}/projects/{{project}}/save", _save, MAX_JSON_BYTES),
    Route("GET", f"{PREFIX}/projects/{{project}}/export", _export),
    Route("POST", f"{PREFIX}/select", _select, MAX_JSON_BYTES),
    Route("GET", f"{PREFIX}/results/{{token}}", _result),
    Route("GET", f"{PREFIX}/results/{{token}}/{{frame}}", _result_frame),
    Route("GET", f"{PREFIX}/results/{{token}}/{{frame}}/matte/{{object}}", _matte),
)
"""All of them; what changes a file is a POST."""
