// The picture: the plate, what is said and computed of it, and the brush; zoom and pan.
import { annotationAt, isAbsent, objectOf } from "./document.js";
import { rgb } from "./colors.js";
import { union } from "./label_map.js";
import { colored, palette } from "./overlay.js";
import { at, fit, panned, toPicture, zoomed } from "./viewport.js";

const LARGEST_RATIO = 3;
const OUTLINE_PIXELS = 1.6;
const PROPOSAL_COLOR = [255, 255, 255];
const ZOOM_STEP = 1.0016;

/** Draws a studio's frame on a canvas; `answers` says what kind of result is shown. */
export class Stage {
  viewport = null;
  pointer = null;
  /** Points of a polygon or a stroke of the smart tool, in pixels of the plate. */
  sketch = [];
  #isFitted = true;
  #layer = null;
  #layerKey = "";
  #dirty = null;
  #proposalLayer = null;
  #drawn = 0;

  constructor(canvas, studio, answers) {
    Object.assign(this, { canvas, studio, answers });
  }

  get size() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  get picture() {
    return this.studio.source;
  }

  // ---- where it lies

  fit() {
    this.#isFitted = true;
    this.draw();
  }

  /** One pixel of the plate on one pixel of the screen, about the middle of what is seen. */
  actual() {
    if (!this.viewport) return;
    const { width, height } = this.size;
    this.#isFitted = false;
    this.viewport = zoomed(this.viewport, 1 / this.#ratio() / this.viewport.scale, width / 2, height / 2, 1e-3);
    this.draw();
  }

  zoom(deltaY, clientX, clientY) {
    if (!this.viewport) return;
    const [x, y] = this.viewPoint(clientX, clientY);
    const smallest = fit(this.picture, this.size).scale / 4;
    this.#isFitted = false;
    this.viewport = zoomed(this.viewport, ZOOM_STEP ** -deltaY, x, y, smallest);
    this.draw();
  }

  pan(dx, dy) {
    if (!this.viewport) return;
    this.#isFitted = false;
    this.viewport = panned(this.viewport, dx, dy, this.picture, this.size);
    this.draw();
  }

  /** The rectangle on the page carries the zoom of the graph; clientWidth does not. */
  #ratio() {
    const box = this.canvas.getBoundingClientRect();
    const scale = (box.width / this.size.width || 1) * (window.devicePixelRatio || 1);
    return Math.min(LARGEST_RATIO, Math.max(0.25, scale));
  }

  viewPoint(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.size;
    return [((clientX - box.left) * width) / (box.width || 1), ((clientY - box.top) * height) / (box.height || 1)];
  }

  /** Point of the plate under the pointer. */
  platePoint(clientX, clientY) {
    return toPicture(this.viewport ?? at(this.picture, this.size, 1), ...this.viewPoint(clientX, clientY));
  }

  // ---- drawing

  /** A rectangle of the painting has changed. */
  touch(rect) {
    this.#dirty = union(this.#dirty, rect);
    this.draw();
  }

