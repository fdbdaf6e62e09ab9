// Below the picture: through the frames, in and out, absence over a range, the pass and what goes with it.
import { button, el, press, setIcon } from "./dom.js";
import { annotatedFrames } from "./document.js";

/** The lower bars of a view. */
export class Transport {
  /** @param run actions by name, as keys.js names them */
  constructor({ studio, answers, timeline, t, run }) {
    Object.assign(this, { studio, answers, timeline, t });
    const go = (symbol, name, key) => button(symbol, t(name), run[name], { key });
    this.play = go("play", "play", "Space");
    this.ranging = button("range", t("notHereRange"), () => this.#toggleRanging(), { key: "Shift + drag" });
    this.move = el("div", { className: "row", role: "toolbar", aria: { label: t("frames") } },
      el("div", { className: "group" }, go("first", "first", "Home"), go("previous", "previous", "←"), this.play,
        go("next", "next", "→"), go("last", "last", "End")),
      el("div", { className: "group" }, this.#text("◆ ‹", "previousAnnotated", run, ","), this.#text("› ◆", "nextAnnotated", run, ".")),
      el("div", { className: "group" }, go("markIn", "markIn", "I"), go("markOut", "markOut", "O"),
        this.clear = button("close", t("clearRange"), () => studio.setRange(null))),
      this.ranging,
      el("span", { className: "spring" }));
  }

  #text(words, name, run, key) {
    const one = button(null, this.t(name), run[name], { key });
    one.textContent = words;
    return one;
  }

  #toggleRanging() {
    this.timeline.isRanging = !this.timeline.isRanging;
    if (this.timeline.isRanging) this.studio.tell("dragRange");
    this.update();
    this.timeline.focus();
  }

  update() {
    const { studio } = this;
    setIcon(this.play, studio.isPlaying ? "pause" : "play");
    press(this.ranging, this.timeline.isRanging);
    this.ranging.disabled = !studio.activeId;
    this.clear.disabled = !studio.document.range;
    for (const one of this.move.querySelectorAll("button"))
      if (![this.ranging, this.clear].includes(one)) one.disabled = !studio.source;
  }
}

/** A button that opens a list; it closes on a choice, Escape, or a press elsewhere. */
export class Menu {
  /** @param fill () => the elements of the list, made at each opening */
  constructor({ symbol, name, fill, atStart = false }) {
    this.fill = fill;
    this.button = button(symbol, name, () => this.toggle(), { text: true, className: "plain" });
    this.button.setAttribute("aria-expanded", "false");
    this.list = el("div", { className: atStart ? "list start" : "list", hidden: true });
    this.root = el("div", { className: "menu", on: { keydown: (event) => this.#key(event) } }, this.button, this.list);
    this.root.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.root.contains(event.relatedTarget)) this.close();
    });
  }

  toggle() {
    if (!this.list.hidden) return this.close();
    this.list.replaceChildren(...this.fill(this));
    this.list.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    return this.list.querySelector("button, input, select")?.focus({ preventScroll: true });
  }

  /** Fills the open list anew. */
  refill() {
    if (!this.list.hidden) this.list.replaceChildren(...this.fill(this));
  }

  /** Closes; where the list had the keyboard, "handback" asks for another place for it. */
  close() {
    const hadKeyboard = this.list.contains(document.activeElement);
    this.list.hidden = true;
    if (hadKeyboard) this.root.dispatchEvent(new Event("handback", { bubbles: true }));
    this.button.setAttribute("aria-expanded", "false");
  }

  #key(event) {
    if (event.key !== "Escape" || this.list.hidden) return;
    event.stopPropagation();
    event.preventDefault();
    this.close();
    this.button.focus({ preventScroll: true });
  }
}

/** Propagate, adapt, suggest, save, export. */
export class Actions {
  /**
   * @param project the project menu's fill, see project_menu.js
   * @param exportMattes () => puts the export node into the graph
   */
  constructor({ studio, answers, t, project, save, exportMattes }) {
    Object.assign(this, { studio, answers, t });
    const choose = (menu, symbol, name, act) => button(symbol, name, () => { menu.close(); act(); }, { text: true });
    this.run = button("propagate", t("propagate"), () => answers.propagate("whole"), { key: "Ctrl Enter", text: true, className: "main" });
    this.parts = new Menu({ symbol: "down2", name: t("propagateParts"), atStart: true, fill: (menu) => [
      choose(menu, "propagate", t("part.whole"), () => answers.propagate("whole")),
      studio.document.range && choose(menu, "range", t("part.range"), () => answers.propagate("range")),
      choose(menu, "next", t("part.here"), () => answers.propagate("here")),
      el("label", {}, el("span", {}, t("direction")), this.#direction()),
    ].filter(Boolean) });
    this.parts.button.querySelector("span").remove();
    this.adapt = button(null, t("adapt"), () => answers.adapt(), { text: true, className: "plain" });
    this.adapt.setAttribute("role", "switch");
    this.cancel = button("close", t("cancel"), () => answers.cancel(), { text: true, className: "danger" });
    this.suggest = new Menu({ symbol: "suggest", name: t("suggest"), fill: (menu) => this.#suggestions(menu, choose) });
    this.save = new Menu({ symbol: "save", name: t("save"), fill: save });
    this.mattes = button("matte", t("exportMattes"), exportMattes, { text: true, className: "plain" });
    this.project = new Menu({ symbol: "folder", name: t("project"), fill: project });
    this.progress = el("progress", { max: 1, aria: { label: t("progress") } });
    this.root = el("div", { className: "row actions", role: "toolbar", aria: { label: t("work") } },
      this.run, this.parts.root, this.cancel, this.adapt, this.progress, el("span", { className: "spring" }),
      this.suggest.root, this.save.root, this.mattes, this.project.root);
  }

  #direction() {
    const { answers, t } = this;
    const names = ["outward", "bidirectional", "forward", "independent"];
    const select = el("select", { on: { change: () => { answers.direction = select.value; } } },
      ...names.map((value) => el("option", { value, selected: value === answers.direction }, t(`direction.${value}`))));
    return select;
  }

  #suggestions(menu, choose) {
    const { answers, studio, t } = this;
    const found = answers.candidates.map(({ frame, why }) =>
      choose(menu, null, `${t("frameNumber", { number: studio.numberOf(frame) })}: ${why}`, () => studio.show(frame)));
    return [
      choose(menu, "suggest", t("suggest.keys"), () => answers.suggest("keys")),
      choose(menu, "suggest", t("suggest.uncertainty"), () => answers.suggest("uncertainty")),
      ...found,
    ];
  }

  update() {
    const { studio, answers, t } = this;
    const { work } = answers;
    const isReady = !!studio.source && annotatedFrames(studio.document).length > 0;
    this.run.disabled = this.parts.button.disabled = !isReady || !!work;
    this.run.hidden = this.parts.root.hidden = !!work;
    this.cancel.hidden = !work;
    this.adapt.disabled = !isReady || !!work;
    this.adapt.setAttribute("aria-checked", String(studio.adapted));
    this.suggest.button.disabled = !isReady || !!work;
    this.save.button.disabled = this.mattes.disabled = !annotatedFrames(studio.document).length;
    this.progress.hidden = !work;
    if (work?.total && work.done) Object.assign(this.progress, { max: work.total, value: Math.min(work.done, work.total) });
    else this.progress.removeAttribute("value");
    this.words = work ? t(`work.${work.state}.${work.kind}`, work) : "";
  }
}
