// One project in the browser: the shot, what is said about it, the playhead and the tools. The view in
// the node and the large one look at the same studio; each change is told by an event named after what
// changed: source, frame, document, picture, tool, result, work, message.
import * as said from "./document.js";
import { History } from "./history.js";
import { withoutLabels } from "./label_map.js";
import { Mask } from "./mask.js";
import { MODES } from "./overlay.js";
import { Painting } from "./painting.js";
import { Plates } from "./plates.js";
import { Saver } from "./saver.js";
import { nextOf, ordered, plateNumber } from "./timeline_geometry.js";

export const TOOLS = ["brush", "erase", "polygon", "fill", "smart"];
export const SMALLEST_BRUSH = 1;
export const LARGEST_BRUSH = 1000;
const REST_MS = 150;

/** The state of one annotator node. */
export class Studio extends EventTarget {
  source = null;
  document = said.EMPTY;
  history = new History();
  frame = 0;
  tool = "brush";
  brush = 40;
  activeId = 0;
  mode = "overlay";
  opacity = 0.45;
  showsResult = true;
  proposal = null;
  painting = null;
  plates = null;
  isPlaying = false;
  adapted = false;
  messages = [];
  /** Notices of the server that the artist has closed. */
  #dismissed = new Set();
  #masks = new Map();
  /** The result that the picture shows: { frame, predicted }. */
  #shown = { frame: -1, predicted: null };
  #restTimer = null;

  /**
   * @param server the routes
   * @param codec { decode(blob), encodeMask(map), decodeMask(blob) }
   * @param t words by key
   */
  constructor({ server, codec, t }) {
    super();
    Object.assign(this, { server, codec, t });
    this.saver = new Saver({
      server,
      encode: codec.encodeMask,
      onSaved: (saved, document) => this.#saved(saved, document),
      onError: (error) => this.tell("notSaved", { why: error.message }, "error"),
    });
    this.meanings = new Map();
  }

  /** Tells the views that something has changed. */
  changed(...what) {
    for (const name of what) this.dispatchEvent(new Event(name));
  }

  /** A line for the artist: kind "info" passes, "warning" and "error" stay until they are closed. */
  tell(key, values = {}, kind = "info") {
    this.tellText(this.t(key, values), kind, key);
  }

  tellText(text, kind = "info", key = text) {
    this.messages = [...this.messages.filter((one) => one.key !== key && one.kind !== "info"), { key, text, kind }];
    this.changed("message");
  }

  /** A notice of the server, told once: { kind, text }. */
  notice({ kind, text }) {
    const key = kind === "clip" ? "otherClip" : text;
    if (kind === "mask") this.untell("maskLost"); // the same, in fewer words
    if (this.#dismissed.has(key) || this.messages.some((one) => one.key === key)) return;
    this.tellText(kind === "clip" ? this.t(key) : text, "warning", key);
  }

  /** The artist closes a line. */
  dismiss(key) {
    this.#dismissed.add(key);
    this.untell(key);
  }

  /** Closes a line. */
  untell(key) {
    const left = this.messages.filter((one) => one.key !== key);
    if (left.length === this.messages.length) return;
    this.messages = left;
    this.changed("message");
  }

  // ---- the value of the widget

  get value() {
    const { last } = this.saver;
    return last ? JSON.stringify({ ...last, ...(this.adapted ? { adapted: true } : {}) }) : "";
  }

  #saved({ revision }, document) {
    this.meanings.set(revision, this.meaningOf(document));
    this.untell("notSaved");
    for (const frame of said.annotatedFrames(document)) {
      const { mask } = said.annotationAt(document, frame);
      if (mask?.hash) this.#masks.set(mask.hash, mask);
    }
    this.changed("saved");
  }

