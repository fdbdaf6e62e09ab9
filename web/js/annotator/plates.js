// Pictures of the plate: small ones for scrubbing, the full one of the frame that is rested on, and
// the strip of thumbnails.
import { FrameCache, prefetchOrder } from "./frame_cache.js";

const SCRUB_WIDTH = 960;
const THUMBNAIL_WIDTH = 160;
const SCRUB_BYTES = 256 * 2 ** 20;
const THUMBNAIL_BYTES = 16 * 2 ** 20;
const AHEAD = 24;
/** Frames that a drag on the timeline may pass over at each move, and still be followed ahead. */
const LARGEST_STRIDE = 30;

const bytesOf = (picture) => picture.width * picture.height * 4;

/** Plates of one source. `decode(blob)` promises a picture that has close(). */
export class Plates {
  #stride = 1;
  #frame = 0;

  constructor({ server, source, decode, onLoaded, onFailed }) {
    const cache = (width, mostBytes, kind) => new FrameCache({
      load: async (frame, signal) => decode(await server.frame(source.key, frame, width, signal)),
      release: (picture) => picture.close?.(),
      bytesOf,
      mostBytes,
      onLoaded: (frame) => onLoaded(kind, frame),
      onFailed,
    });
    this.source = source;
    this.scrub = cache(SCRUB_WIDTH, SCRUB_BYTES, "scrub");
    this.full = cache(0, 3 * source.width * source.height * 4, "full");
    this.thumbnails = cache(THUMBNAIL_WIDTH, THUMBNAIL_BYTES, "thumbnail");
  }

  /** Fetches a frame for scrubbing and those ahead of it. */
  show(frame) {
    const step = frame - this.#frame;
    if (step) this.#stride = Math.abs(step) <= LARGEST_STRIDE ? step : Math.sign(step);
    this.#frame = frame;
    this.#want(this.#stride);
  }

  #want(stride) {
    this.scrub.want(this.#frame, prefetchOrder(this.#frame, stride, this.source.count, AHEAD));
  }

  /** Fetches a frame at full size, and its neighbors for scrubbing. */
  rest(frame) {
    if (frame === this.#frame) this.#want(Math.sign(this.#stride));
    if (this.source.width > SCRUB_WIDTH) this.full.want(frame);
  }

  /** Fetches the thumbnails of some frames. */
  strip(frames) {
    const missing = frames.filter((frame) => !this.thumbnails.has(frame));
    if (missing.length) this.thumbnails.want(missing[0], missing.slice(1));
  }

  /** The best picture of a frame that is here. */
  at(frame) {
    return this.full.get(frame) ?? this.scrub.get(frame);
  }

  close() {
    for (const cache of [this.scrub, this.full, this.thumbnails]) cache.close();
  }
}
