// The widget of "Annotate Shot": makes a studio for a node, keeps it through rebuilds of the graph, and
// shows it in the node and in a large view.
import { Answers } from "./annotator/answers.js";
import { codec } from "./annotator/codec.js";
import { addBehind, api, app, executionId, isFree, language, listen, onQueue, start } from "./annotator/comfy.js";
import { el } from "./annotator/dom.js";
import { Player } from "./annotator/player.js";
import { Server } from "./annotator/server.js";
import { Studio } from "./annotator/studio.js";
import { addStyle } from "./annotator/style.js";
import { View } from "./annotator/view.js";
import { spoken, wordsIn } from "./annotator/words.js";

const TYPE = "XMEMPP_ANNOTATOR";
const SMALLEST_HEIGHT = 480;
const FIRST_SIZE = [860, 660];

/** Desks that are alive: a desk is a studio with its views, for one node. */
const desks = new Set();
/** Desks of removed nodes: a node that undo or a reload of the graph rebuilds takes its desk again. */
const left = [];
const MOST_LEFT = 4;
/** Elements of removed nodes that may still be on the page. */
const retired = new Set();
const RETIRED_MS = 5000;

const server = new Server((path, options) => api.fetchApi(path, options));

class Desk {
  #dialog = null;

  constructor(node) {
    this.node = node;
    const tongue = language();
    this.t = wordsIn(tongue);
    this.language = spoken(tongue);
    this.studio = new Studio({ server, codec, t: this.t });
    const host = {
      start: (request, value, onStart) => start(this.node, request, value, onStart, this.t),
      isFree,
    };
    this.answers = new Answers({ studio: this.studio, server, codec, host });
    this.player = new Player(this.studio);
    this.exportMattes = () => {
      addBehind(this.node, "XMemPPExportMattes", "track", "track");
      this.closeLarge();
    };
    this.endQueue = onQueue(() => this.answers.onQueue());
  }

  get shared() {
    const { studio, answers, player, t, exportMattes } = this;
    return { studio, answers, player, server, t, language: this.language, exportMattes };
  }

  openLarge() {
    if (this.#dialog) return;
    const view = new View(this.shared, { close: () => this.closeLarge() });
    const dialog = el("dialog", { className: "xmempp-large", aria: { label: this.t("title") } }, view.root);
    for (const type of ["keydown", "keyup", "pointerdown", "wheel", "copy", "cut", "paste"])
      dialog.addEventListener(type, (event) => event.stopPropagation());
    dialog.addEventListener("cancel", (event) => { // Escape drops what is being drawn first
      event.preventDefault();
      view.run.drop();
    });
    dialog.addEventListener("close", () => this.closeLarge());
    document.body.append(dialog);
    this.#dialog = { dialog, view };
    dialog.showModal();
    view.start();
    view.timeline.focus();
  }

  closeLarge() {
    const open = this.#dialog;
    this.#dialog = null;
    if (!open) return;
    open.view.stop();
    open.dialog.remove();
    this.focus?.();
  }

  /** The node is gone; the desk may be taken by the node that is made in its place. */
  leave() {
    this.closeLarge();
    desks.delete(this);
    left.push(this);
    if (left.length > MOST_LEFT) left.shift().close();
  }

  close() {
    this.answers.close();
    this.studio.close();
    this.endQueue();
  }
}

const projectOf = (value) => (value ? JSON.parse(value).project : "");

/** One widget: an element that shows a desk once the node is in a graph. */
class Widget {
  desk = null;
  #value = "";

  constructor(node) {
    this.node = node;
    this.root = el("div", { className: "xmempp-annotator-holder", style: `min-height:${SMALLEST_HEIGHT - 20}px;height:100%;width:100%` });
  }

  get value() {
    return this.desk ? this.desk.studio.value : this.#value;
  }

  set value(value) {
    this.#value = value ?? "";
    if (this.desk) this.#take();
  }

