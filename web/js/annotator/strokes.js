// What the pointer does on the picture: brush, eraser, polygon, fill, smart select, zoom and pan.
import { floodFill, paintPolygon, paintSegment } from "./label_map.js";

const CLOSE_PIXELS = 9;
const LEAST_PRESSURE = 0.15;

/** Pointer and wheel on a stage. */
export class Strokes {
  #drag = null;
  #lastDab = null;
  #selecting = null;

  /**
   * @param stage the picture
   * @param studio the project
   * @param server for smart select
   * @param onPress called at each press, so that the timeline takes the focus
   */
  constructor({ stage, studio, server, onPress }) {
    Object.assign(this, { stage, studio, server, onPress });
  }

  /** Listens; ends with the signal. */
  listen(signal) {
    const { canvas } = this.stage;
    const on = (type, run) => canvas.addEventListener(type, run, { signal });
    on("pointerdown", (event) => this.#press(event));
    on("mousedown", (event) => event.preventDefault()); // ... or the canvas would take the focus away
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#release(event));
    on("pointercancel", () => this.#give());
    on("lostpointercapture", () => this.#give());
    on("pointerleave", () => this.#leave());
    on("dblclick", () => this.closePolygon());
  }

  /** The wheel zooms to the cursor; with Shift it goes through the frames. */
  wheel(event) {
    const delta = event.deltaY || event.deltaX;
    if (event.shiftKey) this.studio.show(this.studio.frame + Math.sign(delta));
    else this.stage.zoom(event.deltaMode ? delta * 30 : delta, event.clientX, event.clientY);
  }

  #press(event) {
    const { studio, stage } = this;
    this.onPress();
    if (!studio.source || this.#drag) return;
    stage.canvas.setPointerCapture(event.pointerId);
    const isPan = event.button === 1 || (event.button === 0 && (event.ctrlKey || event.metaKey));
    if (isPan) this.#drag = { kind: "pan", x: event.clientX, y: event.clientY };
    else if (event.button !== 0) return;
    else if (event.altKey) this.#drag = { kind: "size", x: event.clientX, brush: studio.brush };
    else this.#use(event);
  }

  #use(event) {
    const { studio } = this;
    const point = this.stage.platePoint(event.clientX, event.clientY);
    if (studio.tool === "polygon") return this.#addPoint(point);
    if (studio.tool === "smart") return this.#startSelect(event, point);
    const isErasing = studio.tool === "erase";
    if (isErasing && !studio.activeId) return undefined;
    if (!studio.isLoaded) return studio.tell("stillLoading");
    const id = studio.ensureObject();
    if (studio.isLocked(id)) return studio.tell("isLocked", {}, "info");
    if (studio.tool === "fill") return this.#fill(point, id);
    if (!studio.begin()) return studio.tell("stillLoading");
    this.#drag = { kind: "paint", id, label: isErasing ? 0 : id, writable: studio.painting.writable(id, isErasing) };
    const from = event.shiftKey ? this.#lastDab : null;
    this.#lastDab = from ?? this.#dab(event);
    return this.#paint(event);
  }

  #fill(point, id) {
    const { studio } = this;
    const painting = studio.begin();
    if (!painting) return studio.tell("stillLoading");
    const rect = floodFill(painting.shown, ...point, id, painting.writable(id, false));
    if (!rect) return studio.cancelStroke();
    this.stage.touch(rect);
    return studio.end([id], "fill");
  }

  #dab(event) {
    const [x, y] = this.stage.platePoint(event.clientX, event.clientY);
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? Math.max(LEAST_PRESSURE, event.pressure) : 1;
    return { x, y, radius: (this.studio.brush / 2) * pressure };
  }

  #paint(event) {
    const { shown } = this.studio.painting;
    const { label, writable } = this.#drag;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      const dab = this.#dab(one);
      const rect = paintSegment(shown, this.#lastDab, dab, label, writable);
      this.#lastDab = dab;
      if (rect) this.stage.touch(rect);
    }
  }

