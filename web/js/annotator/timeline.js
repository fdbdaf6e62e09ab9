// The timeline: thumbnails, frame numbers, what is annotated, proposed, answered and absent, the
// confidence of each object, in and out. A range input lies over it: it has the keyboard.
import { annotatedFrames, annotationAt, objectOf } from "./document.js";
import { el } from "./dom.js";
import {
  frameAt, frameLeft, frameMiddle, labelStep, ordered, plateNumber, thumbnailFrames,
} from "./timeline_geometry.js";

const RULER = 15;
const MARKS = 13;
const ABSENT = 5;
const CURVE = 20;
const ANSWERS = 4;
const HANDLE_PIXELS = 7;
const COLORS = {
  stage: "#161616", ruler: "#232323", text: "#b8b8b8", tick: "#555", annotated: "#f5f5f5", proposal: "#ff6ec7",
  answered: "#58a6ff", passed: "#3fb950", stale: "#7d6a3a", head: "#ff5a4f", out: "#000000a0", range: "#4c9be8",
};

/** Draws the timeline of a studio and takes the pointer on it. */
export class Timeline {
  #drag = null;
  #drawn = 0;
  /** Whether a plain drag says "not here" instead of moving the playhead. */
  isRanging = false;

  constructor(studio, answers, t) {
    Object.assign(this, { studio, answers, t });
    this.canvas = el("canvas", { aria: { hidden: "true" } });
    this.input = el("input", { type: "range", min: 0, max: 0, value: 0, aria: { label: t("timeline") },
      on: { input: () => studio.show(Number(this.input.value)) } });
    this.root = el("div", { className: "timeline" }, this.canvas, this.input);
  }

  /** Listens; ends with the signal. */
  listen(signal) {
    const on = (type, run) => this.canvas.addEventListener(type, run, { signal });
    on("pointerdown", (event) => this.#press(event));
    on("mousedown", (event) => event.preventDefault());
    on("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "lostpointercapture", "pointercancel"]) on(type, () => this.#release());
  }

  /** Takes the keyboard. */
  focus() {
    this.input.focus({ preventScroll: true });
  }

  get #width() {
    return this.canvas.clientWidth || 1;
  }

  get #count() {
    return this.studio.source?.count ?? 1;
  }

  // ---- the pointer

