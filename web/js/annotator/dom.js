// Making elements.

/** An element: properties, then children; `on` has listeners, `data` and `aria` attributes. */
export function el(tag, { on = {}, aria = {}, data = {}, style, role, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [type, run] of Object.entries(on)) element.addEventListener(type, run);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  Object.assign(element.dataset, data);
  if (role) element.setAttribute("role", role);
  if (style) element.style.cssText = style;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Strokes of 16 x 16 pictures. */
const PATHS = {
  brush: "M13.5 2.5 7 9M7 9c-2 0-3 1-3 2.6 0 1-.8 1.6-2 1.9 3 1 6.3 .2 6.3-2.5C8.3 10 7.8 9.3 7 9",
  erase: "M9.5 2.5 14 7l-6.5 6.5H4.5L2 11zM5.5 6.5 10 11M7.5 13.5H14",
  polygon: "M3 5.5 8.5 2.5 13.5 6.5 11.5 13 4.5 12.5ZM3 5.5h.01M8.5 2.5h.01M13.5 6.5h.01M11.5 13h.01M4.5 12.5h.01",
  fill: "M7 2 2.5 7.5 7.5 12.5 12.5 7 7 2M2.5 7.5h10M14 10.5c.8 1.2.8 2.5 0 2.5s-.8-1.3 0-2.5",
  smart: "M2 14 9.5 6.5M11 1.5v3M9.5 3h3M13.5 7v2.5M12.3 8.2h2.5M5.5 2v2M4.5 3h2",
  undo: "M3 6.5h7a3.5 3.5 0 0 1 0 7H7M3 6.5 6 3.5M3 6.5l3 3",
  redo: "M13 6.5H6a3.5 3.5 0 0 0 0 7h3M13 6.5l-3-3M13 6.5l-3 3",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  large: "M9 2.5h4.5V7M13.5 2.5 9 7M7 13.5H2.5V9M2.5 13.5 7 9",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  plate: "M2 3.5h12v9H2zM2 10l3.5-3 3 2.5 2-1.5L14 11M11 6h.01",
  first: "M4 3v10M13 3.5 6.5 8l6.5 4.5z",
  last: "M12 3v10M3 3.5 9.5 8 3 12.5z",
  previous: "M10.5 3.5 5 8l5.5 4.5",
  next: "M5.5 3.5 11 8l-5.5 4.5",
  play: "M4.5 3 12.5 8l-8 5z",
  pause: "M5 3v10M11 3v10",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
  eyeOff: "M2.5 2.5l11 11M6 4c4.5-1.5 8.5 4 8.5 4s-.7 1.3-2 2.5M4 5C2.4 6.3 1.5 8 1.5 8S4 12.5 8 12.5c.7 0 1.4-.1 2-.4",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  unlock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 4.8-1",
  add: "M8 3v10M3 8h10",
  rename: "M3 13l.7-3L10.5 3.2 12.8 5.5 6 12.3zM9 4.7 11.3 7",
  up: "M8 13V3.5M4 7.5l4-4 4 4",
  down: "M8 3v9.5M4 8.5l4 4 4-4",
  delete: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4",
  notHere: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 4.2l7.6 7.6",
  accept: "M3 8.5 6.5 12 13 4.5",
  forget: "M4 4l8 8M12 4l-8 8M2 14h12",
  range: "M3 3v10M13 3v10M3 8h10M5.5 5.5 3 8l2.5 2.5M10.5 5.5 13 8l-2.5 2.5",
  markIn: "M9 3H5v10h4M5 8h7",
  markOut: "M7 3h4v10H7M11 8H4",
  propagate: "M2 8h9M8 4.5 11.5 8 8 11.5M14 3v10",
  suggest: "M8 2a4 4 0 0 0-2.3 7.3V11h4.6V9.3A4 4 0 0 0 8 2M6.3 13.5h3.4",
  save: "M3 2.5h8L13.5 5v8.5H3zM5.5 2.5v4h5v-4M5.5 13.5V9.5h5.5v4",
  matte: "M2 3.5h12v9H2zM8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
  folder: "M2 4.5v8h12V5.5H8L6.5 3.5H2z",
  down2: "M4 6l4 4 4-4",
};

/** A drawn symbol; it says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with a symbol, a name, and, where `text` is true, the name in sight. */
export function button(symbol, name, run, { text = false, key = "", className = "" } = {}) {
  const title = key ? `${name}  ·  ${key}` : name;
  const children = [symbol && icon(symbol), text && el("span", {}, name)].filter(Boolean);
  return el("button", { type: "button", className, title, aria: { label: name }, on: { click: run } }, ...children);
}

/** Replaces the symbol of a button. */
export function setIcon(element, name) {
  if (element.dataset.icon === name) return;
  element.dataset.icon = name;
  element.querySelector("svg")?.replaceWith(icon(name));
}

/** Marks a button as pressed or not. */
export const press = (element, isPressed) => element.setAttribute("aria-pressed", String(isPressed));
