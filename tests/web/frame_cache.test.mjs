import assert from "node:assert/strict";
import test from "node:test";
import { FrameCache, prefetchOrder } from "../../web/js/annotator/frame_cache.js";

const tick = () => new Promise((resolve) => setImmediate(resolve));

function bench(options = {}) {
  const asked = [];
  const open = new Map();
  const released = [];
  const load = (frame, signal) => new Promise((resolve, reject) => {
    asked.push(frame);
    open.set(frame, () => resolve(`picture ${frame}`));
    signal.addEventListener("abort", () => reject(new Error("aborted")));
  });
  const cache = new FrameCache({ load, release: (one) => released.push(one), bytesOf: () => 10, mostBytes: 30, mostRunning: 2, ...options });
  return { cache, asked, released, finish: async (frame) => { open.get(frame)(); await tick(); } };
}

test("the wish is fetched first, then what lies ahead", async () => {
  const { cache, asked, finish } = bench();
  cache.want(5, [6, 4, 7]);
  assert.deepEqual(asked, [5, 6]);
  await finish(5);
  assert.deepEqual(asked, [5, 6, 4]);
  assert.equal(cache.get(5), "picture 5");
});

test("only the latest wish counts: frames passed over are given up", async () => {
  const { cache, asked } = bench();
  for (const frame of [1, 2, 3, 4, 5, 6]) cache.want(frame);
  await tick();
  await tick();
  assert.deepEqual(asked, [1, 2, 6]);
});

test("a wish that is given up and wished again is fetched", async () => {
  const { cache, asked, finish } = bench();
  cache.want(1);
  cache.want(2);
  cache.want(1);
  await tick();
  await tick();
  assert.equal(asked.filter((frame) => frame === 1).length, 2);
  await finish(1);
  assert.equal(cache.has(1), true);
});

test("the least used pictures go when the budget is full, the wish stays", async () => {
  const { cache, released, finish } = bench();
  for (const frame of [1, 2, 3]) {
    cache.want(frame);
    await finish(frame);
  }
  cache.get(1);
  cache.want(4);
  await finish(4);
  assert.deepEqual(released, ["picture 2"]);
  assert.deepEqual(cache.frames.sort(), [1, 3, 4]);
  assert.equal(cache.bytes, 30);
});

test("a failed fetch is told once and not repeated by itself", async () => {
  const told = [];
  const cache = new FrameCache({ load: async () => { throw new Error("gone"); }, release() {}, bytesOf: () => 1, mostBytes: 9,
    onFailed: (frame, error) => told.push([frame, error.message]) });
  cache.want(3);
  await tick();
  await tick();
  assert.deepEqual(told, [[3, "gone"]]);
});

test("a closed cache gives its pictures up, also those that come later", async () => {
  const { cache, released, finish } = bench();
  cache.want(1);
  await finish(1);
  cache.want(2);
  cache.close();
  await tick();
  assert.ok(released.includes("picture 1"));
  assert.equal(cache.bytes, 0);
});

test("prefetching goes mostly where the artist goes, and stays in the shot", () => {
  assert.deepEqual(prefetchOrder(10, 1, 100, 6), [11, 12, 13, 9, 14, 15, 16, 8]);
  assert.deepEqual(prefetchOrder(0, -1, 100, 3), [1]);
  assert.deepEqual(prefetchOrder(99, 1, 100, 2), []);
});

test("a drag that passes over frames is followed ahead in its own steps", () => {
  assert.deepEqual(prefetchOrder(50, 4, 100, 3), [54, 58, 62, 46]);
  assert.deepEqual(prefetchOrder(2, -4, 100, 3), [6]);
});
