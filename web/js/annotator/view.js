// A view of a studio: in the node, or large in a dialog. Both are made of the same parts.
import { annotatedFrames } from "./document.js";
import { button, el } from "./dom.js";
import { actionOf, KEYS } from "./keys.js";
import { ObjectsPanel } from "./objects_panel.js";
import { ProjectMenu } from "./project_menu.js";
import { Stage } from "./stage.js";
import { Strokes } from "./strokes.js";
import { Timeline } from "./timeline.js";
import { Toolbar } from "./toolbar.js";
import { Actions, Transport } from "./transport.js";

const STOPPED = ["pointerdown", "pointermove", "pointerup", "mousedown", "mouseup", "wheel", "keydown", "keyup", "keypress",
  "copy", "cut", "paste", "contextmenu", "dblclick", "click", "dragstart"];
const BRUSH_STEP = 1.2;
const EVENTS = ["source", "frame", "document", "picture", "strip", "tool", "result", "work", "message", "saved", "stroke", "strokeEnd"];

/** Whether an element can have the keyboard; without checkVisibility(), which lays out the page. */
const isUsable = (element) => element.isConnected && !element.disabled && !element.closest("[hidden]");

/** One view; `start` and `stop` may be called again and again. */
export class View {
  #listening = null;
  #updating = 0;
  /** What has the keyboard, or had it until it went. */
  #focused = null;

