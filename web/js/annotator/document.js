// The document: objects, and what was said about them. It never changes; each edit makes a new one.
//
// { objects: [{ id, name, color, locked, visible }], annotations: { frame: { mask, objects, absent } },
//   absentRanges: [{ object, first, last }], range: [first, last] or null }
// `objects` of an annotation are those it speaks of: one that is in neither list is predicted there.
import { COLORS } from "./colors.js";
import { Mask } from "./mask.js";

export const LARGEST_ID = 254;
export const EMPTY = Object.freeze({ objects: [], annotations: {}, absentRanges: [], range: null });

export const objectOf = (document, id) => document.objects.find((one) => one.id === id);
export const annotationAt = (document, frame) => document.annotations[frame];
export const annotatedFrames = (document) => Object.keys(document.annotations).map(Number).sort((a, b) => a - b);
export const lockedIds = (document) => document.objects.filter((one) => one.locked).map((one) => one.id);
export const hiddenIds = (document) => document.objects.filter((one) => !one.visible).map((one) => one.id);
export const says = (document, frame, id) => !!annotationAt(document, frame)?.objects.includes(id);

/** Whether an object is said to be absent on a frame, there alone or in a range. */
export function isAbsent(document, frame, id) {
  if (annotationAt(document, frame)?.absent.includes(id)) return true;
  const inside = (one) => one.object === id && one.first <= frame && frame <= one.last;
  return !says(document, frame, id) && document.absentRanges.some(inside);
}

/** Whether everything about a frame is said, so that nothing is left to predict. */
export const isWhole = (document, frame) => document.objects.length > 0
  && document.objects.every(({ id }) => says(document, frame, id) || isAbsent(document, frame, id));

/** A new object with the next free id and color; null where all ids are taken. */
export function withObject(document, nameOf) {
  const taken = new Set(document.objects.map((one) => one.id));
  let id = 1;
  while (taken.has(id)) id++;
  if (id > LARGEST_ID) return null;
  const color = COLORS[(id - 1) % COLORS.length];
  const object = { id, name: nameOf(id), color, locked: false, visible: true };
  return { document: { ...document, objects: [...document.objects, object] }, object };
}

/** An object with some of { name, color, locked, visible } changed. */
export function withChange(document, id, change) {
  const objects = document.objects.map((one) => (one.id === id ? { ...one, ...change } : one));
  return { ...document, objects };
}

/** An object moved up (-1) or down (1) in the list. */
export function withMoved(document, id, step) {
  const objects = [...document.objects];
  const from = objects.findIndex((one) => one.id === id);
  const to = Math.min(objects.length - 1, Math.max(0, from + step));
  objects.splice(to, 0, ...objects.splice(from, 1));
  return { ...document, objects };
}

/** Frames that say something of an object. */
export const framesSaying = (document, id) => annotatedFrames(document)
  .filter((frame) => says(document, frame, id) || annotationAt(document, frame).absent.includes(id));

function withEntry(document, frame, entry) {
  const annotations = { ...document.annotations };
  if (entry.objects.length || entry.absent.length) annotations[frame] = entry;
  else delete annotations[frame];
  return { ...document, annotations };
}

const sorted = (ids) => [...new Set(ids)].sort((a, b) => a - b);

/** The ranges of an object without one frame or more. */
function rangesWithout(ranges, id, first, last) {
  return ranges.flatMap((one) => {
    if (one.object !== id || one.last < first || last < one.first) return [one];
    return [{ ...one, last: first - 1 }, { ...one, first: last + 1 }].filter((part) => part.first <= part.last);
  });
}

/** A painted frame: `said` are the objects that the mask speaks of. */
export function withPaint(document, frame, mask, said) {
  const absent = (annotationAt(document, frame)?.absent ?? []).filter((id) => !said.includes(id));
  const absentRanges = said.reduce((ranges, id) => rangesWithout(ranges, id, frame, frame), document.absentRanges);
  return withEntry({ ...document, absentRanges }, frame, { mask, objects: sorted(said), absent });
}

