// What is asked of the server in prompts, and what has come of it: instant answers, passes, the model
// adapted to the shot, suggestions. Heavy work runs in ComfyUI's own queue, never beside it.
import { Asker } from "./asker.js";
import { annotatedFrames, fromServer, hasLostMask, isWhole } from "./document.js";
import { Mask } from "./mask.js";
import { Results } from "./results.js";
import { newProjectId } from "./saver.js";

const MAPS_KEPT = 400;
/** Below this number of annotated frames a pass is better than an answer. */
export const FEW_ANNOTATED = 3;

/** Asks for a studio. */
export class Answers {
  results = new Results();
  model = null;
  /** { kind: "propagate" | "adapt" | "suggest" | "open", state: "waiting" | "running", done, total } */
  work = null;
  candidates = [];
  direction = "outward";
  #job = null;
  #answerJob = null;
  #maps = new Map();
  #matte = { key: "", picture: null };
  #meanings = new WeakMap();
  #lastDocument = null;

  /**
   * @param studio the studio
   * @param host { start(request, value) => { promise, cancel(), withdraw() }, isFree() }
   */
  constructor({ studio, server, codec, host }) {
    Object.assign(this, { studio, server, codec, host });
    this.asker = new Asker({
      submit: (frames) => this.#answer(frames),
      // One that runs takes a moment and is kept for its revision: to stop it would look like a failure.
      cancel: () => this.#answerJob?.withdraw(),
      isNeeded: (frame) => this.isNeeded(frame),
      isFree: () => !this.#job && host.isFree(),
      count: () => studio.source?.count ?? 0,
      onChange: () => studio.changed("work"),
      onError: (error) => studio.tellText(error.message, "error", "answer"),
    });
    studio.predictedAt = (frame) => this.#mapAt(frame);
    studio.addEventListener("frame", () => this.asker.rest(studio.frame));
    studio.addEventListener("stroke", () => this.asker.hold());
    studio.addEventListener("strokeEnd", () => this.asker.release());
    studio.addEventListener("document", () => this.#documentChanged());
  }

  /** What decides the answers of the present document. */
  get #meaning() {
    const { document } = this.studio;
    if (!this.#meanings.has(document)) this.#meanings.set(document, this.studio.meaningOf(document));
    return this.#meanings.get(document);
  }

  /** Whether a result was made from what is said now, by the present model. */
  isCurrent = (result) => this.studio.meanings.get(result.revision) === this.#meaning
    && (!this.model || !result.model || result.model === this.model);

  /** { result, isStale } of a frame, or null. */
  shownAt = (frame) => this.results.shownAt(frame, this.isCurrent);

  /** Whether a frame has no answer to what is said now. */
  isNeeded(frame) {
    const { document } = this.studio;
    if (!document.objects.length || !annotatedFrames(document).length || isWhole(document, frame)) return false;
    if (hasLostMask(document)) return false;
    const shown = this.shownAt(frame);
    return !shown || shown.isStale;
  }

  #documentChanged() {
    const { document, frame, source } = this.studio;
    const isNew = this.#lastDocument !== null && this.studio.meaningOf(this.#lastDocument) !== this.#meaning;
    this.#lastDocument = document;
    if (source) this.asker.rest(frame, isNew);
  }

  // ---- label maps of results

