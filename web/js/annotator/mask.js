// A mask that is kept: a label map that never changes, packed in runs of equal pixels.
//
// A stroke makes a new mask, so an undo is a step back to the mask before, picture and value together,
// and a mask that the server has is known by its name for ever.

const COUNT_BITS = 24;
const MOST_IN_RUN = 2 ** COUNT_BITS - 1;

/** Runs of equal pixels: label in the upper 8 bits, count in the lower 24. */
export function pack(pixels) {
  const runs = [];
  for (let place = 0; place < pixels.length;) {
    const label = pixels[place];
    let end = place + 1;
    while (end < pixels.length && pixels[end] === label && end - place < MOST_IN_RUN) end++;
    runs.push(label * 2 ** COUNT_BITS + (end - place));
    place = end;
  }
  return Uint32Array.from(runs);
}

/** The pixels of packed runs. */
export function unpack(runs, length) {
  const pixels = new Uint8Array(length);
  let place = 0;
  for (const run of runs) {
    const count = run & MOST_IN_RUN;
    pixels.fill(run >>> COUNT_BITS, place, place + count);
    place += count;
  }
  return pixels;
}

let made = 0;

/** An immutable label map; its pixels, its name at the server, or both are known. */
export class Mask {
  /** Of pixels just painted. */
  static of(map) {
    const mask = new Mask();
    mask.fill(map);
    return mask;
  }

  /** Of a name at the server. */
  static named(hash) {
    const mask = new Mask();
    mask.hash = hash;
    return mask;
  }

  /** Tells masks of this browser apart. */
  serial = (made += 1);
  hash = "";
  runs = null;
  /** Whether the server has no readable file of it. */
  isLost = false;

  /** The pixels have come from the server. */
  fill(map) {
    Object.assign(this, { width: map.width, height: map.height, runs: pack(map.pixels), isLost: false });
  }

  /** Whether the pixels are here. */
  get isLoaded() {
    return this.runs !== null;
  }

  /** A map to paint on or draw. */
  map() {
    const { width, height } = this;
    return { width, height, pixels: unpack(this.runs, width * height) };
  }

  /** Bytes in this browser. */
  get bytes() {
    return this.runs?.byteLength ?? 0;
  }
}