  #frameUnder(event) {
    const box = this.canvas.getBoundingClientRect();
    return frameAt(((event.clientX - box.left) * this.#width) / (box.width || 1), this.#count, this.#width);
  }

  #handleUnder(event) {
    const { range } = this.studio.document;
    const box = this.canvas.getBoundingClientRect();
    const zoom = this.#width / (box.width || 1);
    const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    if (!range || y > RULER) return null;
    const ends = [frameLeft(range[0], this.#count, this.#width), frameLeft(range[1] + 1, this.#count, this.#width)];
    const near = ends.findIndex((end) => Math.abs(end - x) < HANDLE_PIXELS);
    return near < 0 ? null : near;
  }

  #press(event) {
    this.focus();
    if (event.button || !this.studio.source) return;
    this.canvas.setPointerCapture(event.pointerId);
    const frame = this.#frameUnder(event);
    const handle = this.#handleUnder(event);
    if (handle !== null) this.#drag = { kind: "handle", handle, range: [...this.studio.document.range] };
    else if (event.shiftKey || this.isRanging)
      this.#drag = { kind: "absent", from: frame, to: frame, isAbsent: !event.altKey };
    else {
      this.#drag = { kind: "scrub" };
      this.studio.isPlaying = false;
      this.studio.show(frame);
    }
    this.draw();
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    const frame = this.#frameUnder(event);
    if (drag.kind === "scrub" && frame !== this.studio.frame) this.studio.show(frame);
    if (drag.kind === "absent") drag.to = frame;
    if (drag.kind === "handle") drag.range[drag.handle] = frame;
    this.draw();
  }

  #release() {
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.kind === "absent") {
      this.isRanging = false;
      this.studio.absentRange(drag.from, drag.to, drag.isAbsent);
      this.studio.changed("tool");
    }
    if (drag?.kind === "handle") this.studio.setRange(ordered(...drag.range));
    this.draw();
  }

  // ---- what it shows

  /** Words for a screen reader, and the place of the slider. */
  update() {
    const { studio, input, t } = this;
    if (!studio.source) return;
    input.max = studio.source.count - 1;
    input.value = studio.frame;
    const isAnnotated = !!annotationAt(studio.document, studio.frame);
    const words = { number: plateNumber(studio.source, studio.frame) };
    input.setAttribute("aria-valuetext", t(isAnnotated ? "frameAnnotated" : "frameNumber", words));
  }

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
  }

  #render() {
    const { canvas, studio } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const zoom = (canvas.getBoundingClientRect().width / width || 1) * (window.devicePixelRatio || 1);
    const ratio = Math.min(3, Math.max(0.5, zoom));
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = COLORS.stage;
    pen.fillRect(0, 0, width, height);
    if (!studio.source) return;
    const curve = height - ANSWERS - CURVE;
    const strip = { top: RULER + MARKS, bottom: curve - ABSENT * Math.min(3, this.#absentRows().length) };
    this.#drawStrip(pen, width, strip);
    this.#drawRuler(pen, width);
    this.#drawMarks(pen, width);
    this.#drawAbsent(pen, width, strip.bottom);
    this.#drawCurves(pen, width, curve);
    this.#drawAnswers(pen, width, height - ANSWERS);
    this.#drawRange(pen, width, height);
    this.#drawHead(pen, width, height);
  }

  #drawStrip(pen, width, { top, bottom }) {
    const { source, plates } = this.studio;
    const high = bottom - top;
    const wide = (high * source.width) / source.height;
    const frames = thumbnailFrames(source.count, width, wide);
    plates.strip(frames);
    const tile = width / frames.length;
    for (const [i, frame] of frames.entries()) {
      const picture = plates.thumbnails.get(frame);
      if (!picture) continue;
      const shown = Math.min(picture.width, (tile * picture.height) / high);
      pen.drawImage(picture, (picture.width - shown) / 2, 0, shown, picture.height, i * tile, top, tile - 1, high);
    }
  }

  #drawRuler(pen, width) {
    const { source } = this.studio;
    pen.fillStyle = COLORS.ruler;
    pen.fillRect(0, 0, width, RULER);
    pen.font = "10px ui-monospace, monospace";
    pen.textBaseline = "middle";
    const step = labelStep(source.count, width, 12 + 7 * Math.max(source.digits, 3));
    for (let frame = 0; frame < source.count; frame += step) {
      const x = frameMiddle(frame, source.count, width);
      pen.fillStyle = COLORS.tick;
      pen.fillRect(Math.round(x), RULER - 3, 1, 3);
      pen.fillStyle = COLORS.text;
      pen.textAlign = x < 16 ? "left" : x > width - 16 ? "right" : "center";
      pen.fillText(plateNumber(source, frame), x < 16 ? 2 : x > width - 16 ? width - 2 : x, RULER / 2 - 1);
    }
  }

  #diamond(pen, x, y, size, color) {
    pen.beginPath();
    pen.moveTo(x, y - size);
    pen.lineTo(x + size, y);
    pen.lineTo(x, y + size);
    pen.lineTo(x - size, y);
    pen.closePath();
    pen.fillStyle = color;
    pen.fill();
    pen.strokeStyle = "#000";
    pen.lineWidth = 1;
    pen.stroke();
  }

  #drawMarks(pen, width) {
    const middle = RULER + MARKS / 2;
    pen.fillStyle = "#1d1d1d";
    pen.fillRect(0, RULER, width, MARKS);
    for (const { frame } of this.answers.candidates) {
      const x = frameMiddle(frame, this.#count, width);
      pen.fillStyle = COLORS.proposal;
      pen.beginPath();
      pen.moveTo(x - 5, middle - 4);
      pen.lineTo(x + 5, middle - 4);
      pen.lineTo(x, middle + 4.5);
      pen.fill();
    }
    for (const frame of annotatedFrames(this.studio.document))
      this.#diamond(pen, frameMiddle(frame, this.#count, width), middle, 5, COLORS.annotated);
  }

  #absentRows() {
    return [...new Set(this.studio.document.absentRanges.map((one) => one.object))];
  }

  #hatch(pen, first, last, width, top, color) {
    const left = frameLeft(first, this.#count, width);
    pen.fillStyle = color;
    pen.fillRect(left, top, frameLeft(last + 1, this.#count, width) - left, ABSENT - 1);
  }

  #drawAbsent(pen, width, top) {
    const { document } = this.studio;
    for (const [row, id] of this.#absentRows().slice(0, 3).entries()) {
      const color = objectOf(document, id)?.color ?? "#999";
      for (const { object, first, last } of document.absentRanges)
        if (object === id) this.#hatch(pen, first, last, width, top + row * ABSENT, color);
    }
    const drag = this.#drag;
    if (drag?.kind !== "absent") return;
    const [first, last] = ordered(drag.from, drag.to);
    pen.globalAlpha = 0.45;
    const left = frameLeft(first, this.#count, width);
    pen.fillStyle = objectOf(document, this.studio.activeId)?.color ?? "#999";
    pen.fillRect(left, RULER, frameLeft(last + 1, this.#count, width) - left, 200);
    pen.globalAlpha = 1;
  }

  /** The confidence of the newest result that has one, 0 at the bottom and 1 at the top. */
  #drawCurves(pen, width, top) {
    pen.fillStyle = "#101010";
    pen.fillRect(0, top, width, CURVE);
    const result = this.answers.results.all.findLast((one) => Object.keys(one.confidence ?? {}).length);
    if (!result) return;
    pen.globalAlpha = this.answers.isCurrent(result) ? 1 : 0.4;
    for (const { id, color, visible } of this.studio.document.objects) {
      const values = result.confidence[id];
      if (!values || !visible) continue;
      pen.beginPath();
      let isOn = false;
      for (const [frame, value] of values.entries()) {
        if (value === null) { isOn = false; continue; }
        const [x, y] = [frameMiddle(frame, this.#count, width), top + CURVE - 1 - value * (CURVE - 3)];
        if (isOn) pen.lineTo(x, y);
        else pen.moveTo(x, y);
        isOn = true;
      }
      pen.strokeStyle = color;
      pen.lineWidth = 1.3;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  #drawAnswers(pen, width, top) {
    const { answers } = this;
    const each = width / this.#count;
    for (const result of [...answers.results.all].sort((a, b) => answers.isCurrent(a) - answers.isCurrent(b))) {
      const isPass = result.kind === "pass";
      pen.fillStyle = !answers.isCurrent(result) ? COLORS.stale : isPass ? COLORS.passed : COLORS.answered;
      for (const frame of result.frames) pen.fillRect(frame * each, top, Math.max(1, each), ANSWERS);
    }
  }

  #drawRange(pen, width, height) {
    const drag = this.#drag?.kind === "handle" ? ordered(...this.#drag.range) : null;
    const range = drag ?? this.studio.document.range;
    if (!range) return;
    const [left, right] = [frameLeft(range[0], this.#count, width), frameLeft(range[1] + 1, this.#count, width)];
    pen.fillStyle = COLORS.out;
    pen.fillRect(0, RULER, left, height);
    pen.fillRect(right, RULER, width - right, height);
    pen.fillStyle = COLORS.range;
    pen.fillRect(left, RULER - 2, right - left, 2);
    pen.fillRect(left, 0, 3, RULER);
    pen.fillRect(right - 3, 0, 3, RULER);
  }

  #drawHead(pen, width, height) {
    const { frame, source } = this.studio;
    const x = frameMiddle(frame, source.count, width);
    pen.fillStyle = "#000a";
    pen.fillRect(x - 2, 0, 4, height);
    pen.fillStyle = COLORS.head;
    pen.fillRect(x - 1, 0, 2, height);
    pen.font = "600 10px ui-monospace, monospace";
    const text = plateNumber(source, frame);
    const wide = pen.measureText(text).width + 8;
    const left = Math.min(width - wide, Math.max(0, x - wide / 2));
    pen.fillRect(left, 0, wide, RULER - 1);
    pen.fillStyle = "#fff";
    pen.textAlign = "center";
    pen.fillText(text, left + wide / 2, RULER / 2);
  }
}
