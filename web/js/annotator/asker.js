// When to ask for the mask of a frame: after a rest, the latest frame alone, then its neighbors.
//
// One question runs at a time. A stroke takes it back; a pass or a prompt of another kind makes it
// wait. Time and the queue come from outside, so that a test can be both.

export const REST_MS = 150;
export const NEIGHBORS_AT_ONCE = 2;
export const NEIGHBOR_REACH = 12;

/** Frames around one, nearest first: after it, before it, and so on. */
export function neighbors(frame, count, reach = NEIGHBOR_REACH) {
  const order = [];
  for (let step = 1; step <= reach; step++) order.push(frame + step, frame - step);
  return order.filter((one) => one >= 0 && one < count);
}

/** Asks about frames. */
export class Asker {
  #timer = null;
  #wish = null;
  #center = null;
  #running = null;
  #held = false;

  /**
   * @param submit (frames) => promise of true when answered; rejects with an error if it failed
   * @param cancel () => takes back the running question
   * @param isNeeded (frame) => whether an answer to this frame is missing
   * @param isFree () => whether the queue is empty, but for our own question
   * @param count () => number of frames
   */
  constructor({ submit, cancel, isNeeded, isFree, count, onChange = () => {}, onError = () => {},
    later = (run, ms) => setTimeout(run, ms), never = (timer) => clearTimeout(timer) }) {
    Object.assign(this, { submit, cancel, isNeeded, isFree, count, onChange, onError, later, never });
  }

  /** The frames that are being answered. */
  get asked() {
    return this.#running ?? [];
  }

  /** The frame that waits for an answer, or null. */
  get waiting() {
    return this.#wish;
  }

  /** The artist rests on a frame; `aroundIt` asks for its neighbors afterwards, as after a correction. */
  rest(frame, aroundIt = false) {
    this.#wish = null;
    if (aroundIt) this.#center = frame;
    this.never(this.#timer);
    this.#timer = this.later(() => {
      this.#timer = null;
      this.#wish = this.isNeeded(frame) ? frame : null;
      this.next();
    }, REST_MS);
  }

  /** A stroke begins: what is asked is no longer of interest. */
  hold() {
    this.#held = true;
    this.#wish = null;
    this.#center = null;
    this.never(this.#timer);
    this.#timer = null;
    if (this.#running) this.cancel();
  }

  /** The stroke has ended. */
  release() {
    this.#held = false;
  }

  /** Nothing is asked any more. */
  stop() {
    this.hold();
  }

  /** Asks what is next, if the way is free; to be called when the queue has changed. */
  next() {
    if (this.#running || this.#held || !this.isFree()) return this.onChange();
    const frames = this.#takeNext();
    if (!frames.length) return this.onChange();
    this.#running = frames;
    this.onChange();
    this.submit(frames).then((isDone) => isDone, (error) => { this.onError(error); return false; }).then((isDone) => {
      this.#running = null;
      if (!isDone) this.#center = null;
      this.next();
    });
  }

  #takeNext() {
    if (this.#wish !== null) {
      const frame = this.#wish;
      this.#wish = null;
      return this.isNeeded(frame) ? [frame] : this.#takeNext();
    }
    if (this.#center === null || this.#timer !== null) return [];
    const missing = neighbors(this.#center, this.count()).filter((frame) => this.isNeeded(frame));
    if (!missing.length) this.#center = null;
    return missing.slice(0, NEIGHBORS_AT_ONCE);
  }
}
