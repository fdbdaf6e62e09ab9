import assert from "node:assert/strict";
import test from "node:test";
import * as said from "../../web/js/annotator/document.js";
import { paintSegment } from "../../web/js/annotator/label_map.js";
import { Mask } from "../../web/js/annotator/mask.js";
import { Painting } from "../../web/js/annotator/painting.js";

const SIZE = { width: 6, height: 1 };
const objects = (...locked) => [1, 2, 3].map((id) => ({ id, name: "", color: "#000000", visible: true, locked: locked.includes(id) }));
const document = (...locked) => ({ ...said.EMPTY, objects: objects(...locked) });
const map = (text) => ({ ...SIZE, pixels: Uint8Array.from(text, Number) });
const row = (one) => [...one.pixels].join("");

function stroke(painting, x, id, isErasing = false) {
  painting.begin();
  const dab = { x, y: 0.5, radius: 0.6 };
  paintSegment(painting.shown, dab, dab, isErasing ? 0 : id, painting.writable(id, isErasing));
  return painting.end([id]);
}

test("a stroke on a result takes that object's mask over, and no other", () => {
  const { mask, said: ids } = stroke(new Painting(SIZE, document(), 0, map("112200")), 4.5, 1);
  assert.equal(row(mask.map()), "110010");
  assert.deepEqual(ids, [1]);
});

test("the eraser corrects a result", () => {
  const { mask } = stroke(new Painting(SIZE, document(), 0, map("111220")), 0.5, 1, true);
  assert.equal(row(mask.map()), "011000");
});

test("a locked object is not painted over, said or predicted", () => {
  const { mask } = stroke(new Painting(SIZE, document(2), 0, map("222222")), 2.5, 1);
  assert.equal(row(mask.map()), "000000");
});

test("an object without a pixel left is not said", () => {
  const { said: ids, emptied } = stroke(new Painting(SIZE, document(), 0, map("100000")), 0.5, 1, true);
  assert.deepEqual([ids, emptied], [[], [1]]);
});

test("what is shown after a stroke is what was shown at its end", () => {
  const painting = new Painting(SIZE, document(), 0, map("112233"));
  const { mask, said: ids } = stroke(painting, 3.5, 1);
  const after = new Painting(SIZE, said.withPaint(document(), 0, mask, ids), 0, map("112233"));
  assert.equal(row(after.shown), row(painting.shown));
});

test("an object that is not here is not shown", () => {
  const absent = said.withAbsentRange(document(), 2, 0, 4);
  assert.equal(row(new Painting(SIZE, absent, 3, map("112233")).shown), "110033");
});

test("a canceled stroke leaves nothing", () => {
  const painting = new Painting(SIZE, document(), 0, map("112233"));
  painting.begin();
  painting.shown.pixels.fill(3);
  painting.cancel();
  assert.equal(row(painting.shown), "112233");
});

test("a result of another size is shown at the size of the plate", () => {
  assert.equal(row(new Painting(SIZE, document(), 0, { width: 2, height: 1, pixels: Uint8Array.of(1, 2) }).shown), "111222");
});

test("a mask of another clip's size is painted on at the size of this one", () => {
  const { mask, said: ids } = stroke(new Painting(SIZE, document(), 0, null), 0.5, 1);
  const large = { width: 12, height: 2 };
  const painting = new Painting(large, said.withPaint(document(), 0, mask, ids), 0, null);
  assert.equal(row(painting.shown), "110000000000110000000000");
  const after = stroke(painting, 8.5, 1);
  assert.equal(row(after.mask.map()), "110000001000110000000000");
});

test("a frame of which nothing is known is blank until it is painted on", () => {
  const painting = new Painting(SIZE, document(), 0, null);
  assert.equal(painting.isBlank, true);
  const { mask } = stroke(painting, 0.5, 1);
  assert.equal(painting.isBlank, false);
  assert.equal(row(mask.map()), "100000");
  assert.equal(new Painting(SIZE, document(), 0, map("100000")).isBlank, false);
});

test("void pixels of an annotation alone are shown as nothing", () => {
  const annotated = said.withPaint(document(), 0, Mask.of({ ...SIZE, pixels: Uint8Array.from([255, 1, 255, 0, 2, 255]) }), [1, 2]);
  assert.equal(row(new Painting(SIZE, annotated, 0, null).shown), "010020");
});