  /**
   * @param shared { studio, answers, player, server, t, language, exportMattes }
   * @param openLarge opens the large view; left out in the large view itself
   * @param close closes the large view
   */
  constructor(shared, { openLarge, close } = {}) {
    Object.assign(this, shared);
    const { studio, answers, t } = this;
    const run = this.#runs({ openLarge, close });
    this.run = run;
    const canvas = el("canvas", { role: "img", aria: { label: t("picture") } });
    this.stage = new Stage(canvas, studio, answers);
    this.timeline = new Timeline(studio, answers, t);
    this.strokes = new Strokes({ stage: this.stage, studio, server: this.server, onPress: () => this.timeline.focus() });
    this.toolbar = new Toolbar(studio, t, run);
    this.panel = new ObjectsPanel(studio, t);
    this.transport = new Transport({ studio, answers, timeline: this.timeline, t, run });
    const menu = new ProjectMenu(studio, this.server, t);
    this.actions = new Actions({ studio, answers, t, project: menu.fillProject, save: menu.fillSave, exportMattes: this.exportMattes });
    this.number = el("div", { className: "badge number" });
    this.state = el("div", { className: "badge state" });
    this.hint = el("div", { className: "badge hint", hidden: true });
    this.cover = this.#makeCover();
    this.holder = el("div", { className: "stage" }, canvas, this.number, this.state, this.hint, this.cover);
    this.messages = el("div", { className: "messages", role: "status" });
    this.live = el("span", { className: "live", role: "status", aria: { live: "polite" } });
    this.saving = el("span", {});
    this.root = el("div", { className: "xmempp-annotator", lang: this.language, role: "group", aria: { label: t("title") } },
      this.toolbar.root, el("div", { className: "body" }, this.holder, this.panel.root), this.messages,
      this.transport.move, this.timeline.root, this.actions.root,
      el("div", { className: "status" }, this.live, this.saving));
    for (const type of STOPPED) this.root.addEventListener(type, (event) => event.stopPropagation());
    this.root.addEventListener("contextmenu", (event) => event.preventDefault());
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("click", (event) => this.#clicked(event));
    this.root.addEventListener("handback", () => this.timeline.focus());
    this.root.addEventListener("focusin", ({ target }) => { this.#focused = target; });
    this.root.addEventListener("focusout", ({ target, relatedTarget }) => {
      if (relatedTarget ? !this.root.contains(relatedTarget) : isUsable(target)) this.#focused = null;
    });
  }

  #makeCover() {
    const { t } = this;
    this.openButton = button("play", t("open"), () => this.answers.open(), { text: true, className: "main" });
    this.coverText = el("p");
    return el("div", { className: "cover" }, el("h3", {}, t("title")), this.coverText, this.openButton);
  }

  #runs({ openLarge, close }) {
    const { studio, answers, player } = this;
    const annotated = () => annotatedFrames(studio.document);
    const proposed = () => answers.candidates.map((one) => one.frame).sort((a, b) => a - b);
    const last = () => (studio.source?.count ?? 1) - 1;
    return {
      previous: () => studio.show(studio.frame - 1),
      next: () => studio.show(studio.frame + 1),
      back10: () => studio.show(studio.frame - 10),
      forward10: () => studio.show(studio.frame + 10),
      first: () => studio.show(0),
      last: () => studio.show(last()),
      previousAnnotated: () => studio.jump(annotated(), -1),
      nextAnnotated: () => studio.jump(annotated(), 1),
      nextProposal: () => studio.show(proposed().find((frame) => frame > studio.frame) ?? proposed()[0] ?? studio.frame),
      play: () => player.toggle(),
      brush: () => studio.setTool("brush"),
      polygon: () => studio.setTool("polygon"),
      fill: () => studio.setTool("fill"),
      smart: () => studio.setTool("smart"),
      erase: () => studio.toggleErase(),
      smaller: () => studio.setBrush(Math.min(studio.brush - 1, studio.brush / BRUSH_STEP)),
      larger: () => studio.setBrush(Math.max(studio.brush + 1, studio.brush * BRUSH_STEP)),
      notHere: () => studio.toggleAbsent(),
      accept: () => this.strokes.closePolygon() || studio.accept(),
      drop: () => this.strokes.drop() || this.#closeHelp() || close?.(),
      undo: () => this.strokes.drop() || studio.undo(),
      redo: () => studio.redo(),
      markIn: () => studio.source && studio.markIn(),
      markOut: () => studio.source && studio.markOut(),
      fit: () => this.stage.fit(),
      actual: () => this.stage.actual(),
      plate: () => studio.togglePlate(),
      mode: () => studio.nextMode(),
      propagate: () => answers.propagate("whole"),
      help: () => this.#toggleHelp(),
      large: openLarge,
      close,
    };
  }

  // ---- life

  start() {
    this.stop();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    for (const name of EVENTS) this.studio.addEventListener(name, () => this.#later(), { signal });
    this.strokes.listen(signal);
    this.timeline.listen(signal);
    // With Vue nodes the wheel is taken while the event goes down: a listener on the element is too late.
    window.addEventListener("wheel", (event) => this.#wheel(event), { capture: true, passive: false, signal });
    this.#observer = new ResizeObserver(() => this.#later());
    this.#observer.observe(this.holder);
    this.#observer.observe(this.timeline.root);
    this.#later();
  }

  #observer = null;

  stop() {
    this.#listening?.abort();
    this.#observer?.disconnect();
    cancelAnimationFrame(this.#updating);
    this.#updating = 0;
    this.stage.stop();
    this.timeline.stop();
  }

  #later() {
    this.stage.draw();
    this.timeline.draw();
    this.#updating ||= requestAnimationFrame(() => {
      this.#updating = 0;
      this.update();
    });
  }

  // ---- words

  update() {
    const { studio, answers, t } = this;
    this.toolbar.update();
    this.panel.update();
    this.transport.update();
    this.actions.update();
    this.timeline.update();
    this.cover.hidden = !!studio.source;
    this.openButton.disabled = !!answers.work;
    this.coverText.textContent = t(answers.work?.kind === "open" ? "opening" : studio.value ? "openAgain" : "openHelp");
    const paints = studio.source && ["brush", "erase"].includes(studio.tool);
    this.holder.classList.toggle("paints", !!paints);
    this.holder.classList.toggle("points", !!studio.source && !paints);
    this.#updateBadges();
    this.#updateMessages();
    this.#keepKeyboard();
  }

  /** A button that is hidden or switched off by what it has started leaves the keyboard to the timeline. */
  #keepKeyboard() {
    const had = this.#focused;
    if (!had || isUsable(had)) return;
    const now = document.activeElement;
    if (now === had || !this.root.contains(now)) this.timeline.focus();
  }

