import assert from "node:assert/strict";
import test from "node:test";
import {
  VOID, composite, emptyMap, floodFill, labelsIn, paintPolygon, paintSegment, resized, saidPart, withoutLabels,
  writableByEraser, writableUnder,
} from "../../web/js/annotator/label_map.js";

const ALL = writableUnder([]);
const mapOf = (...rows) => ({
  width: rows[0].length, height: rows.length, pixels: Uint8Array.from(rows.join(""), (one) => Number(one)),
});
const text = (map) => [...map.pixels].join("").match(new RegExp(`.{${map.width}}`, "g")).join(" ");

test("a dab paints the pixels whose center lies inside its circle", () => {
  const map = emptyMap(7, 7);
  const dab = { x: 3.5, y: 3.5, radius: 2 };
  paintSegment(map, dab, dab, 1, ALL);
  assert.equal(text(map), "0000000 0001000 0011100 0111110 0011100 0001000 0000000");
});

test("a segment is a capsule, whole between two far dabs", () => {
  const map = emptyMap(100, 9);
  paintSegment(map, { x: 5, y: 4.5, radius: 2 }, { x: 95, y: 4.5, radius: 2 }, 3, ALL);
  for (let x = 5; x < 95; x++)
    assert.equal([...Array(9).keys()].filter((y) => map.pixels[y * 100 + x]).length, 5, `column ${x}`);
});

test("pressure makes a cone: the radius goes over from one dab to the other", () => {
  const map = emptyMap(60, 41);
  paintSegment(map, { x: 5, y: 20.5, radius: 2 }, { x: 50, y: 20.5, radius: 18 }, 1, ALL);
  const high = (x) => [...Array(41).keys()].filter((y) => map.pixels[y * 60 + x]).length;
  assert.ok(high(8) < high(25) && high(25) < high(45));
});

test("a stroke tells a rectangle that holds all it changed, and stays in the picture", () => {
  const map = emptyMap(20, 20);
  const rect = paintSegment(map, { x: -3, y: 5, radius: 4 }, { x: 8, y: 25, radius: 4 }, 1, ALL);
  for (let y = 0; y < 20; y++) for (let x = 0; x < 20; x++) {
    const isInside = x >= rect.left && x < rect.right && y >= rect.top && y < rect.bottom;
    assert.ok(isInside || !map.pixels[y * 20 + x]);
  }
  assert.equal(paintSegment(map, { x: -30, y: 5, radius: 4 }, { x: -20, y: 5, radius: 4 }, 1, ALL), null);
});

test("locked objects are not painted over, others are", () => {
  const map = mapOf("1122");
  const dab = { x: 2, y: 0.5, radius: 5 };
  paintSegment(map, dab, dab, 3, writableUnder([2]));
  assert.equal(text(map), "3322");
});

test("the eraser takes pixels of its object alone", () => {
  const map = mapOf("1122");
  const dab = { x: 2, y: 0.5, radius: 5 };
  paintSegment(map, dab, dab, 0, writableByEraser(1));
  assert.equal(text(map), "0022");
});

test("a polygon is filled by the even-odd rule at pixel centers", () => {
  const map = emptyMap(6, 5);
  paintPolygon(map, [[1, 1], [5, 1], [5, 4], [1, 4]], 2, ALL);
  assert.equal(text(map), "000000 022220 022220 022220 000000");
  const crossed = emptyMap(8, 8);
  paintPolygon(crossed, [[0, 0], [8, 0], [8, 8], [0, 8], [0, 0], [2, 2], [6, 2], [6, 6], [2, 6], [2, 2]], 1, ALL);
  assert.equal(crossed.pixels[4 * 8 + 4], 0);
  assert.equal(crossed.pixels[4 * 8 + 1], 1);
  assert.equal(paintPolygon(map, [[0, 0], [5, 5]], 1, ALL), null);
});

test("fill takes the connected area of one label and no other", () => {
  const map = mapOf("0010", "0010", "1110", "0000");
  const rect = floodFill(map, 0.5, 0.5, 2, ALL);
  assert.equal(text(map), "2210 2210 1110 0000");
  assert.deepEqual(rect, { left: 0, top: 0, right: 2, bottom: 2 });
  assert.equal(floodFill(map, 2, 0, 3, writableUnder([1])), null);
  assert.equal(floodFill(map, 9, 9, 3, ALL), null);
});

test("what is delivered is the paint for the objects it speaks of, the prediction for others", () => {
  const predicted = mapOf("1122330");
  const painted = mapOf("0010000");
  assert.equal(text(composite(predicted, painted, [1])), "0012330");
  assert.equal(text(composite(null, painted, [1])), "0010000");
});

test("an annotation keeps of the shown picture what it speaks of, and what was void", () => {
  const shown = mapOf("1122300");
  const before = mapOf("0000000");
  before.pixels[5] = before.pixels[0] = VOID;
  const shownBefore = mapOf("0122300");
  assert.deepEqual([...saidPart(shown, [1, 2], before, shownBefore).pixels], [1, 1, 2, 2, 0, VOID, 0]);
});

test("void is shown as what is predicted there", () => {
  const painted = mapOf("10");
  painted.pixels[1] = VOID;
  assert.deepEqual([...composite(mapOf("22"), painted, [1]).pixels], [1, 2]);
  assert.deepEqual([...composite(null, painted, [1]).pixels], [1, 0]);
  assert.deepEqual(labelsIn(painted), [1]);
});

test("a map is enlarged by the nearest pixel", () => {
  assert.equal(text(resized(mapOf("12", "34"), 4, 4)), "1122 1122 3344 3344");
  assert.equal(text(resized(mapOf("1122", "1122", "3344", "3344"), 2, 2)), "12 34");
});

test("objects leave a map", () => {
  assert.equal(text(withoutLabels(mapOf("1232"), [2])), "1030");
});
