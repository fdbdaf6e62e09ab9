import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { COLORS, rgb } from "../../web/js/annotator/colors.js";
import { actionOf, KEYS } from "../../web/js/annotator/keys.js";
import { colored, palette } from "../../web/js/annotator/overlay.js";
import { ancestors, requestPrompt } from "../../web/js/annotator/prompt.js";
import { Results } from "../../web/js/annotator/results.js";
import * as line from "../../web/js/annotator/timeline_geometry.js";
import { fit, panned, toPicture, zoomed } from "../../web/js/annotator/viewport.js";
import { EN } from "../../web/js/annotator/words_en.js";
import { JA } from "../../web/js/annotator/words_ja.js";
import { spoken, wordsIn } from "../../web/js/annotator/words.js";
import { ZH } from "../../web/js/annotator/words_zh.js";

const GRAPH = {
  1: { class_type: "Load", inputs: { file: "a.mp4" } },
  2: { class_type: "Model", inputs: { name: "lite" } },
  3: { class_type: "Trim", inputs: { video: ["1", 0] } },
  4: { class_type: "XMemPPAnnotator", inputs: { model: ["2", 0], frames: ["3", 0], project: "" } },
  5: { class_type: "Preview", inputs: { track: ["4", 1] } },
};

test("a request's prompt has what the node needs and nothing else", () => {
  const prompt = requestPrompt(GRAPH, "4", "value", { action: "answer", frames: [3] });
  assert.deepEqual(Object.keys(prompt).sort(), ["1", "2", "3", "4:request"]);
  assert.deepEqual(prompt["4:request"].inputs, { model: ["2", 0], frames: ["3", 0], project: "value", request: '{"action":"answer","frames":[3]}' });
});

test("to open a shot no network is loaded", () => {
  assert.deepEqual(Object.keys(requestPrompt(GRAPH, "4", "", { action: "open" })).sort(), ["1", "3", "4:request"]);
});

test("without frames there is no prompt", () => {
  assert.equal(requestPrompt({ 4: { inputs: { model: ["2", 0] } } }, "4", "", { action: "open" }), null);
  assert.equal(requestPrompt({}, "4", "", { action: "open" }), null);
  assert.deepEqual([...ancestors(GRAPH, { frames: ["9", 0] })], []);
});

test("a point under the cursor stays there while zooming", () => {
  const picture = { width: 1920, height: 1080 };
  const view = { width: 800, height: 600 };
  const before = fit(picture, view);
  const after = zoomed(before, 3, 200, 150, 0.01);
  assert.deepEqual(toPicture(after, 200, 150).map(Math.round), toPicture(before, 200, 150).map(Math.round));
  assert.equal(before.x, 0);
  assert.equal(panned(after, 1e6, 1e6, picture, view).x, view.width - 40);
});

test("each frame has its place on the timeline and is found there", () => {
  for (const count of [1, 7, 60, 2000])
    for (let frame = 0; frame < count; frame += 1 + (count >> 5))
      assert.equal(line.frameAt(line.frameMiddle(frame, count, 733), count, 733), frame);
  assert.equal(line.frameAt(-5, 60, 700), 0);
  assert.equal(line.frameAt(9999, 60, 700), 59);
});

test("labels have room, thumbnails tile the strip", () => {
  assert.equal(line.labelStep(60, 600, 40), 5);
  assert.equal(line.labelStep(2000, 600, 40), 200);
  const frames = line.thumbnailFrames(132, 640, 64);
  assert.equal(frames.length, 10);
  assert.ok(frames.every((frame, i) => frame >= 0 && frame < 132 && (!i || frame > frames[i - 1])));
  assert.deepEqual(line.thumbnailFrames(3, 640, 64), [0, 1, 2]);
});

test("frames bear the plate's own number", () => {
  assert.equal(line.plateNumber({ first_number: 1001, digits: 4 }, 12), "1013");
  assert.equal(line.plateNumber({ first_number: 0, digits: 5 }, 7), "00007");
});