  #updateBadges() {
    const { studio, t } = this;
    const { source, frame } = studio;
    this.number.hidden = this.state.hidden = !source;
    if (!source) return;
    const index = el("small", {}, t("index", { index: frame, count: source.count }));
    this.number.replaceChildren(studio.numberOf(frame), index);
    const [key, values, color] = this.stage.describe();
    this.state.textContent = studio.showsResult ? t(key, values) : t("plateAlone");
    this.state.style.setProperty("--dot", color);
    const hint = studio.proposal ? "hint.proposal" : studio.tool === "polygon" ? "hint.polygon"
      : studio.tool === "smart" ? "hint.smart" : this.timeline.isRanging ? "dragRange" : "";
    this.hint.hidden = !hint;
    this.hint.textContent = hint && t(hint);
  }

  #updateMessages() {
    const { studio, actions, t } = this;
    const lasting = studio.messages.filter((one) => one.kind !== "info");
    const key = JSON.stringify(lasting);
    if (key !== this.shownMessages) {
      this.shownMessages = key;
      this.messages.replaceChildren(...lasting.map(({ key: name, text, kind }) => el("div", { className: `message ${kind}` },
        el("span", {}, text), button("close", t("close"), () => studio.dismiss(name)))));
    }
    const info = studio.messages.find((one) => one.kind === "info")?.text ?? "";
    const words = actions.words || info || (studio.source ? t("ready") : "");
    if (this.live.textContent !== words) this.live.textContent = words;
    this.saving.textContent = studio.saver.isSaving ? t("saving") : studio.value ? t("allSaved") : "";
  }

  // ---- wheel and keys

  #wheel(event) {
    if (!this.root.contains(event.target) || !event.target.isConnected) return;
    event.stopImmediatePropagation();
    if (this.holder.contains(event.target)) {
      event.preventDefault();
      this.strokes.wheel(event);
    } else if (this.timeline.root.contains(event.target)) {
      event.preventDefault();
      this.studio.show(this.studio.frame + Math.sign(event.deltaY || event.deltaX));
    } else if (event.ctrlKey || !event.target.closest(".objects, .list, .messages, .help")) event.preventDefault();
  }

  #key(event) {
    const { target } = event;
    const isText = target.matches("input[type=text], select");
    const isButton = target.matches("button");
    const isSlider = target.matches("input[type=range]") && target !== this.timeline.input;
    if (isText) return;
    const found = actionOf(event);
    if (!found) return;
    const { action, object } = found;
    if (isButton && (event.key === "Enter" || event.key === " ") && !event.ctrlKey && !event.metaKey) return;
    if (isSlider && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    if (target.getAttribute("role") === "radio" && event.key.startsWith("Arrow")) return this.#nextTool(event);
    event.preventDefault();
    if (action === "object") return this.studio.selectNumber(object);
    return this.run[action]?.();
  }

  /** Arrow keys inside the group of tools, as in any radio group. */
  #nextTool(event) {
    event.preventDefault();
    const names = [...this.toolbar.tools.keys()];
    const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : -1;
    const name = names[(names.indexOf(this.studio.tool) + step + names.length) % names.length];
    this.studio.setTool(name);
    this.toolbar.tools.get(name).focus({ preventScroll: true });
  }

  /** A click on a button hands the keyboard back to the timeline, so that Ctrl+Z stays ours. */
  #clicked(event) {
    const isMouse = event.detail > 0;
    const one = event.target.closest?.("button");
    const isOpen = one?.closest(".menu")?.querySelector(".list:not([hidden])") || this.root.querySelector(".ask:not([hidden])");
    if (isMouse && one && !isOpen && this.root.contains(one) && !this.root.querySelector("input[type=text]:focus"))
      this.timeline.focus();
  }

  // ---- help

  #toggleHelp() {
    if (this.#closeHelp()) return;
    const { t } = this;
    const rows = KEYS.map(([action, keys]) => el("div", {}, el("dt", {}, ...keys.split(" ").map((key) => (key === "…" ? " … " : el("kbd", {}, key)))),
      el("dd", {}, t(`key.${action}`))));
    const mouse = ["zoom", "pan", "resize", "line", "scrub", "ring"].map((name) => el("div", {}, el("dt", {}, t(`mouse.${name}.how`)), el("dd", {}, t(`mouse.${name}`))));
    const close = button("close", t("close"), () => this.#closeHelp());
    this.help = el("div", { className: "help", role: "dialog", aria: { label: t("help") } },
      el("h3", {}, t("help"), close), el("dl", {}, ...rows, ...mouse));
    this.root.append(this.help);
    this.root.style.position = "relative";
    this.timeline.focus();
  }

  #closeHelp() {
    if (!this.help) return false;
    this.help.remove();
    this.help = null;
    this.timeline.focus();
    return true;
  }
}
