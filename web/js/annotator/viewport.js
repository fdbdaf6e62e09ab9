// Where the picture lies in the view: screen = picture * scale + offset, in pixels of the view.

export const LARGEST_SCALE = 32;

/** The picture as large as fits, in the middle. */
export function fit(picture, view) {
  const scale = Math.min(view.width / picture.width, view.height / picture.height);
  return at(picture, view, Number.isFinite(scale) && scale > 0 ? scale : 1);
}

/** The picture in the middle at a scale. */
export function at(picture, view, scale) {
  return { scale, x: (view.width - picture.width * scale) / 2, y: (view.height - picture.height * scale) / 2 };
}

/** Zoomed by a factor about a point of the view, which stays where it is. */
export function zoomed(viewport, factor, x, y, smallest) {
  const scale = Math.min(LARGEST_SCALE, Math.max(smallest, viewport.scale * factor));
  const ratio = scale / viewport.scale;
  return { scale, x: x - (x - viewport.x) * ratio, y: y - (y - viewport.y) * ratio };
}

/** Moved; a corner of the picture stays in sight. */
export function panned(viewport, dx, dy, picture, view) {
  const margin = 40;
  const hold = (value, size, space) => Math.min(space - margin, Math.max(margin - size, value));
  return {
    scale: viewport.scale,
    x: hold(viewport.x + dx, picture.width * viewport.scale, view.width),
    y: hold(viewport.y + dy, picture.height * viewport.scale, view.height),
  };
}

/** Point of the picture under a point of the view. */
export function toPicture(viewport, x, y) {
  return [(x - viewport.x) / viewport.scale, (y - viewport.y) / viewport.scale];
}
