// Label maps as colors: what is drawn over the plate. Pixels are RGBA, not premultiplied.

export const MODES = ["overlay", "outline", "matte"];
const VOID = 255;

/** [r, g, b] by label, and whether the label is drawn. */
export function palette(objects, rgb) {
  const table = { colors: new Uint8Array(256 * 3), isDrawn: new Uint8Array(256) };
  for (const { id, color, visible } of objects) {
    table.colors.set(rgb(color), id * 3);
    table.isDrawn[id] = visible ? 1 : 0;
  }
  table.isDrawn[VOID] = 0;
  return table;
}

/**
 * Whether a pixel is at the edge of its object: another label lies within `reach` pixels beside,
 * above or below it. The border of the picture is no edge.
 */
function isEdge({ width, height, pixels }, x, y, place, reach) {
  const label = pixels[place];
  return (x >= reach && pixels[place - reach] !== label) || (x + reach < width && pixels[place + reach] !== label)
    || (y >= reach && pixels[place - reach * width] !== label)
    || (y + reach < height && pixels[place + reach * width] !== label);
}

/**
 * Colors of a rectangle of a map.
 *
 * @param map the label map
 * @param rect { left, top, right, bottom } in pixels
 * @param table from palette()
 * @param style { mode, opacity 0..1, reach: width of the outline in pixels, isDashed(label), active }
 * @returns Uint8ClampedArray of RGBA
 */
export function colored(map, rect, table, style) {
  const width = rect.right - rect.left;
  const data = new Uint8ClampedArray(width * (rect.bottom - rect.top) * 4);
  const fill = Math.round(255 * style.opacity);
  const dash = 4 * style.reach;
  for (let y = rect.top, out = 0; y < rect.bottom; y++) {
    let place = y * map.width + rect.left;
    for (let x = rect.left; x < rect.right; x++, place++, out += 4) {
      const label = map.pixels[place];
      if (style.mode === "matte") {
        const value = label && table.isDrawn[label] && (!style.active || label === style.active) ? 255 : 0;
        data[out] = data[out + 1] = data[out + 2] = value;
        data[out + 3] = 255;
      } else if (label && table.isDrawn[label]) {
        const isLine = isEdge(map, x, y, place, style.reach);
        const isGap = isLine && style.isDashed[label] && Math.floor((x + y) / dash) % 2;
        data[out] = table.colors[label * 3];
        data[out + 1] = table.colors[label * 3 + 1];
        data[out + 2] = table.colors[label * 3 + 2];
        if (isLine && !isGap) data[out + 3] = 255;
        else data[out + 3] = style.mode === "outline" ? 0 : fill;
      }
    }
  }
  return data;
}