  /** Opens what a value names; errors are told, and nothing is lost that is here. */
  async load(value) {
    const { project, revision, adapted } = value ? JSON.parse(value) : {};
    if (!revision || (project === this.saver.project && revision === this.saver.revision)) return;
    let stored;
    try {
      stored = await this.server.revision(project, revision);
    } catch (error) {
      return this.tell("notLoaded", { why: error.message }, "error");
    }
    const document = said.fromServer(stored, (hash) => this.#maskOf(hash));
    const isSame = project === this.saver.project;
    const before = this.document;
    this.adapted = !!adapted;
    this.storedSource = stored.source;
    this.saver.start(project, revision, document);
    this.meanings.set(revision, this.meaningOf(document));
    if (isSame) this.history.push({ before, after: document, frame: this.frame, what: "graph" });
    else this.history = new History();
    this.#setDocument(document);
  }

  /** A document that the server has made of linked annotations, stored under a value. */
  adopt(document, { project, revision }) {
    this.saver.start(project, revision, document);
    this.meanings.set(revision, this.meaningOf(document));
    this.#setDocument(document);
    this.changed("saved");
  }

  /** Uses the model that was adapted to the shot, or the plain one. */
  setAdapted(adapted) {
    this.adapted = adapted;
    this.changed("saved", "document", "work");
  }

  #maskOf(hash) {
    if (!this.#masks.has(hash)) this.#masks.set(hash, Mask.named(hash));
    return this.#masks.get(hash);
  }

  /** This studio is of a copied node: its first edit makes a project of its own. */
  isCopy = false;

  /** What decides the answers of a document. */
  meaningOf = (document) => said.meaning(document, (mask) => mask.serial);

  // ---- the shot

  /** Shows a shot. */
  open(source) {
    if (source.key === this.source?.key) return this.changed("source");
    this.plates?.close();
    this.source = source;
    this.#shown = { frame: -1, predicted: null };
    this.plates = new Plates({
      server: this.server,
      source,
      decode: this.codec.decode,
      onLoaded: (kind, frame) => (kind === "thumbnail" ? this.changed("strip")
        : frame === this.frame && this.changed("picture")),
      onFailed: (_frame, error) => this.#lost(error),
    });
    this.#dismissed.clear();
    if (this.storedSource && this.storedSource !== source.key) this.tell("otherClip", {}, "warning");
    this.untell("lost");
    this.changed("source");
    this.show(Math.min(this.frame, source.count - 1));
  }

  #lost(error) {
    if (error.status === 404) {
      this.tell("lost", {}, "warning");
      this.source = null;
      this.changed("source");
    } else this.tellText(error.message, "error", "frame");
  }