/** Whether the file of a mask that the document needs is lost: until it is back nothing can be computed. */
export const hasLostMask = (document) => Object.values(document.annotations).some(({ mask }) => mask?.isLost);

/** A document without what the mask of a frame said, which is lost; what is said to be absent stays. */
export function withoutMask(document, frame) {
  return withEntry(document, frame, { mask: null, objects: [], absent: annotationAt(document, frame).absent });
}

/** An object said to be absent on a frame; `mask` is the frame's mask without it. */
export function withAbsence(document, frame, id, mask) {
  const old = annotationAt(document, frame) ?? { objects: [], absent: [] };
  const objects = old.objects.filter((one) => one !== id);
  return withEntry(document, frame, { mask, objects, absent: sorted([...old.absent, id]) });
}

/** Nothing said of an object on a frame any more; `mask` is the frame's mask without it. */
export function withoutSaying(document, frame, id, mask) {
  const absentRanges = rangesWithout(document.absentRanges, id, frame, frame);
  const old = annotationAt(document, frame);
  if (!old) return { ...document, absentRanges };
  const without = (ids) => ids.filter((one) => one !== id);
  const entry = { mask, objects: without(old.objects), absent: without(old.absent) };
  return withEntry({ ...document, absentRanges }, frame, entry);
}

/** An object said to be absent on the frames first..last; ranges that touch become one. */
export function withAbsentRange(document, id, first, last) {
  const touches = (one) => one.object === id && one.first <= last + 1 && first <= one.last + 1;
  const merged = document.absentRanges.filter(touches);
  const range = {
    object: id,
    first: Math.min(first, ...merged.map((one) => one.first)),
    last: Math.max(last, ...merged.map((one) => one.last)),
  };
  const others = document.absentRanges.filter((one) => !touches(one));
  const order = (a, b) => a.object - b.object || a.first - b.first;
  return { ...document, absentRanges: [...others, range].sort(order) };
}

/** No absence of an object on the frames first..last. */
export function withoutAbsentRange(document, id, first, last) {
  return { ...document, absentRanges: rangesWithout(document.absentRanges, id, first, last) };
}

/** First and last frame to propagate, null for the whole shot. */
export const withRange = (document, range) => ({ ...document, range });

/** A document without an object; `maskWithout(mask)` gives a frame's mask without it. */
export function withoutObject(document, id, maskWithout) {
  let result = { ...document, objects: document.objects.filter((one) => one.id !== id) };
  for (const frame of framesSaying(document, id)) {
    const { mask, objects } = annotationAt(document, frame);
    result = withoutSaying(result, frame, id, objects.includes(id) ? maskWithout(mask) : mask);
  }
  return { ...result, absentRanges: result.absentRanges.filter((one) => one.object !== id) };
}

/** What decides an answer: two documents with the same text have the same masks. */
export function meaning(document, nameOf) {
  const annotations = annotatedFrames(document).map((frame) => {
    const { mask, objects, absent } = annotationAt(document, frame);
    return [frame, objects.length ? nameOf(mask) : "", objects, absent];
  });
  const ids = document.objects.map((one) => one.id).sort((a, b) => a - b);
  return JSON.stringify([ids, annotations, document.absentRanges]);
}

/** As the server keeps it; every mask has its name by then. */
export function toServer(document, source, parent) {
  const annotations = {};
  for (const frame of annotatedFrames(document)) {
    const { mask, objects, absent } = annotationAt(document, frame);
    annotations[frame] = { mask: objects.length ? mask.hash : "", objects, absent };
  }
  const { objects, absentRanges, range } = document;
  return { version: 1, source, parent, objects, annotations, absent_ranges: absentRanges, range };
}

/** From the server's form; `maskOf(hash)` gives the mask of a name. */
export function fromServer(stored, maskOf = Mask.named) {
  const annotations = {};
  for (const [frame, { mask, objects, absent }] of Object.entries(stored.annotations))
    annotations[frame] = { mask: objects.length ? maskOf(mask) : null, objects, absent };
  return { objects: stored.objects, annotations, absentRanges: stored.absent_ranges, range: stored.range ?? null };
}
