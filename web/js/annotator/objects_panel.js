// The list of objects, and what is said of the active one on this frame.
import { annotationAt, framesSaying, isAbsent, objectOf, says } from "./document.js";
import { button, el, press } from "./dom.js";

/** Dark or light letters on a color. */
function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 120 ? "#000" : "#fff";
}

/** A panel for a studio. */
export class ObjectsPanel {
  #renaming = 0;
  #asking = 0;

  constructor(studio, t) {
    Object.assign(this, { studio, t });
    this.list = el("ul", { className: "objects", aria: { label: t("objects") } });
    this.question = el("div", { className: "ask", role: "alertdialog", hidden: true });
    const run = (name, symbol, act, key) => button(symbol, t(name), act, { key });
    this.buttons = {
      add: run("add", "add", () => studio.addObject()),
      rename: run("rename", "rename", () => this.#rename(studio.activeId)),
      up: run("up", "up", () => studio.moveObject(studio.activeId, -1)),
      down: run("down", "down", () => studio.moveObject(studio.activeId, 1)),
      delete: run("delete", "delete", () => this.#ask(studio.activeId)),
    };
    this.frameButtons = {
      accept: button("accept", t("accept"), () => studio.accept(), { key: "Enter", text: true, className: "plain" }),
      notHere: button("notHere", t("notHere"), () => studio.toggleAbsent(), { key: "A", text: true, className: "plain" }),
      forget: button("forget", t("forget"), () => studio.forget(), { text: true, className: "plain" }),
    };
    this.root = el("div", { className: "panel" },
      el("h4", {}, t("objects")),
      el("div", { className: "row", role: "group", aria: { label: t("objects") } }, ...Object.values(this.buttons)),
      this.list, this.question,
      el("h4", {}, t("onThisFrame")),
      ...Object.values(this.frameButtons));
  }

  update() {
    const { studio } = this;
    const { document, activeId } = studio;
    const hasFocus = this.list.contains(window.document.activeElement);
    const focused = hasFocus && window.document.activeElement.dataset.key;
    this.list.replaceChildren(...document.objects.map((object, i) => this.#row(object, i)));
    if (!document.objects.length) this.list.append(el("li", { className: "empty" }, this.t("noObjects")));
    if (focused) this.list.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
    for (const [name, one] of Object.entries(this.buttons)) one.disabled = name !== "add" && !activeId;
    const isHere = !!studio.source && !!activeId;
    press(this.frameButtons.notHere, isHere && isAbsent(document, studio.frame, activeId));
    this.frameButtons.notHere.disabled = !isHere;
    this.frameButtons.accept.disabled = !studio.source;
    this.frameButtons.forget.disabled = !isHere
      || !(says(document, studio.frame, activeId) || isAbsent(document, studio.frame, activeId));
    if (this.#asking && !objectOf(document, this.#asking)) this.#close();
  }

  #row(object, place) {
    const { studio, t } = this;
    const { id, name, color, visible, locked } = object;
    const isActive = id === studio.activeId;
    const swatch = el("span", { className: "swatch", style: `background:${color};color:${inkOn(color)}` }, String(id));
    const label = this.#renaming === id ? this.#field(object) : el("button", {
      type: "button", className: "name", title: place < 9 ? `${name}  ·  ${place + 1}` : name, data: { key: `name${id}` },
      aria: { pressed: String(isActive), label: t("objectLabel", { name, id, said: this.#saidText(id) }) },
      on: { click: () => studio.select(id), dblclick: () => this.#rename(id) },
    }, el("span", {}, name));
    const eye = button(visible ? "eye" : "eyeOff", t(visible ? "hide" : "show"), () => studio.changeObject(id, { visible: !visible }));
    const lock = button(locked ? "lock" : "unlock", t(locked ? "unlock" : "lock"), () => studio.changeObject(id, { locked: !locked }));
    eye.dataset.key = `eye${id}`;
    lock.dataset.key = `lock${id}`;
    eye.style.opacity = visible ? "" : "0.5";
    lock.style.opacity = locked ? "" : "0.4";
    const told = el("span", { className: "said", title: this.#saidText(id) }, this.#saidSign(id));
    return el("li", { className: isActive ? "active" : "", on: { click: (event) => event.target.localName === "li" && studio.select(id) } },
      swatch, label, told, eye, lock);
  }

  #saidSign(id) {
    const { document, frame } = this.studio;
    return isAbsent(document, frame, id) ? "∅" : annotationAt(document, frame)?.objects.includes(id) ? "◆" : "";
  }

  #saidText(id) {
    const sign = this.#saidSign(id);
    return this.t(sign === "∅" ? "saidAbsent" : sign ? "saidHere" : "saidNothing");
  }

  #field({ id, name }) {
    const { studio } = this;
    const keep = () => {
      if (this.#renaming !== id) return;
      this.#renaming = 0;
      const text = field.value.trim().slice(0, 200);
      if (text && text !== name) studio.changeObject(id, { name: text });
      else this.update();
    };
    const keys = (event) => {
      if (event.key === "Escape") field.value = name;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      keep();
      this.#handBack();
    };
    const field = el("input", { type: "text", value: name, maxLength: 200, aria: { label: this.t("rename") }, on: { blur: keep, keydown: keys } });
    return field;
  }

  #rename(id) {
    this.#renaming = id;
    this.update();
    const field = this.list.querySelector("input[type=text]");
    field?.focus({ preventScroll: true });
    field?.select();
  }

  #ask(id) {
    const { t, studio } = this;
    const object = objectOf(studio.document, id);
    if (!object) return;
    this.#asking = id;
    const remove = button(null, t("delete"), () => { this.#close(); studio.deleteObject(id); }, { text: true, className: "danger" });
    const keep = button(null, t("keep"), () => this.#close(), { text: true, className: "plain" });
    const count = framesSaying(studio.document, id).length;
    this.question.replaceChildren(el("p", {}, t("deleteQuestion", { name: object.name, count })),
      el("div", { className: "row" }, remove, keep));
    this.question.hidden = false;
    keep.focus({ preventScroll: true });
  }

  #close() {
    const hadKeyboard = this.question.contains(window.document.activeElement);
    this.#asking = 0;
    this.question.hidden = true;
    if (hadKeyboard) this.#handBack();
  }

  /** Asks for another place for the keyboard: what had it goes. */
  #handBack() {
    this.list.dispatchEvent(new Event("handback", { bubbles: true }));
  }
}