  /** Moves the playhead. */
  show(frame) {
    if (!this.source) return;
    const index = Math.min(this.source.count - 1, Math.max(0, Math.round(frame)));
    if (index !== this.frame) this.proposal = null;
    this.frame = index;
    this.plates.show(index);
    this.refresh();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.plates?.rest(index), REST_MS);
    this.changed("frame");
  }

  /** Moves to the next (1) or previous (-1) of some frames. */
  jump(frames, step) {
    const frame = nextOf(frames, this.frame, step);
    if (frame !== undefined) this.show(frame);
  }

  /** Gives up pictures and timers. */
  close() {
    clearTimeout(this.#restTimer);
    this.isPlaying = false;
    this.plates?.close();
    this.plates = null;
    this.source = null;
  }

  // ---- the frame under the brush

  /** The label map of the result on a frame, null where there is none; answers.js sets it. */
  predictedAt = () => null;

  /** Makes the shown picture anew: the frame, the document or the result has changed. */
  refresh() {
    if (this.isStroking) return;
    this.painting = null;
    this.#makePainting();
    this.changed("picture");
  }

  #makePainting() {
    if (!this.source) return;
    const { frame, document } = this;
    const { mask } = said.annotationAt(document, frame) ?? {};
    if (mask && !mask.isLoaded) this.#loadMask(mask, frame);
    const predicted = this.#predictedOrShown(frame);
    if (!this.#hasMask || predicted === undefined) return;
    this.#shown = { frame, predicted };
    this.painting = new Painting(this.source, this.#readable, frame, predicted);
  }

  /** While a newer result of the frame is on its way, the one that is seen is painted on. */
  #predictedOrShown(frame) {
    const predicted = this.predictedAt(frame);
    return predicted === undefined && this.#shown.frame === frame ? this.#shown.predicted : predicted;
  }

  async #loadMask(mask, frame) {
    const wasLost = mask.isLost;
    try {
      await this.#fetchMask(mask);
    } catch (error) {
      const isTold = this.messages.some((one) => one.text.includes(mask.hash));
      if (!isTold) this.tell("maskLost", { frame, why: error.message }, "error");
      if (wasLost || !mask.isLost) return;
    }
    this.refresh();
    if (wasLost && !mask.isLost) this.#maskIsBack(mask);
  }

  /** Loads a mask; one that the server does not have, or that is damaged there, is lost. */
  async #fetchMask(mask) {
    const project = this.saver.origin || this.saver.project;
    try {
      mask.fill(await this.codec.decodeMask(await this.server.mask(project, mask.hash)));
    } catch (error) {
      mask.isLost ||= error.status >= 400;
      throw error;
    }
  }

  #maskIsBack({ hash }) {
    for (const { key, text } of this.messages) if (text.includes(hash)) this.untell(key);
    this.changed("document");
  }

  /** The server cannot read the mask of a frame: one that is here is sent again, else the frame can be painted anew. */
  maskMissing(frame) {
    const { mask } = said.annotationAt(this.document, frame) ?? {};
    if (!mask?.hash || mask.isLost) return;
    if (mask.isLoaded) {
      this.saver.stored.delete(mask.hash);
      return this.#save();
    }
    mask.isLost = true;
    this.changed("document");
    if (frame === this.frame) this.refresh();
  }

  /** The document without what a lost mask said on this frame. */
  get #readable() {
    const { document, frame } = this;
    return said.annotationAt(document, frame)?.mask?.isLost ? said.withoutMask(document, frame) : document;
  }

  /** Whether the frame is here to be painted on. */
  get isLoaded() {
    return this.painting !== null;
  }

  isLocked = (id) => !!said.objectOf(this.document, id)?.locked;

  /** Shows a proposal { mask, inside, ring }, or none. */
  propose(proposal) {
    this.proposal = proposal;
    this.changed("picture");
  }

  /** A stroke begins: the painting to paint on, or null where the frame is still on its way. */
  begin() {
    const { painting } = this;
    if (!painting) return null;
    this.isPlaying = false;
    this.isStroking = true;
    painting.begin();
    this.changed("stroke");
    return painting;
  }

  /** The active object's id; the first is made where there is none. */
  ensureObject() {
    if (!said.objectOf(this.document, this.activeId)) this.addObject();
    return this.activeId;
  }

  /** A stroke ends; `ids` are the objects it speaks of. */
  end(ids, what = "stroke") {
    const { painting } = this;
    this.isStroking = false;
    const takesOver = what !== "erase" && ids.some((id) => !painting.said.includes(id));
    if (!painting.hasChanged && !takesOver) {
      painting.cancel();
      return this.changed("strokeEnd");
    }
    const { mask, said: objects, emptied } = painting.end(ids);
    this.commit(said.withPaint(this.document, painting.frame, mask, objects), what);
    for (const id of emptied) this.tell("emptied", { name: said.objectOf(this.document, id)?.name ?? id });
    this.changed("strokeEnd");
  }

  /** A stroke is taken back. */
  cancelStroke() {
    this.painting?.cancel();
    this.isStroking = false;
    this.changed("strokeEnd", "picture");
  }

  // ---- edits

  /** Makes a document the present one, as one step of undo. */
  commit(document, what) {
    this.history.push({ before: this.document, after: document, frame: this.frame, what });
    this.#setDocument(document);
    this.#save();
  }

  #save() {
    if (this.isCopy) {
      this.saver.fork();
      this.isCopy = false;
    }
    this.saver.save(this.document, this.source?.key ?? this.storedSource ?? "");
  }

  #setDocument(document) {
    this.document = document;
    if (!said.objectOf(document, this.activeId)) this.activeId = document.objects[0]?.id ?? 0;
    this.changed("document");
    this.refresh();
  }

  undo() {
    this.#step(this.history.undo(), "before");
  }

  redo() {
    this.#step(this.history.redo(), "after");
  }

  #step(step, side) {
    if (!step || this.isStroking) return;
    this.#setDocument(step[side]);
    this.#save();
    if (this.source && step.frame !== this.frame) this.show(step.frame);
    this.tell(side === "before" ? "undone" : "redone", { what: this.t(`step.${step.what}`) });
  }

  addObject() {
    const made = said.withObject(this.document, (id) => this.t("objectName", { id }));
    if (!made) return this.tell("tooManyObjects", {}, "warning");
    this.activeId = made.object.id;
    this.commit(made.document, "add");
  }

  changeObject(id, change) {
    this.commit(said.withChange(this.document, id, change), "object");
  }

  moveObject(id, step) {
    this.commit(said.withMoved(this.document, id, step), "object");
  }

  /** Deletes an object and all that is said of it; the masks of its frames are loaded first. */
  async deleteObject(id) {
    for (const frame of said.framesSaying(this.document, id)) {
      const { mask } = said.annotationAt(this.document, frame);
      if (!mask || mask.isLoaded) continue;
      await this.#fetchMask(mask).catch((error) => this.tell("maskLost", { frame, why: error.message }, "error"));
      if (!mask.isLoaded && !mask.isLost) return; // no answer from the server: nothing is deleted
    }
    const without = (mask) => (mask.isLost ? mask : Mask.of(withoutLabels(mask.map(), [id])));
    this.commit(said.withoutObject(this.document, id, without), "delete");
  }

  select(id) {
    this.activeId = id;
    this.changed("tool", "picture");
  }

  /** Selects the first, second, ... object of the list; one after the last makes a new one. */
  selectNumber(number) {
    const { objects } = this.document;
    if (number <= objects.length) this.select(objects[number - 1].id);
    else if (number === objects.length + 1) this.addObject();
  }

  /** The number of a frame in the plate's own numbering. */
  numberOf = (frame) => plateNumber(this.source, frame);

  /** Opens an older revision of this project; it is one step of undo. */
  async restore(revision) {
    const { project } = this.saver;
    await this.load(JSON.stringify({ project, revision, adapted: this.adapted }));
    this.changed("saved");
  }

  /** Whether the mask that was painted on this frame, if any, is here or lost. */
  get #hasMask() {
    const { mask } = said.annotationAt(this.document, this.frame) ?? {};
    return !mask || mask.isLoaded || mask.isLost;
  }

  #maskWithout(id) {
    const annotation = said.annotationAt(this.#readable, this.frame);
    if (!annotation?.objects.includes(id)) return annotation?.mask ?? null;
    return Mask.of(withoutLabels(annotation.mask.map(), [id]));
  }

  /** Says that the active object is not on this frame, or takes that back. */
  toggleAbsent() {
    const id = this.activeId;
    if (!id || !this.source) return;
    if (!this.#hasMask) return this.tell("stillLoading");
    const { frame } = this;
    const document = this.#readable;
    const mask = this.#maskWithout(id);
    if (said.isAbsent(document, frame, id)) this.commit(said.withoutSaying(document, frame, id, mask), "here");
    else this.commit(said.withAbsence(document, frame, id, mask), "notHere");
  }

  /** Nothing is said of the active object on this frame any more. */
  forget() {
    const { document, frame, activeId } = this;
    if (!this.#hasMask) return this.tell("stillLoading");
    if (!(said.says(document, frame, activeId) || said.isAbsent(document, frame, activeId))) return;
    this.commit(said.withoutSaying(this.#readable, frame, activeId, this.#maskWithout(activeId)), "forget");
  }

  /** Says that the active object is on none of some frames, or takes that back. */
  absentRange(one, other, isAbsent = true) {
    if (!this.activeId) return;
    const [first, last] = ordered(one, other);
    const change = isAbsent ? said.withAbsentRange : said.withoutAbsentRange;
    this.commit(change(this.document, this.activeId, first, last), isAbsent ? "notHere" : "here");
  }

  /** Takes the proposal, or else the shown result, as an annotation. */
  accept() {
    const { painting, proposal } = this;
    if (!this.source) return;
    if (!painting) return this.tell("stillLoading");
    if (proposal) {
      const id = this.ensureObject();
      const current = this.painting;
      if (!current) return this.tell("stillLoading"); // a new object asks for the result anew
      current.accept(proposal.mask, id);
      this.proposal = null;
      return this.end([id], "accept");
    }
    const ids = painting.shownIds.filter((id) => said.objectOf(this.document, id));
    if (!ids.length) return this.tell("nothingToAccept");
    painting.begin();
    this.end(ids, "accept");
  }

  /** Sets first and last frame to propagate, null is the whole shot. */
  setRange(range) {
    this.commit(said.withRange(this.document, range), "range");
  }

  markIn() {
    const last = this.document.range?.[1] ?? this.source.count - 1;
    this.setRange([this.frame, Math.max(this.frame, last)]);
  }

  markOut() {
    const first = this.document.range?.[0] ?? 0;
    this.setRange([Math.min(first, this.frame), this.frame]);
  }

  // ---- tools

  setTool(tool) {
    this.tool = tool;
    this.proposal = null;
    this.changed("tool", "picture");
  }

  toggleErase() {
    this.setTool(this.tool === "erase" ? "brush" : "erase");
  }

  setBrush(pixels) {
    this.brush = Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, pixels));
    this.changed("tool");
  }

  setMode(mode) {
    this.mode = mode;
    this.changed("tool", "picture");
  }

  nextMode() {
    this.setMode(MODES[(MODES.indexOf(this.mode) + 1) % MODES.length]);
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    this.changed("tool", "picture");
  }

  togglePlate() {
    this.showsResult = !this.showsResult;
    this.changed("tool", "picture");
  }
}
