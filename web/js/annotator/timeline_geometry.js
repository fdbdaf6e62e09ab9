// Frames along the timeline: frame i takes the width of one frame, its middle is where it is drawn.

const STEPS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000];

/** Left edge of a frame. */
export const frameLeft = (frame, count, width) => (frame * width) / count;

/** Middle of a frame. */
export const frameMiddle = (frame, count, width) => ((frame + 0.5) * width) / count;

/** The frame at a place, held inside the shot. */
export function frameAt(x, count, width) {
  return Math.min(count - 1, Math.max(0, Math.floor((x * count) / width)));
}

/** Frames between two labels, so that labels of a width have room. */
export function labelStep(count, width, labelWidth) {
  const least = (labelWidth * count) / Math.max(1, width);
  return STEPS.find((step) => step >= least) ?? STEPS.at(-1);
}

/** Frames whose thumbnails tile the strip: those in the middle of each tile. */
export function thumbnailFrames(count, width, tileWidth) {
  const tiles = Math.max(1, Math.min(count, Math.round(width / tileWidth)));
  return Array.from({ length: tiles }, (_, i) => Math.floor(((i + 0.5) * count) / tiles));
}

/** First and last of two frames in any order. */
export const ordered = (one, other) => [Math.min(one, other), Math.max(one, other)];

/** The nearest of ascending frames after (1) or before (-1) a frame; undefined if there is none. */
export function nextOf(frames, frame, step) {
  return step > 0 ? frames.find((one) => one > frame) : frames.findLast((one) => one < frame);
}

/** The name of a frame in the plate's own numbering. */
export function plateNumber(source, frame) {
  return String(source.first_number + frame).padStart(source.digits, "0");
}
