import assert from "node:assert/strict";
import test from "node:test";
import * as said from "../../web/js/annotator/document.js";
import { Mask } from "../../web/js/annotator/mask.js";
import { Saver } from "../../web/js/annotator/saver.js";

const painted = (value) => Mask.of({ width: 2, height: 1, pixels: Uint8Array.of(value, 0) });
const withFrames = (...masks) => masks.reduce((document, mask, frame) => said.withPaint(document, frame, mask, [1]),
  said.withObject(said.EMPTY, () => "one").document);

function bench() {
  const log = [];
  const server = {
    postMask: async (project, png) => { log.push(`mask ${png}`); return `hash-${png}`; },
    postRevision: async (project, document) => {
      if (server.refuses) throw new Error("disk full");
      log.push(`revision of ${Object.keys(document.annotations)} after ${document.parent || "none"}`);
      return `r${log.length}`;
    },
    mask: async (project, hash) => { log.push(`get ${project} ${hash}`); return `copy of ${hash}`; },
  };
  const [saved, errors] = [[], []];
  const saver = new Saver({ server, encode: async (map) => `png${map.pixels[0]}`,
    onSaved: (value) => saved.push(value), onError: (error) => errors.push(error.message) });
  return { saver, server, log, saved, errors };
}

test("masks go first, then the revision, then the value", async () => {
  const { saver, log, saved } = bench();
  saver.save(withFrames(painted(1), painted(2)), "key");
  assert.equal(saved.length, 0);
  assert.equal(await saver.settled(), true);
  assert.deepEqual(log, ["mask png1", "mask png2", "revision of 0,1 after none"]);
  assert.match(saved[0].project, /^[0-9a-f]{16}$/);
  assert.equal(saved[0].revision, "r3");
});

test("a mask that the server has is not sent again", async () => {
  const { saver, log } = bench();
  const one = painted(1);
  saver.save(withFrames(one), "key");
  await saver.settled();
  saver.save(withFrames(one, painted(2)), "key");
  await saver.settled();
  assert.deepEqual(log, ["mask png1", "revision of 0 after none", "mask png2", "revision of 0,1 after r2"]);
});

test("while a save runs the latest document waits and those between are skipped", async () => {
  const { saver, log } = bench();
  for (const value of [1, 2, 3, 4]) saver.save(withFrames(painted(value)), "key");
  await saver.settled();
  assert.deepEqual(log.filter((line) => line.startsWith("mask")), ["mask png1", "mask png4"]);
});

test("a failure is told, and the next save sends what is missing", async () => {
  const { saver, server, errors, saved } = bench();
  server.refuses = true;
  saver.save(withFrames(painted(1)), "key");
  assert.equal(await saver.settled(), false);
  assert.deepEqual(errors, ["disk full"]);
  server.refuses = false;
  saver.save(withFrames(painted(1)), "key");
  assert.equal(await saver.settled(), true);
  assert.equal(saved.length, 1);
});

test("a copy becomes a project of its own with all masks", async () => {
  const { saver, log, saved } = bench();
  const known = Mask.named("old");
  saver.start("0123456789abcdef", "r0", withFrames(known));
  saver.fork();
  saver.save(withFrames(known, painted(2)), "key");
  await saver.settled();
  assert.deepEqual(log, ["get 0123456789abcdef old", "mask copy of old", "mask png2", "revision of 0,1 after none"]);
  assert.notEqual(saved[0].project, "0123456789abcdef");
});
