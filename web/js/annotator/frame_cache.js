// Pictures of frames around the playhead: what is held, what is fetched next, what is given up.
//
// The latest wish alone counts: a frame that was wished for and passed over is not fetched any more.

/** Frames to fetch ahead, nearest first, three of four in the direction of travel; `stride` is the last step. */
export function prefetchOrder(frame, stride, count, reach) {
  const order = [];
  for (let step = 1; step <= reach; step++) {
    order.push(frame + stride * step);
    if (step % 3 === 0) order.push(frame - (stride * step) / 3);
  }
  return order.filter((one) => one >= 0 && one < count);
}

/**
 * A cache of pictures by frame.
 * `load(frame, signal)` promises a picture, `release(picture)` gives it up, `bytesOf(picture)` its size.
 */
export class FrameCache {
  #held = new Map();
  #running = new Map();
  #wish = null;
  #waiting = [];
  #bytes = 0;
  #closed = false;

  constructor({ load, release, bytesOf, mostBytes, mostRunning = 4, onLoaded = () => {}, onFailed = () => {} }) {
    Object.assign(this, { load, release, bytesOf, mostBytes, mostRunning, onLoaded, onFailed });
  }

  /** The picture of a frame if it is here; it counts as used. */
  get(frame) {
    const picture = this.#held.get(frame);
    if (picture === undefined) return undefined;
    this.#held.delete(frame);
    this.#held.set(frame, picture);
    return picture;
  }

  has(frame) {
    return this.#held.has(frame);
  }

  get bytes() {
    return this.#bytes;
  }

  /** Frames that are held. */
  get frames() {
    return [...this.#held.keys()];
  }

  /** The frame to show, and those to fetch when it is here. Fetches of other frames are given up. */
  want(frame, ahead = []) {
    this.#wish = frame;
    this.#waiting = ahead.filter((one) => one !== frame && !this.#held.has(one));
    const wanted = new Set([frame, ...this.#waiting]);
    for (const [other, control] of this.#running) if (!wanted.has(other)) control.abort();
    this.#next();
  }

  /** Gives everything up. */
  close() {
    this.#closed = true;
    for (const control of this.#running.values()) control.abort();
    for (const picture of this.#held.values()) this.release(picture);
    this.#held.clear();
    this.#bytes = 0;
  }

  #next() {
    while (!this.#closed && this.#running.size < this.mostRunning) {
      const isMissing = (frame) => !this.#held.has(frame) && !this.#running.has(frame);
      const frame = this.#wish !== null && isMissing(this.#wish) ? this.#wish : this.#takeWaiting(isMissing);
      if (frame === undefined) return;
      this.#fetch(frame);
    }
  }

  #takeWaiting(isMissing) {
    while (this.#waiting.length) {
      const frame = this.#waiting.shift();
      if (isMissing(frame)) return frame;
    }
    return undefined;
  }

  async #fetch(frame) {
    const control = new AbortController();
    this.#running.set(frame, control);
    try {
      const picture = await this.load(frame, control.signal);
      if (this.#closed) this.release(picture);
      else this.#keep(frame, picture);
    } catch (error) {
      if (!control.signal.aborted) {
        if (this.#wish === frame) this.#wish = null;
        this.onFailed(frame, error);
      }
    } finally {
      this.#running.delete(frame);
      this.#next();
    }
  }

  #keep(frame, picture) {
    this.#held.set(frame, picture);
    this.#bytes += this.bytesOf(picture);
    for (const [other, old] of this.#held) {
      if (this.#bytes <= this.mostBytes || other === frame) break;
      if (other === this.#wish) continue;
      this.#held.delete(other);
      this.#bytes -= this.bytesOf(old);
      this.release(old);
    }
    this.onLoaded(frame);
  }
}