  #move(event) {
    const { stage, studio } = this;
    if (!studio.source) return;
    stage.pointer = stage.platePoint(event.clientX, event.clientY);
    const drag = this.#drag;
    if (drag?.kind === "pan") {
      const box = stage.canvas.getBoundingClientRect();
      const zoom = stage.size.width / (box.width || 1);
      stage.pan((event.clientX - drag.x) * zoom, (event.clientY - drag.y) * zoom);
      Object.assign(drag, { x: event.clientX, y: event.clientY });
    } else if (drag?.kind === "size") {
      studio.setBrush(Math.round(drag.brush + (event.clientX - drag.x) / stage.viewport.scale));
    } else if (drag?.kind === "paint") this.#paint(event);
    else if (drag?.kind === "select") stage.sketch.push(stage.pointer);
    stage.draw();
  }

  #release(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.kind === "paint") this.studio.end([drag.id], drag.label ? "stroke" : "erase");
    if (drag?.kind === "select") this.#endSelect(drag, event);
  }

  /** The browser has taken the pointer away: what is painted stays. */
  #give() {
    if (this.#drag) this.#release({});
  }

  #leave() {
    if (this.#drag) return;
    this.stage.pointer = null;
    this.stage.draw();
  }

  // ---- polygon

  #addPoint(point) {
    const { stage } = this;
    const [first] = stage.sketch;
    const reach = CLOSE_PIXELS / stage.viewport.scale;
    if (stage.sketch.length > 2 && Math.hypot(point[0] - first[0], point[1] - first[1]) < reach) return this.closePolygon();
    stage.sketch.push(point);
    return stage.draw();
  }

  /** Fills the polygon; false where there is none. */
  closePolygon() {
    const { stage, studio } = this;
    if (studio.tool !== "polygon" || stage.sketch.length < 3) return false;
    const points = stage.sketch;
    if (!studio.isLoaded) return studio.tell("stillLoading");
    const id = studio.ensureObject();
    if (studio.isLocked(id)) return studio.tell("isLocked");
    const painting = studio.begin();
    if (!painting) return studio.tell("stillLoading");
    stage.sketch = [];
    const rect = paintPolygon(painting.shown, points, id, painting.writable(id, false));
    if (rect) stage.touch(rect);
    studio.end([id], "polygon");
    return true;
  }

  /** Drops a polygon, a stroke, a proposal; false where there is nothing to drop. */
  drop() {
    const { stage, studio } = this;
    if (this.#drag?.kind === "paint") {
      this.#drag = null;
      studio.cancelStroke();
      return true;
    }
    const had = stage.sketch.length > 0 || studio.proposal !== null;
    stage.sketch = [];
    this.#selecting?.abort();
    studio.propose(null);
    stage.draw();
    return had;
  }

  // ---- smart select: a stroke inside, and with Shift a loose one around

  #startSelect(event, point) {
    if (!this.studio.isLoaded) return this.studio.tell("stillLoading");
    this.#drag = { kind: "select", isRing: event.shiftKey };
    this.stage.sketch = [point];
    return undefined;
  }

  async #endSelect({ isRing }) {
    const { stage, studio } = this;
    const stroke = stage.sketch.map((point) => point.map(Math.round));
    stage.sketch = [];
    const old = studio.proposal;
    const inside = isRing ? old?.inside : stroke;
    const ring = isRing ? stroke : old?.ring ?? null;
    if (!inside) return studio.tell("insideFirst");
    this.#selecting?.abort();
    this.#selecting = new AbortController();
    const { source, frame } = studio;
    studio.tell("selecting");
    try {
      const request = { source: source.key, frame, inside, ring, radius: Math.max(1, Math.round(studio.brush / 4)) };
      const map = await studio.codec.decodeMask(await this.server.select(request, this.#selecting.signal));
      if (studio.frame !== frame || studio.tool !== "smart") return undefined;
      studio.propose({ inside, ring, mask: map.pixels.map((value) => (value ? 1 : 0)) });
      studio.tell("selected");
    } catch (error) {
      if (error.name !== "AbortError") studio.tellText(error.message, "error", "select");
    }
    return undefined;
  }
}