  /** Costly things only here: clones and search previews make widgets that are never added. */
  start() {
    addStyle();
    this.#take();
    this.#keepQuiet();
    requestAnimationFrame(() => requestAnimationFrame(() => this.#takePlace()));
  }

  /**
   * With Vue nodes the tooltip of the input hangs on an element around ours, inside the node, and would lie
   * over the picture; its buttons have tooltips of their own. The text stays where inputs are listed.
   */
  #keepQuiet() {
    this.quiet?.abort();
    this.quiet = new AbortController();
    const { root, quiet: { signal } } = this;
    const isAround = (target) => target instanceof Element && target !== root && target.contains(root)
      && !target.matches("[data-node-id]") && (target === root.parentElement || target.closest("[data-node-id]"));
    const stop = (event) => { if (isAround(event.target)) event.stopImmediatePropagation(); };
    for (const type of ["mouseenter", "pointerenter"]) document.addEventListener(type, stop, { capture: true, signal });
  }

  /** A desk for the value: the one that a removed node with the same project has left, or a new one. */
  #take() {
    const project = projectOf(this.#value);
    if (this.desk && this.desk.studio.value === this.#value) return;
    if (this.desk && project && this.desk.studio.saver.project !== project && this.desk.studio.value) this.#giveUp();
    const old = project && !this.desk ? left.findIndex((desk) => desk.studio.saver.project === project) : -1;
    const isNew = !this.desk;
    if (isNew) this.desk = old >= 0 ? left.splice(old, 1)[0] : new Desk(this.node);
    const { desk } = this;
    desk.node = this.node;
    const isShared = [...desks].some((other) => other !== desk && other.studio.saver.project === project);
    desks.add(desk);
    if (project && isShared) desk.studio.isCopy = true;
    if (isNew) this.#show();
    if (this.#value) desk.studio.load(this.#value).then(() => this.#openKnown());
  }

  /** The shot is opened at once where the server has it. */
  async #openKnown() {
    const { studio, answers } = this.desk ?? {};
    if (!studio?.storedSource || studio.source) return;
    try {
      studio.open(await server.source(studio.storedSource));
      if (isFree()) answers.open();
    } catch (error) {
      if (error.status !== 404) studio.tellText(error.message, "error", "open"); // 404: the artist opens it
    }
  }

  #show() {
    const { desk } = this;
    this.view = new View(desk.shared, { openLarge: () => desk.openLarge() });
    this.root.replaceChildren(this.view.root);
    this.listening = new AbortController();
    desk.studio.addEventListener("saved", () => this.#keep(), { signal: this.listening.signal });
    this.view.start();
    desk.focus = () => this.view.timeline.focus();
  }

  #keep() {
    this.#value = this.desk.studio.value;
    const { node } = this;
    node.graph?.beforeChange?.(); // a step of graph undo of its own, so that the next one does not take it along
    node.properties ??= {};
    node.properties.xmempp_project = projectOf(this.#value); // found again where the widget's value is lost
    node.graph?.afterChange?.();
    node.graph?.setDirtyCanvas?.(true, false);
  }

  #giveUp() {
    this.view?.stop();
    this.listening?.abort();
    this.desk?.leave();
    this.desk = null;
  }

  stop() {
    this.#giveUp();
    this.quiet?.abort();
    const old = { root: this.root, id: String(this.node.id) };
    retired.add(old);
    setTimeout(() => retired.delete(old), RETIRED_MS);
  }

  /** Vue nodes may keep the element of a removed node where one with the same id is made. */
  #takePlace() {
    for (const old of retired)
      if (!this.root.isConnected && old.root.isConnected && old.id === String(this.node.id)) old.root.replaceWith(this.root);
  }
}

function makeWidget(node, name) {
  const holder = new Widget(node);
  const widget = node.addDOMWidget(name, TYPE, holder.root, {
    hideOnZoom: false,
    getMinHeight: () => SMALLEST_HEIGHT,
    getValue: () => holder.value,
    setValue: (value) => { holder.value = value; },
  });
  widget.serializeValue = async () => {
    await holder.desk?.studio.saver.settled();
    return holder.value;
  };
  const { onAdded, onRemoved } = node;
  node.onAdded = function added(...args) {
    onAdded?.apply(this, args);
    holder.start();
  };
  node.onRemoved = function removed(...args) {
    holder.stop();
    onRemoved?.apply(this, args);
  };
  return { widget, minWidth: FIRST_SIZE[0], minHeight: FIRST_SIZE[1] };
}

const deskOf = (id) => [...desks].find((desk) => executionId(desk.node) === String(id));

app.registerExtension({
  name: "XMemPP.Annotator",
  getCustomWidgets: () => ({ [TYPE]: makeWidget }),
  setup() {
    listen();
    api.addEventListener("xmempp.annotator", ({ detail }) => {
      for (const desk of desks) desk.answers.onProgress(detail);
    });
    api.addEventListener("executed", ({ detail }) => {
      if (detail?.output?.xmempp_source || detail?.output?.xmempp_result)
        deskOf(detail.display_node ?? detail.node)?.answers.receive(detail.output);
    });
  },
});
