import assert from "node:assert/strict";
import test from "node:test";
import * as said from "../../web/js/annotator/document.js";
import { History } from "../../web/js/annotator/history.js";
import { Mask } from "../../web/js/annotator/mask.js";

const name = (id) => `object ${id}`;
const mask = (hash = "a") => Mask.named(hash);
const two = () => said.withObject(said.withObject(said.EMPTY, name).document, name).document;

test("objects take the lowest free id and its color", () => {
  const document = two();
  assert.deepEqual(document.objects.map((one) => one.id), [1, 2]);
  const without = said.withoutObject(document, 1, (one) => one);
  assert.equal(said.withObject(without, name).object.id, 1);
  assert.notEqual(document.objects[0].color, document.objects[1].color);
});

test("254 objects is the most", () => {
  let document = said.EMPTY;
  for (let i = 0; i < 254; i++) ({ document } = said.withObject(document, name));
  assert.equal(said.withObject(document, name), null);
});

test("an object that was not painted is not said", () => {
  const document = said.withPaint(two(), 5, mask(), [2]);
  assert.equal(said.says(document, 5, 2), true);
  assert.equal(said.says(document, 5, 1), false);
  assert.equal(said.isAbsent(document, 5, 1), false);
  assert.equal(said.isWhole(document, 5), false);
});

test("paint takes an absence back, on the frame and in a range", () => {
  let document = said.withAbsence(two(), 5, 1, mask());
  document = said.withAbsentRange(document, 1, 3, 8);
  document = said.withPaint(document, 5, mask("b"), [1]);
  assert.equal(said.isAbsent(document, 5, 1), false);
  assert.deepEqual(document.absentRanges, [{ object: 1, first: 3, last: 4 }, { object: 1, first: 6, last: 8 }]);
});

test("a frame on which nothing is left to say is no annotation", () => {
  const document = said.withAbsence(two(), 5, 1, null);
  assert.deepEqual(said.annotatedFrames(document), [5]);
  assert.deepEqual(said.annotatedFrames(said.withoutSaying(document, 5, 1, null)), []);
});

test("absence ranges that touch become one, and open where they are taken back", () => {
  let document = said.withAbsentRange(said.withAbsentRange(two(), 1, 3, 5), 1, 6, 9);
  assert.deepEqual(document.absentRanges, [{ object: 1, first: 3, last: 9 }]);
  document = said.withoutAbsentRange(document, 1, 5, 6);
  assert.deepEqual(document.absentRanges, [{ object: 1, first: 3, last: 4 }, { object: 1, first: 7, last: 9 }]);
  assert.equal(said.isAbsent(document, 4, 1), true);
  assert.equal(said.isAbsent(document, 4, 2), false);
});

test("a deleted object leaves no word behind", () => {
  let document = said.withPaint(two(), 5, mask(), [1, 2]);
  document = said.withAbsentRange(said.withAbsence(document, 6, 1, null), 1, 8, 9);
  const changed = mask("c");
  document = said.withoutObject(document, 1, () => changed);
  assert.deepEqual(document.annotations, { 5: { mask: changed, objects: [2], absent: [] } });
  assert.deepEqual(document.absentRanges, []);
});

test("name, color, lock, order and range do not change what an answer depends on", () => {
  const nameOf = (one) => one.serial;
  const document = said.withPaint(two(), 5, mask(), [1]);
  const meaning = said.meaning(document, nameOf);
  for (const other of [said.withChange(document, 1, { name: "x", locked: true, visible: false }),
    said.withMoved(document, 1, 1), said.withRange(document, [3, 4])])
    assert.equal(said.meaning(other, nameOf), meaning);
  assert.notEqual(said.meaning(said.withPaint(document, 5, mask(), [1]), nameOf), meaning);
  assert.notEqual(said.meaning(said.withAbsence(document, 6, 2, null), nameOf), meaning);
});

test("a document goes to the server and comes back", () => {
  let document = said.withPaint(two(), 12, mask("m"), [1]);
  document = said.withRange(said.withAbsentRange(said.withAbsence(document, 3, 2, null), 2, 20, 31), [0, 40]);
  const stored = JSON.parse(JSON.stringify(said.toServer(document, "key", "")));
  assert.deepEqual(stored.annotations, { 3: { mask: "", objects: [], absent: [2] }, 12: { mask: "m", objects: [1], absent: [] } });
  assert.deepEqual(stored.absent_ranges, [{ object: 2, first: 20, last: 31 }]);
  assert.deepEqual(said.toServer(said.fromServer(stored), "key", ""), stored);
});

test("undo and redo walk the same steps; a new step ends redo", () => {
  const history = new History();
  for (const step of [1, 2, 3]) history.push(step);
  assert.deepEqual([history.undo(), history.undo(), history.redo()], [3, 2, 2]);
  history.push(4);
  assert.equal(history.canRedo, false);
  assert.deepEqual([history.undo(), history.undo(), history.undo(), history.undo()], [4, 2, 1, null]);
});

test("a lost mask is known until its frame is said anew, and what is absent there stays", () => {
  let document = said.withPaint(two(), 12, mask("m"), [1]);
  document = said.withAbsence(document, 12, 2, document.annotations[12].mask);
  assert.equal(said.hasLostMask(document), false);
  document.annotations[12].mask.isLost = true;
  assert.equal(said.hasLostMask(document), true);
  const without = said.withoutMask(document, 12);
  assert.deepEqual(without.annotations[12], { mask: null, objects: [], absent: [2] });
  assert.equal(said.hasLostMask(without), false);
  document.annotations[12].mask.fill({ width: 1, height: 1, pixels: new Uint8Array(1) });
  assert.equal(said.hasLostMask(document), false);
});
