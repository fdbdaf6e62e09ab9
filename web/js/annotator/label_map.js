// Label maps: one byte a pixel, the number of the object there, 0 where there is none.
//
// A map that is painted on is { width, height, pixels: Uint8Array }. Painting asks a table of 256
// entries which labels may be overwritten, so locked objects and the eraser need no code of their own.
// Edges are stored at one half: a pixel is painted where its center lies inside the shape.

/** Nothing is said of a pixel with this label. */
export const VOID = 255;

/** An empty map. */
export function emptyMap(width, height) {
  return { width, height, pixels: new Uint8Array(width * height) };
}

/** Labels that paint may replace: all but those of locked objects. */
export function writableUnder(locked) {
  const table = new Uint8Array(256).fill(1);
  for (const id of locked) table[id] = 0;
  return table;
}

/** Labels that the eraser of one object may replace: its own. */
export function writableByEraser(id) {
  const table = new Uint8Array(256);
  table[id] = 1;
  return table;
}

/** The smallest rectangle around two; null is the empty one. */
export function union(one, other) {
  if (!one || !other) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

/** A rectangle, whole pixels, right and bottom exclusive, inside the map; null where nothing is left. */
function clipped(map, left, top, right, bottom) {
  const rect = {
    left: Math.max(0, Math.floor(left)),
    top: Math.max(0, Math.floor(top)),
    right: Math.min(map.width, Math.ceil(right)),
    bottom: Math.min(map.height, Math.ceil(bottom)),
  };
  return rect.left < rect.right && rect.top < rect.bottom ? rect : null;
}

/**
 * Paints the segment between two dabs, each { x, y, radius } in pixels: a capsule, which is a cone
 * where pen pressure changed the radius. Returns the rectangle that may have changed, or null.
 */
export function paintSegment(map, from, to, label, writable) {
  const reach = Math.max(from.radius, to.radius);
  const rect = clipped(map, Math.min(from.x, to.x) - reach, Math.min(from.y, to.y) - reach,
    Math.max(from.x, to.x) + reach + 1, Math.max(from.y, to.y) + reach + 1);
  if (!rect) return null;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length2 = dx * dx + dy * dy;
  for (let row = rect.top; row < rect.bottom; row++) {
    const y = row + 0.5 - from.y;
    let place = row * map.width + rect.left;
    for (let column = rect.left; column < rect.right; column++, place++) {
      const x = column + 0.5 - from.x;
      const along = length2 ? Math.min(1, Math.max(0, (x * dx + y * dy) / length2)) : 0;
      const [offX, offY] = [x - along * dx, y - along * dy];
      const radius = from.radius + along * (to.radius - from.radius);
      if (offX * offX + offY * offY <= radius * radius && writable[map.pixels[place]])
        map.pixels[place] = label;
    }
  }
  return rect;
}

/** Where a row through pixel centers meets the sides of a polygon, from left to right. */
function crossings(points, y) {
  const found = [];
  for (let i = 0; i < points.length; i++) {
    const [x0, y0] = points[i];
    const [x1, y1] = points[(i + 1) % points.length];
    if ((y0 <= y) !== (y1 <= y)) found.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
  }
  return found.sort((one, other) => one - other);
}

/** Fills a polygon, points [[x, y], ...] in pixels, by the even-odd rule. Returns the rectangle changed. */
export function paintPolygon(map, points, label, writable) {
  if (points.length < 3) return null;
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const rect = clipped(map, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  if (!rect) return null;
  for (let row = rect.top; row < rect.bottom; row++) {
    const found = crossings(points, row + 0.5);
    for (let i = 0; i + 1 < found.length; i += 2) {
      const first = Math.max(rect.left, Math.ceil(found[i] - 0.5));
      const end = Math.min(rect.right, Math.ceil(found[i + 1] - 0.5));
      for (let place = row * map.width + first; place < row * map.width + end; place++)
        if (writable[map.pixels[place]]) map.pixels[place] = label;
    }
  }
  return rect;
}

/** Gives the connected area of one label around a pixel another label. Returns the rectangle changed. */
export function floodFill(map, x, y, label, writable) {
  const { width, height, pixels } = map;
  const [startX, startY] = [Math.floor(x), Math.floor(y)];
  if (startX < 0 || startY < 0 || startX >= width || startY >= height) return null;
  const old = pixels[startY * width + startX];
  if (old === label || !writable[old]) return null;
  let rect = null;
  const open = [startY * width + startX];
  while (open.length) {
    const place = open.pop();
    if (pixels[place] !== old) continue;
    const row = Math.floor(place / width);
    let [first, last] = [place, place];
    while (first > row * width && pixels[first - 1] === old) first--;
    while (last < (row + 1) * width - 1 && pixels[last + 1] === old) last++;
    for (let i = first; i <= last; i++) {
      pixels[i] = label;
      if (row > 0 && pixels[i - width] === old) open.push(i - width);
      if (row < height - 1 && pixels[i + width] === old) open.push(i + width);
    }
    rect = union(rect, { left: first - row * width, top: row, right: last - row * width + 1, bottom: row + 1 });
  }
  return rect;
}

/** Writes an object where a mask (0 or not, same size) says so. Returns the rectangle changed. */
export function paintMask(map, mask, label, writable) {
  for (let place = 0; place < map.pixels.length; place++)
    if (mask[place] && writable[map.pixels[place]]) map.pixels[place] = label;
  return { left: 0, top: 0, right: map.width, bottom: map.height };
}

/** Puts one object of another map into this one; pixels of locked objects stay. */
export function takeObject(map, from, id, writable) {
  for (let place = 0; place < map.pixels.length; place++)
    if (from.pixels[place] === id && writable[map.pixels[place]]) map.pixels[place] = id;
}

/** Ids that have a pixel in the map, ascending. */
export function labelsIn(map) {
  const seen = new Uint8Array(256);
  for (const label of map.pixels) seen[label] = 1;
  return [...seen.keys()].filter((label) => label && label !== VOID && seen[label]);
}

/** A map without some objects. */
export function withoutLabels(map, ids) {
  const gone = new Uint8Array(256);
  for (const id of ids) gone[id] = 1;
  return { ...map, pixels: map.pixels.map((label) => (gone[label] ? 0 : label)) };
}

/**
 * What is delivered for an annotated frame: the objects that the annotation speaks of exactly as
 * painted, all others as predicted, beneath the paint.
 */
export function composite(predicted, painted, said) {
  if (!predicted) {
    const pixels = painted.pixels.slice();
    for (let place = pixels.indexOf(VOID); place >= 0; place = pixels.indexOf(VOID, place + 1)) pixels[place] = 0;
    return { ...painted, pixels };
  }
  const isSaid = new Uint8Array(256);
  for (const id of said) isSaid[id] = 1;
  const pixels = new Uint8Array(painted.pixels.length);
  for (let place = 0; place < pixels.length; place++) {
    const [label, paint] = [predicted.pixels[place], painted.pixels[place]];
    pixels[place] = paint === VOID ? label : paint || (isSaid[label] ? 0 : label);
  }
  return { width: painted.width, height: painted.height, pixels };
}

/** The same map at another size, nearest pixel. */
export function resized(map, width, height) {
  if (map.width === width && map.height === height) return map;
  const columns = Uint32Array.from({ length: width }, (_, x) =>
    Math.min(map.width - 1, Math.floor(((x + 0.5) * map.width) / width)));
  const pixels = new Uint8Array(width * height);
  for (let y = 0, place = 0; y < height; y++) {
    const row = Math.min(map.height - 1, Math.floor(((y + 0.5) * map.height) / height)) * map.width;
    for (let x = 0; x < width; x++, place++) pixels[place] = map.pixels[row + columns[x]];
  }
  return { width, height, pixels };
}

/**
 * What an annotation keeps of the picture that was painted on: the pixels of the objects it speaks of.
 * Void pixels of the annotation before stay void where nothing was painted.
 */
export function saidPart(shown, said, before, shownBefore) {
  const isSaid = new Uint8Array(256);
  for (const id of said) isSaid[id] = 1;
  const pixels = new Uint8Array(shown.pixels.length);
  for (let place = 0; place < pixels.length; place++) {
    const label = shown.pixels[place];
    const isVoid = before.pixels[place] === VOID && shownBefore.pixels[place] === label;
    pixels[place] = isVoid ? VOID : isSaid[label] ? label : 0;
  }
  return { width: shown.width, height: shown.height, pixels };
}