test("the next of some frames", () => {
  assert.equal(line.nextOf([2, 5, 9], 5, 1), 9);
  assert.equal(line.nextOf([2, 5, 9], 5, -1), 2);
  assert.equal(line.nextOf([2, 5, 9], 9, 1), undefined);
});

test("keys mean their actions, and leave the browser's own alone", () => {
  const key = (name, more = {}) => actionOf({ key: name, ...more });
  assert.equal(key("z", { ctrlKey: true }).action, "undo");
  assert.equal(key("Z", { ctrlKey: true, shiftKey: true }).action, "redo");
  assert.equal(key("y", { metaKey: true }).action, "redo");
  assert.equal(key("A").action, "notHere");
  assert.equal(key("ArrowLeft", { shiftKey: true }).action, "back10");
  assert.deepEqual(key("3"), { action: "object", object: 3 });
  for (const one of [key("c", { ctrlKey: true }), key("F5"), key("Tab"), key("x", { altKey: true })]) assert.equal(one, null);
});

test("every language has the same words and values, every key and hint its line", () => {
  for (const words of [ZH, JA]) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(EN).sort());
    for (const [key, text] of Object.entries(words)) {
      const values = (one) => [...one.matchAll(/\{\w+\}/g)].map(String).sort();
      assert.deepEqual(values(text), values(EN[key]), key);
    }
  }
  for (const [action] of KEYS) assert.ok(EN[`key.${action}`], action);
  assert.equal(spoken("fr"), "en");
  assert.equal(wordsIn("ja")("index", { index: 3, count: 9 }), "番号 3 / 9");
});

test("every word that the code asks for exists", () => {
  const folder = new URL("../../web/js/annotator/", import.meta.url);
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".js") && !name.startsWith("words"))) {
    const code = fs.readFileSync(new URL(file, folder), "utf8");
    for (const [, key] of code.matchAll(/\b(?:t|tell)\(\s*"([\w.]+)"/g)) assert.ok(key in EN, `${file}: ${key}`);
  }
});

test("colors are the file's, and told apart", () => {
  assert.equal(new Set(COLORS).size, COLORS.length);
  assert.deepEqual(rgb("#0a10ff"), [10, 16, 255]);
});

test("the outline follows the edge of an object, hidden objects are not drawn", () => {
  const map = { width: 5, height: 3, pixels: Uint8Array.of(1, 1, 1, 2, 2, 1, 1, 1, 2, 2, 1, 1, 1, 2, 2) };
  const objects = [{ id: 1, color: "#ff0000", visible: true }, { id: 2, color: "#00ff00", visible: false }];
  const rect = { left: 0, top: 0, right: 5, bottom: 3 };
  const style = { mode: "overlay", opacity: 0.5, reach: 1, isDashed: new Uint8Array(256), active: 0 };
  const alpha = (one) => [...colored(map, rect, palette(objects, rgb), one)].filter((_, i) => i % 4 === 3).slice(5, 10);
  assert.deepEqual(alpha(style), [128, 128, 255, 0, 0]);
  assert.deepEqual(alpha({ ...style, mode: "outline" }), [0, 0, 255, 0, 0]);
  assert.deepEqual(alpha({ ...style, mode: "matte" }), [255, 255, 255, 255, 255]);
});

test("a pass of the present state stands over answers, an answer over a stale pass", () => {
  const results = new Results();
  const isCurrent = (result) => result.revision === "now";
  results.add({ token: "p0", kind: "pass", revision: "old", frames: [1, 2, 3] });
  results.add({ token: "a1", kind: "answers", revision: "now", frames: [2] });
  assert.deepEqual([results.shownAt(1, isCurrent).result.token, results.shownAt(1, isCurrent).isStale], ["p0", true]);
  assert.equal(results.shownAt(2, isCurrent).result.token, "a1");
  results.addFrames({ token: "p1", kind: "pass", revision: "now", frames: [2] });
  assert.equal(results.shownAt(2, isCurrent).result.token, "p1");
  results.addFrames({ token: "p1", kind: "pass", revision: "now", frames: [3] });
  assert.deepEqual([...results.currentFrames(isCurrent)].sort(), [2, 3]);
  assert.equal(results.shownAt(9, isCurrent), null);
});
