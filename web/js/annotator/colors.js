// Colors of objects that are told apart with any color vision (Okabe and Ito 2008, then Tol's bright
// and muted sets), in the order in which objects take them. Outline and number say the same again.
export const COLORS = [
  "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
  "#ee6677", "#66ccee", "#ccbb44", "#aa3377", "#88ccee", "#44aa99", "#999933",
];

/** [red, green, blue], 0..255, of "#rrggbb". */
export function rgb(color) {
  const number = parseInt(color.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
