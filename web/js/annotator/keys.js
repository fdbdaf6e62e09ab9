// The keys of the annotator: which action a key press means, and the list that "?" shows.

/** [action, keys as written in the help]; words.js has a line for each action. */
export const KEYS = [
  ["previous", "←"], ["next", "→"], ["back10", "Shift ←"], ["forward10", "Shift →"],
  ["first", "Home"], ["last", "End"], ["previousAnnotated", ","], ["nextAnnotated", "."],
  ["nextProposal", "N"], ["play", "Space"],
  ["brush", "B"], ["polygon", "P"], ["fill", "G"], ["smart", "S"], ["erase", "X"],
  ["smaller", "["], ["larger", "]"], ["object", "1 … 9"],
  ["notHere", "A"], ["accept", "Enter"], ["drop", "Esc"],
  ["undo", "Ctrl Z"], ["redo", "Ctrl Y"],
  ["markIn", "I"], ["markOut", "O"], ["fit", "F"], ["actual", "Z"], ["plate", "T"],
  ["mode", "M"], ["propagate", "Ctrl Enter"], ["help", "?"],
];

const PLAIN = {
  Home: "first", End: "last", ",": "previousAnnotated", ".": "nextAnnotated", n: "nextProposal", " ": "play",
  b: "brush", p: "polygon", g: "fill", s: "smart", x: "erase", "[": "smaller", "]": "larger", a: "notHere",
  Enter: "accept", Escape: "drop", i: "markIn", o: "markOut", f: "fit", z: "actual", t: "plate", m: "mode",
  "?": "help",
};
const SHIFTED = { ArrowLeft: "back10", ArrowRight: "forward10" };
const ARROWS = { ArrowLeft: "previous", ArrowRight: "next" };

/** { action, object } of a key press, or null where the annotator has no use for it. */
export function actionOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  if (altKey) return null;
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) {
    if (name === "z") return { action: shiftKey ? "redo" : "undo" };
    if (name === "y") return { action: "redo" };
    return name === "Enter" ? { action: "propagate" } : null;
  }
  if (/^[1-9]$/.test(name)) return { action: "object", object: Number(name) };
  const action = (shiftKey ? SHIFTED[name] : ARROWS[name]) ?? PLAIN[name];
  return action ? { action } : null;
}
