// What the server has computed, and which of it is shown on a frame.
//
// A pass of the present state stands over its answers, an answer of the present state over a stale
// pass, a newer stale result over an older one. Stale: made from other annotations or another model.

const NOT_STALE = 2;

/** Results by token, newest last. */
export class Results {
  #known = new Map();

  /** A result as the server describes it; `isCurrent(result)` is asked at every look. */
  add(result) {
    const old = this.#known.get(result.token);
    this.#known.delete(result.token);
    const frames = new Set([...(old?.frames ?? []), ...result.frames]);
    this.#known.set(result.token, { confidence: {}, ...old, ...result, frames });
  }

  /** Frames that a running request has finished. */
  addFrames({ token, kind, revision, frames }) {
    this.add({ token, kind, revision, frames });
  }

  /** A result that the server no longer has. */
  drop(token) {
    this.#known.delete(token);
  }

  clear() {
    this.#known.clear();
  }

  get all() {
    return [...this.#known.values()];
  }

  get(token) {
    return this.#known.get(token);
  }

  /** { result, isStale } to show on a frame, or null. */
  shownAt(frame, isCurrent) {
    let best = null;
    for (const result of this.#known.values()) {
      if (!result.frames.has(frame)) continue;
      const rank = (isCurrent(result) ? NOT_STALE : 0) + (isCurrent(result) && result.kind !== "answers" ? 1 : 0);
      if (!best || rank >= best.rank) best = { result, rank };
    }
    return best && { result: best.result, isStale: best.rank < NOT_STALE };
  }

  /** Frames that are answered for the present state. */
  currentFrames(isCurrent) {
    const frames = new Set();
    for (const result of this.#known.values())
      if (isCurrent(result)) for (const frame of result.frames) frames.add(frame);
    return frames;
  }
}