  /** Draws with the next frame of the screen. */
  draw() {
    if (this.#drawn) return;
    this.#drawn = requestAnimationFrame(() => {
      this.#drawn = 0;
      this.#render();
    });
  }

  stop() {
    cancelAnimationFrame(this.#drawn);
    this.#drawn = 0;
    this.#layer = null;
    this.#proposalLayer = null;
  }

  #render() {
    const { canvas, studio } = this;
    if (!canvas.clientWidth || !canvas.clientHeight) return;
    const ratio = this.#ratio();
    const [width, height] = [Math.round(this.size.width * ratio), Math.round(this.size.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!studio.source) return;
    if (this.#isFitted || !this.viewport) this.viewport = fit(studio.source, this.size);
    const { scale, x, y } = this.viewport;
    pen.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    this.#drawPicture(pen, ratio * scale);
    this.#drawSketch(pen, scale);
    this.#drawBrush(pen, scale);
  }

  #drawPicture(pen, scale) {
    const { studio } = this;
    const { width, height } = studio.source;
    const plate = studio.plates.at(studio.frame);
    pen.imageSmoothingEnabled = scale < 3;
    pen.imageSmoothingQuality = "medium";
    if (plate) pen.drawImage(plate, 0, 0, width, height);
    if (!studio.showsResult || !studio.painting) return;
    const matte = studio.mode === "matte" && this.#softMatte();
    if (matte) pen.drawImage(matte, 0, 0, width, height);
    else if (studio.mode === "matte" || !studio.painting.isBlank) pen.drawImage(this.#coloredLayer(scale), 0, 0, width, height);
    if (studio.proposal) this.#drawProposal(pen, scale);
  }

  /** The matte as delivered, with its soft edge, where it is not painted by hand. */
  #softMatte() {
    const { studio } = this;
    const isPainted = studio.isStroking || annotationAt(studio.document, studio.frame)?.objects.length;
    return !isPainted && studio.activeId ? this.answers.matteAt(studio.frame, studio.activeId) : null;
  }

  /** Labels whose outline is dashed: predicted, and no pass of the present state. */
  #dashed() {
    const { studio } = this;
    const dashed = new Uint8Array(256);
    const shown = this.answers.shownAt(studio.frame);
    if (!shown || (shown.result.kind === "pass" && !shown.isStale)) return dashed;
    for (const { id } of studio.document.objects) dashed[id] = studio.painting.said.includes(id) ? 0 : 1;
    return dashed;
  }

  #coloredLayer(scale) {
    const { studio } = this;
    const { shown } = studio.painting;
    const reach = Math.max(1, Math.round((OUTLINE_PIXELS * (window.devicePixelRatio || 1)) / scale));
    const isDashed = this.#dashed();
    const key = JSON.stringify([reach, studio.mode, studio.opacity, studio.activeId, studio.document.objects, [...isDashed]]);
    const isSame = this.#layer?.shown === shown && this.#layerKey === key;
    if (isSame && !this.#dirty) return this.#layer.canvas;
    const whole = { left: 0, top: 0, right: shown.width, bottom: shown.height };
    const rect = isSame ? this.#grown(this.#dirty, reach, shown) : whole;
    this.#dirty = null;
    this.#layerKey = key;
    const style = { mode: studio.mode, opacity: studio.opacity, reach, isDashed, active: studio.activeId };
    this.#paintLayer(shown, rect, palette(studio.document.objects, rgb), style);
    return this.#layer.canvas;
  }

  #grown(rect, reach, { width, height }) {
    return {
      left: Math.max(0, rect.left - reach),
      top: Math.max(0, rect.top - reach),
      right: Math.min(width, rect.right + reach),
      bottom: Math.min(height, rect.bottom + reach),
    };
  }

  #paintLayer(shown, rect, table, style) {
    if (this.#layer?.canvas.width !== shown.width || this.#layer.canvas.height !== shown.height)
      this.#layer = { canvas: new OffscreenCanvas(shown.width, shown.height) };
    this.#layer.shown = shown;
    const data = colored(shown, rect, table, style);
    const image = new ImageData(data, rect.right - rect.left, rect.bottom - rect.top);
    this.#layer.canvas.getContext("2d").putImageData(image, rect.left, rect.top);
  }

  #drawProposal(pen, scale) {
    const { proposal, source } = this.studio;
    if (this.#proposalLayer?.proposal !== proposal) {
      const map = { width: source.width, height: source.height, pixels: proposal.mask };
      const reach = Math.max(1, Math.round(2 / scale));
      const table = palette([{ id: 1, color: "#ffffff", visible: true }], () => PROPOSAL_COLOR);
      const isDashed = new Uint8Array(256);
      isDashed[1] = 1;
      const rect = { left: 0, top: 0, right: map.width, bottom: map.height };
      const canvas = new OffscreenCanvas(map.width, map.height);
      const data = colored(map, rect, table, { mode: "overlay", opacity: 0.35, reach, isDashed, active: 0 });
      canvas.getContext("2d").putImageData(new ImageData(data, map.width, map.height), 0, 0);
      this.#proposalLayer = { proposal, canvas };
    }
    pen.drawImage(this.#proposalLayer.canvas, 0, 0);
  }

  #activeColor() {
    return objectOf(this.studio.document, this.studio.activeId)?.color ?? "#e69f00";
  }

  #line(pen, scale, width, color, dash = []) {
    pen.lineWidth = width / scale;
    pen.strokeStyle = color;
    pen.setLineDash(dash.map((one) => one / scale));
    pen.stroke();
    pen.setLineDash([]);
  }

  #drawSketch(pen, scale) {
    const { sketch, pointer, studio } = this;
    if (!sketch.length) return;
    pen.beginPath();
    for (const [x, y] of sketch) pen.lineTo(x, y);
    if (studio.tool === "polygon" && pointer) pen.lineTo(...pointer);
    this.#line(pen, scale, 3.5, "#000a");
    this.#line(pen, scale, 1.6, this.#activeColor());
    if (studio.tool !== "polygon") return;
    for (const [i, [x, y]] of sketch.entries()) {
      pen.beginPath();
      pen.arc(x, y, (i ? 3 : 5) / scale, 0, 7);
      pen.fillStyle = this.#activeColor();
      pen.fill();
      this.#line(pen, scale, 1, "#000");
    }
  }

  #drawBrush(pen, scale) {
    const { studio, pointer } = this;
    if (!pointer || !["brush", "erase"].includes(studio.tool)) return;
    pen.beginPath();
    pen.arc(pointer[0], pointer[1], studio.brush / 2, 0, 7);
    this.#line(pen, scale, 3, "#0009");
    this.#line(pen, scale, 1.4, studio.tool === "erase" ? "#fff" : this.#activeColor(), studio.tool === "erase" ? [4, 3] : []);
    pen.beginPath();
    pen.arc(pointer[0], pointer[1], 1 / scale, 0, 7);
    pen.fillStyle = "#fff";
    pen.fill();
  }

  /** In words what is shown on the frame: [key, values, color of the dot]. */
  describe() {
    const { studio, answers } = this;
    const { document, frame } = studio;
    const annotation = annotationAt(document, frame);
    const shown = answers.shownAt(frame);
    const count = document.objects.length;
    const told = document.objects.filter(({ id }) => annotation?.objects.includes(id) || isAbsent(document, frame, id)).length;
    if (annotation?.mask?.isLost) return ["state.lost", {}, "#f85149"];
    if (told && told === count) return ["state.annotated", {}, "#3fb950"];
    const part = told ? "Part" : "";
    if (answers.asker.asked.includes(frame)) return ["state.asking", { told, count }, "#58a6ff"];
    if (answers.asker.waiting === frame && answers.isBusy) return ["state.waiting", { told, count }, "#d29922"];
    if (!shown) return [part ? "state.onlyPart" : count ? "state.nothing" : "state.bare", { told, count }, "#888"];
    if (shown.result.kind === "track") return ["state.track", {}, "#888"];
    if (shown.isStale) return ["state.stale", { told, count }, "#d29922"];
    if (shown.result.kind === "pass") return [`state.pass${part}`, { told, count }, "#3fb950"];
    return [answers.isFew ? "state.answerFew" : `state.answer${part}`, { told, count }, "#58a6ff"];
  }
}