  /** A result's label map on a frame: null where there is none, undefined while it is on its way. */
  #mapAt(frame) {
    const shown = this.shownAt(frame);
    if (!shown) return null;
    const key = `${shown.result.token}/${frame}`;
    const kept = this.#maps.get(key);
    if (kept) {
      this.#maps.delete(key);
      this.#maps.set(key, kept);
      return kept.mask?.map();
    }
    this.#maps.set(key, {});
    this.#fetch(shown.result.token, frame, key);
    return undefined;
  }

  async #fetch(token, frame, key) {
    try {
      const map = await this.codec.decodeMask(await this.server.resultMap(token, frame));
      this.#maps.set(key, { mask: Mask.of(map) });
      for (const old of this.#maps.keys()) {
        if (this.#maps.size <= MAPS_KEPT) break;
        this.#maps.delete(old);
      }
    } catch {
      this.#maps.delete(key);
      this.results.get(token)?.frames.delete(frame); // the server has it no more: it is asked for again
    }
    if (frame === this.studio.frame) this.studio.refresh();
  }

  /** The soft matte of an object on a frame as delivered, or null where it is not here (yet). */
  matteAt(frame, object) {
    const shown = this.shownAt(frame);
    if (!shown || shown.isStale) return null;
    const key = `${shown.result.token}/${frame}/${object}`;
    if (this.#matte.key !== key) {
      this.#matte.picture?.close();
      this.#matte = { key, picture: null };
      this.#fetchMatte(shown.result.token, frame, object, key);
    }
    return this.#matte.picture;
  }

  async #fetchMatte(token, frame, object, key) {
    try {
      const picture = await this.codec.decode(await this.server.matte(token, frame, object));
      if (this.#matte.key !== key) return picture.close();
      this.#matte.picture = picture;
      this.studio.changed("picture");
    } catch {
      // the hard matte is shown instead
    }
    return undefined;
  }

  /** Whether few frames are annotated, so that a pass will be better. */
  get isFew() {
    return annotatedFrames(this.studio.document).length < FEW_ANNOTATED;
  }

  /** Whether something runs that answers must wait for. */
  get isBusy() {
    return this.#job !== null || !this.host.isFree();
  }

  // ---- what comes from the server

  /** The event of a running request. */
  onProgress(detail) {
    if (detail.project !== this.studio.saver.project) return;
    const frames = detail.frames ?? [detail.frame];
    this.results.addFrames({ token: detail.token, kind: detail.kind, revision: detail.revision, frames });
    if (this.work?.kind === "propagate") {
      this.work.done += frames.length;
      this.work.state = "running";
    }
    this.#resultChanged(frames);
  }

  #resultChanged(frames) {
    this.studio.changed("result", "work");
    if (!frames || frames.includes(this.studio.frame)) this.studio.refresh();
  }

  /** What a request or a normal run of the node has handed back. */
  receive(output) {
    for (const notice of output.xmempp_message ?? []) this.studio.notice(notice);
    for (const frame of output.xmempp_missing ?? []) this.studio.maskMissing(frame);
    const stored = output.xmempp_document?.[0];
    const value = output.xmempp_value?.[0];
    if (stored && value && !this.studio.value) this.studio.adopt(fromServer(stored), value);
    for (const result of output.xmempp_result ?? []) {
      this.results.add(result);
      if (result.model && result.kind !== "track") this.model = result.model;
    }
    if (output.xmempp_candidates) this.candidates = output.xmempp_candidates;
    if (output.xmempp_source?.[0]) this.studio.open(output.xmempp_source[0]);
    this.#resultChanged(null);
  }

  // ---- requests

  async #answer(frames) {
    if (!(await this.studio.saver.settled())) return false;
    const started = performance.now();
    this.#answerJob = this.host.start(this.#request({ action: "answer", frames }), this.studio.value);
    try {
      const output = await this.#answerJob.promise;
      if (!output) return false;
      this.receive(output);
      this.studio.untell("answer");
      this.lastAnswerMs = performance.now() - started;
      return true;
    } finally {
      this.#answerJob = null;
    }
  }

  #request(request) {
    return this.studio.adapted ? { ...request, adapted: true } : request;
  }

  /** Runs a request that is not an answer; one at a time. */
  async #run(kind, request, total = 0) {
    if (this.#job || !(await this.studio.saver.settled())) return null;
    this.asker.hold();
    this.asker.release();
    this.work = { kind, state: "waiting", done: 0, total };
    this.studio.changed("work");
    try {
      this.#job = this.host.start(this.#request(request), this.studio.value, () => {
        if (this.work) this.work.state = "running";
        this.studio.changed("work");
      });
      const output = await this.#job.promise;
      if (output) this.receive(output);
      else this.studio.tell("canceled");
      return output;
    } catch (error) {
      this.studio.tellText(error.message, "error", kind);
      return null;
    } finally {
      this.#job = null;
      this.work = null;
      this.studio.changed("work");
      if (this.studio.source) this.asker.rest(this.studio.frame);
    }
  }

  /** Opens the shot; what is wrong with the project is told, not thrown. */
  open() {
    for (const kind of ["open", "lost"]) this.studio.untell(kind);
    const project = this.studio.saver.project || newProjectId();
    return this.#run("open", { action: "open", project });
  }

  /** A pass: "whole", "range" (in to out) or "here" (from the playhead on). */
  async propagate(part = "whole") {
    const { source, document, frame } = this.studio;
    if (!source) return;
    if (!annotatedFrames(document).length) return this.studio.tell("nothingAnnotated", {}, "warning");
    const range = { whole: null, range: document.range, here: [frame, source.count - 1] }[part] ?? null;
    const total = range ? range[1] - range[0] + 1 : source.count;
    const { direction } = this;
    if (await this.#run("propagate", { action: "propagate", range, direction }, total)) this.studio.tell("propagated");
  }

  /** Adapts the model to the shot, or takes the plain model again. */
  async adapt() {
    const { studio } = this;
    if (studio.adapted) return studio.setAdapted(false);
    if (!annotatedFrames(studio.document).length) return studio.tell("nothingAnnotated", {}, "warning");
    if (!(await this.#run("adapt", { action: "adapt", mode: "quick" }))) return;
    studio.setAdapted(true);
    studio.tell("adaptedNow");
  }

  /** Proposes frames: "keys" by what is new in them, "uncertainty" by where the result is in doubt. */
  async suggest(way, count = 3) {
    if (!(await this.#run("suggest", { action: "suggest", way, count }))) return;
    this.studio.tell(this.candidates.length ? "suggested" : "nothingToSuggest", { count: this.candidates.length });
  }

  /** Stops the pass or whatever else runs for this node. */
  cancel() {
    if (this.#job) this.#job.cancel();
    else this.asker.hold();
    this.asker.release();
  }

  /** The queue has changed. */
  onQueue() {
    this.asker.next();
  }

  /** Nothing is asked any more. */
  close() {
    this.asker.stop();
  }
}
