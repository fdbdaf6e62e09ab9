import assert from "node:assert/strict";
import test from "node:test";
import { Asker, neighbors, REST_MS } from "../../web/js/annotator/asker.js";

const tick = () => new Promise((resolve) => setImmediate(resolve));

function bench({ known = [], free = true, count = 20 } = {}) {
  const state = { asked: [], answered: new Set(known), free, canceled: 0, timers: [], errors: [] };
  state.asker = new Asker({
    submit: (frames) => new Promise((resolve, reject) => {
      state.asked.push(frames);
      state.answer = async () => { frames.forEach((one) => state.answered.add(one)); resolve(true); await tick(); };
      state.refuse = async () => { resolve(false); await tick(); };
      state.fail = async () => { reject(new Error("no")); await tick(); };
    }),
    cancel: () => { state.canceled += 1; state.refuse(); },
    isNeeded: (frame) => !state.answered.has(frame),
    isFree: () => state.free,
    count: () => count,
    onError: (error) => state.errors.push(error.message),
    later: (run, ms) => { const timer = { run, ms }; state.timers.push(timer); return timer; },
    never: (timer) => { state.timers = state.timers.filter((one) => one !== timer); },
  });
  state.rested = () => { const due = state.timers; state.timers = []; due.forEach((one) => one.run()); };
  return state;
}

test("a frame is asked for after a rest, not while scrubbing", () => {
  const state = bench();
  for (const frame of [1, 2, 3, 4]) state.asker.rest(frame);
  assert.equal(state.timers.length, 1);
  assert.equal(state.timers[0].ms, REST_MS);
  state.rested();
  assert.deepEqual(state.asked, [[4]]);
});

test("of questions that wait only the latest counts", async () => {
  const state = bench();
  state.asker.rest(1);
  state.rested();
  for (const frame of [5, 6, 7]) { state.asker.rest(frame); state.rested(); }
  await state.answer();
  assert.deepEqual(state.asked, [[1], [7]]);
});

test("what is known is not asked", () => {
  const state = bench({ known: [3] });
  state.asker.rest(3);
  state.rested();
  assert.deepEqual(state.asked, []);
});

test("after a correction this frame comes first, then its neighbors outward", async () => {
  const state = bench({ known: [9] });
  state.asker.rest(10, true);
  state.rested();
  await state.answer();
  await state.answer();
  assert.deepEqual(state.asked, [[10], [11, 12], [8, 13]]);
});

test("a new wish goes before the neighbors", async () => {
  const state = bench();
  state.asker.rest(10, true);
  state.rested();
  await state.answer();
  state.asker.rest(2);
  state.rested();
  await state.answer();
  assert.deepEqual(state.asked.slice(0, 3), [[10], [11, 9], [2]]);
});

test("neighbors wait while another prompt runs", async () => {
  const state = bench();
  state.asker.rest(10, true);
  state.rested();
  state.free = false;
  await state.answer();
  assert.deepEqual(state.asked, [[10]]);
  state.free = true;
  state.asker.next();
  assert.deepEqual(state.asked, [[10], [11, 9]]);
});

test("a stroke takes the question back and nothing is asked until it ends", async () => {
  const state = bench();
  state.asker.rest(4);
  state.rested();
  state.asker.hold();
  await tick();
  assert.equal(state.canceled, 1);
  state.asker.next();
  assert.deepEqual(state.asked, [[4]]);
  state.asker.release();
  state.asker.rest(4, true);
  state.rested();
  assert.deepEqual(state.asked, [[4], [4]]);
});

test("a failure is told and ends the round", async () => {
  const state = bench();
  state.asker.rest(4, true);
  state.rested();
  await state.fail();
  assert.deepEqual(state.errors, ["no"]);
  assert.deepEqual(state.asked, [[4]]);
});

test("neighbors go outward and stay in the shot", () => {
  assert.deepEqual(neighbors(1, 5, 3), [2, 0, 3, 4]);
});
