// The frame at the playhead as it is painted on: what is shown is what is delivered.
//
// Paint goes on the shown picture, which is the annotation over the result. What the annotation
// keeps of it are the objects it speaks of: those it spoke of before, and the one just painted. So
// the first stroke on a result takes that object's mask over, which is what a correction is.
import {
  composite, emptyMap, labelsIn, paintMask, resized, saidPart, writableByEraser, writableUnder,
} from "./label_map.js";
import { annotationAt, isAbsent, lockedIds } from "./document.js";
import { Mask } from "./mask.js";

/** One frame under the brush. */
export class Painting {
  #shownBefore = null;
  #painted = null;
  #shown = null;

  /**
   * @param size { width, height } of the plate
   * @param document what is said
   * @param frame index
   * @param predicted label map of the result, any size, or null
   */
  constructor(size, document, frame, predicted) {
    const annotation = annotationAt(document, frame);
    const hasPaint = annotation?.objects.length > 0;
    this.frame = frame;
    this.document = document;
    this.said = annotation?.objects ?? [];
    this.size = size;
    this.mask = hasPaint ? annotation.mask : null;
    this.predicted = predicted && resized(predicted, size.width, size.height);
    /** Whether there is nothing to draw: then no map is made while frames go by. */
    this.isBlank = !hasPaint && !predicted;
  }

  /** What the annotation says; a mask painted on a clip of another size is taken to this one's. */
  get painted() {
    const { width, height } = this.size;
    return this.#painted ??= this.mask ? resized(this.mask.map(), width, height) : emptyMap(width, height);
  }

  /** The picture that is painted on. */
  get shown() {
    const { document, frame, predicted, said } = this;
    const absent = () => document.objects.map(({ id }) => id).filter((id) => isAbsent(document, frame, id));
    return this.#shown ??= composite(predicted, this.painted, [...said, ...absent()]);
  }

  /** A stroke begins. */
  begin() {
    this.isBlank = false;
    this.#shownBefore = { ...this.shown, pixels: this.shown.pixels.slice() };
  }

  /** Labels that a tool of an object may replace. */
  writable(id, isErasing) {
    return isErasing ? writableByEraser(id) : writableUnder(lockedIds(this.document).filter((one) => one !== id));
  }

  /** Takes the stroke back. */
  cancel() {
    if (this.#shownBefore) this.#shown = this.#shownBefore;
    this.#shownBefore = null;
  }

  /** Whether the stroke has changed a pixel. */
  get hasChanged() {
    const before = this.#shownBefore?.pixels;
    return !!before && this.shown.pixels.some((label, place) => label !== before[place]);
  }

  /**
   * Ends a stroke: { mask, said, emptied }, where `emptied` are objects without a pixel left.
   * `ids` are the objects that the stroke speaks of beside those that were said.
   */
  end(ids) {
    const before = this.#shownBefore ?? this.shown;
    this.#shownBefore = null;
    const wanted = [...new Set([...this.said, ...ids])];
    const map = saidPart(this.shown, wanted, this.painted, before);
    const present = new Set(labelsIn(map));
    const said = wanted.filter((id) => present.has(id));
    return { mask: Mask.of(map), said, emptied: wanted.filter((id) => !present.has(id)) };
  }

  /** Writes a proposal, 0 or not, as an object. */
  accept(mask, id) {
    this.begin();
    paintMask(this.shown, mask, id, this.writable(id, false));
  }

  /** Objects that are shown here. */
  get shownIds() {
    return labelsIn(this.shown);
  }
}
