import assert from "node:assert/strict";
import test from "node:test";
import { Mask } from "../../web/js/annotator/mask.js";
import { Studio } from "../../web/js/annotator/studio.js";
import * as said from "../../web/js/annotator/document.js";

const SIZE = { width: 6, height: 1 };
const map = (text) => ({ ...SIZE, pixels: Uint8Array.from(text, Number) });
const row = (one) => [...one.pixels].join("");
const SOURCE = { key: "k", count: 9, ...SIZE, digits: 5, first_number: 0 };
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** A studio on a clip; masks come from `masks`, by name, and what is missing there is 404. */
function studioOf(masks = {}) {
  const server = {
    frame: async () => ({}),
    mask: async (_project, hash) => {
      if (masks[hash]) return masks[hash];
      throw Object.assign(new Error(`mask ${hash} is not there`), { status: 404 });
    },
    postMask: async () => "h",
    postRevision: async () => "r",
  };
  const codec = { decode: async () => ({ width: 1, height: 1 }), decodeMask: async (one) => one, encodeMask: async () => "png" };
  const studio = new Studio({ server, codec, t: (key) => key });
  studio.open(SOURCE);
  return studio;
}

function withMask(studio, hash) {
  const document = said.withPaint(said.withObject(said.EMPTY, String).document, 0, Mask.named(hash), [1]);
  studio.commit(document, "stroke");
}

test("while a newer result is on its way the picture that is seen can be painted on", () => {
  const studio = studioOf();
  studio.predictedAt = () => map("110000");
  studio.refresh();
  studio.predictedAt = () => undefined;
  studio.refresh();
  assert.equal(row(studio.painting.shown), "110000");
  studio.show(3);
  assert.equal(studio.painting, null, "another frame is not shown with it");
  studio.close();
});

test("a lost mask is said once, and its frame can be painted anew", async () => {
  const studio = studioOf();
  withMask(studio, "gone");
  await turn();
  assert.equal(said.hasLostMask(studio.document), true);
  assert.equal(row(studio.painting.shown), "000000");
  studio.refresh();
  await turn();
  assert.equal(studio.messages.filter(({ key }) => key === "maskLost").length, 1);
  studio.activeId = 1;
  studio.begin();
  studio.painting.shown.pixels[2] = 1;
  studio.end([1]);
  assert.equal(said.hasLostMask(studio.document), false);
  assert.equal(row(studio.document.annotations[0].mask.map()), "001000");
  studio.close();
});

test("a mask that is back is shown, and is no longer said to be missing", async () => {
  const masks = {};
  const studio = studioOf(masks);
  withMask(studio, "gone");
  await turn();
  studio.tellText("the mask gone.png is missing", "warning");
  masks.gone = map("011000");
  studio.show(1);
  studio.show(0);
  await turn();
  assert.equal(row(studio.painting.shown), "011000");
  assert.equal(said.hasLostMask(studio.document), false);
  assert.deepEqual(studio.messages.filter(({ text }) => text.includes("gone")), []);
  studio.close();
});

test("a notice is told once, and not again after it was closed", () => {
  const studio = studioOf();
  const notice = { kind: "size", text: "Masks are scaled." };
  studio.notice(notice);
  studio.notice(notice);
  assert.equal(studio.messages.length, 1);
  studio.dismiss(notice.text);
  studio.notice(notice);
  assert.equal(studio.messages.length, 0);
  studio.close();
});
