// Tools, undo, how the result is shown, zoom.
import { button, el, press } from "./dom.js";
import { MODES } from "./overlay.js";
import { LARGEST_BRUSH, TOOLS } from "./studio.js";

const KEY = { brush: "B", erase: "X", polygon: "P", fill: "G", smart: "S" };
/** The slider of the brush is finer for small sizes. */
const CURVE = 3;
const toSlider = (pixels) => Math.round(1000 * (pixels / LARGEST_BRUSH) ** (1 / CURVE));
const fromSlider = (value) => Math.max(1, Math.round(LARGEST_BRUSH * (value / 1000) ** CURVE));

/** The upper bar of a view. */
export class Toolbar {
  /**
   * @param run actions by name: undo, redo, fit, actual, help, large (left out in the large view)
   */
  constructor(studio, t, run) {
    Object.assign(this, { studio, t });
    this.tools = new Map(TOOLS.map((name) => [name, button(name, t(`tool.${name}`), () => studio.setTool(name), { key: KEY[name] })]));
    for (const one of this.tools.values()) one.setAttribute("role", "radio");
    this.size = el("input", { type: "range", min: 1, max: 1000, on: { input: () => studio.setBrush(fromSlider(this.size.value)) } });
    this.sizeText = el("output");
    this.undo = button("undo", t("undo"), run.undo, { key: "Ctrl Z" });
    this.redo = button("redo", t("redo"), run.redo, { key: "Ctrl Y" });
    this.mode = el("select", { title: `${t("mode")}  ·  M`, aria: { label: t("mode") }, on: { change: () => studio.setMode(this.mode.value) } },
      ...MODES.map((name) => el("option", { value: name }, t(`mode.${name}`))));
    this.opacity = el("input", { type: "range", min: 0, max: 100, on: { input: () => studio.setOpacity(this.opacity.value / 100) } });
    this.plate = button("plate", t("plate"), () => studio.togglePlate(), { key: "T" });
    const large = run.large && button("large", t("large"), run.large, { text: true, className: "plain" });
    const close = run.close && button("close", t("close"), run.close, { className: "plain" });
    this.root = el("div", { className: "row", role: "toolbar", aria: { label: t("tools") } },
      el("div", { className: "group", role: "radiogroup", aria: { label: t("tools") } }, ...this.tools.values()),
      el("label", { className: "slider", title: `${t("size")}  ·  [ ]` }, el("span", { className: "wide" }, t("size")), this.size, this.sizeText),
      el("div", { className: "group" }, this.undo, this.redo),
      this.mode,
      el("label", { className: "slider", title: t("opacity") }, el("span", { className: "wide" }, t("opacity")), this.opacity),
      this.plate,
      el("div", { className: "group" }, button("fit", t("fit"), run.fit, { key: "F" }), this.#actual(run.actual)),
      el("span", { className: "spring" }),
      this.#help(run.help), large, close);
  }

  #text(words, name, run, key) {
    const one = button(null, name, run, { key });
    one.textContent = words;
    return one;
  }

  #actual = (run) => this.#text("1:1", this.t("actual"), run, "Z");

  #help = (run) => this.#text("?", this.t("help"), run, "?");

  update() {
    const { studio } = this;
    for (const [name, one] of this.tools) {
      one.setAttribute("aria-checked", String(name === studio.tool));
      one.tabIndex = name === studio.tool ? 0 : -1;
    }
    this.size.value = toSlider(studio.brush);
    this.sizeText.textContent = String(Math.round(studio.brush));
    this.undo.disabled = !studio.history.canUndo;
    this.redo.disabled = !studio.history.canRedo;
    this.mode.value = studio.mode;
    this.opacity.value = Math.round(100 * studio.opacity);
    press(this.plate, !studio.showsResult);
  }
}
