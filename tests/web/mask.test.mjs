import assert from "node:assert/strict";
import test from "node:test";
import { Mask, pack, unpack } from "../../web/js/annotator/mask.js";

test("pixels come back from packed runs exactly", () => {
  const pixels = Uint8Array.from({ length: 5000 }, (_, i) => (i % 7 ? (i >> 5) % 256 : 255));
  assert.deepEqual(unpack(pack(pixels), pixels.length), pixels);
  assert.deepEqual(unpack(pack(new Uint8Array(0)), 0), new Uint8Array(0));
});

test("runs longer than a count holds are split", () => {
  const pixels = new Uint8Array(2 ** 24 + 5).fill(9);
  const runs = pack(pixels);
  assert.equal(runs.length, 2);
  assert.equal(unpack(runs, pixels.length)[2 ** 24 + 4], 9);
});

test("a mask does not follow what is painted later", () => {
  const map = { width: 3, height: 1, pixels: Uint8Array.of(1, 2, 3) };
  const mask = Mask.of(map);
  map.pixels[0] = 9;
  assert.deepEqual([...mask.map().pixels], [1, 2, 3]);
  mask.map().pixels[1] = 9;
  assert.deepEqual([...mask.map().pixels], [1, 2, 3]);
});

test("a mask known by name has no pixels until they come", () => {
  const mask = Mask.named("ab");
  assert.equal(mask.isLoaded, false);
  mask.fill({ width: 1, height: 1, pixels: Uint8Array.of(4) });
  assert.equal(mask.isLoaded, true);
  assert.equal(mask.hash, "ab");
});
