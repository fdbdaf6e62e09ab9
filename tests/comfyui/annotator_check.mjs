// The view of "Annotate Shot" driven as an artist does, in one canvas mode of the stock frontend.
//
//   node annotator_check.mjs --url URL --out FOLDER --mode litegraph|vue [--language en|zh|ja]
//
// browser.py starts the server and calls this. Exit code 1 on a page error or a check that fails.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const { chromium } = createRequire(`${process.env.NODE_PATH}/`)('playwright-core');

const options = { chromium: '/usr/bin/chromium', language: 'en' };
for (let i = 2; i < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];
const isVue = options.mode === 'vue';
const TYPE = 'XMemPPAnnotator';
const WORKFLOW = new URL('../../workflows/01_annotate_a_shot.json', import.meta.url);
const PASS_MS = 10 * 60 * 1000;

let failures = 0;
const fail = (text) => { failures += 1; console.log(`FAIL [${options.mode}] ${text}`); };
const note = (text) => console.log(`ok   [${options.mode}] ${text}`);
const check = (isRight, text, got = '') => (isRight ? note(text) : fail(`${text}: ${JSON.stringify(got)}`));

const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ['--no-sandbox', '--enable-unsafe-swiftshader'],
});
let page;

/** Opens the frontend in a new page; without JS of the pack where `isBlocked`. */
async function openPage(isBlocked = false) {
  page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => fail(`page error: ${String(error.stack).slice(0, 400)}`));
  if (isBlocked) await page.route(/extensions\/xmempp-comfyui\/.*\.js/, (route) => route.abort());
  const settings = { 'Comfy.TutorialCompleted': true, 'Comfy.VueNodes.Enabled': isVue, 'Comfy.Locale': options.language };
  await page.request.post(`${options.url}/api/settings`, { data: settings });
  await page.goto(options.url);
  await ready();
}

async function ready() {
  await page.waitForFunction(
    () => window.app?.extensionManager && window.app?.graph && document.querySelector('canvas'),
    null, { timeout: 180000 });
  await page.waitForTimeout(2500);
  await page.keyboard.press('Escape');
}

const screenshot = async (name) => {
  await page.waitForTimeout(400);
  await page.screenshot({ path: path.join(options.out, `annotator_${name}.${options.mode}.png`) });
};

/** Loads a workflow and puts its annotator in the middle of the window. */
async function load(json) {
  await page.evaluate(async ([json, type]) => {
    await app.loadGraphData(json);
    const node = app.graph._nodes.find((one) => one.type === type);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [140 - node.pos[0], 110 - node.pos[1]];
    app.canvas.setDirty(true, true);
  }, [json, TYPE]);
  await page.waitForTimeout(1500);
}

const workflow = () => JSON.parse(fs.readFileSync(WORKFLOW, 'utf8'));

/** The value of the first annotator's widget, read from the graph. */
const value = (nth = 0) => page.evaluate(([type, nth]) => {
  const text = app.graph._nodes.filter((one) => one.type === type)[nth].widgets.find((one) => one.name === 'project').value;
  return text ? JSON.parse(text) : null;
}, [TYPE, nth]);

const root = (nth = 0) => page.locator('.xmempp-annotator').nth(nth);
const button = (name, nth = 0) => root(nth).getByRole('button', { name, exact: true });
const state = () => root().locator('.badge.state').textContent();
const number = () => root().locator('.badge.number').textContent();
const live = () => root().locator('.live').textContent();

/** Waits until a function of the page is true. */
async function until(what, run, timeout = 60000) {
  for (const end = Date.now() + timeout; Date.now() < end;) {
    if (await run()) return note(what);
    await page.waitForTimeout(50);
  }
  return fail(`${what}: not within ${timeout / 1000} s; ${await state().catch(() => '')}; ${await live().catch(() => '')}`);
}

const saved = () => page.waitForTimeout(250).then(() => until('saved', async () => (await root().locator('.status span').last().textContent()) === 'saved', 20000));

async function openShot() {
  await page.locator('.xmempp-annotator button.main').first().click();
  await until('the shot is open', () => page.evaluate(() => document.querySelector('.xmempp-annotator .cover').hidden));
  await until('the frame is here', async () => await page.evaluate(() => {
    const canvas = document.querySelector('.xmempp-annotator .stage canvas');
    const middle = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    return middle[3] === 255;
  }));
}

/** What the artist has done since the last count. */
const actions = { presses: 0, keys: 0, strokes: 0 };
const count = () => ({ ...actions, total: actions.presses + actions.keys });

async function key(name) {
  actions.keys += 1;
  await page.keyboard.press(name);
}

/** A point of the plate, 0..1, on the page, while the picture is fitted. */
async function place(u, v) {
  const box = await root().locator('.stage canvas').boundingBox();
  const [width, height] = [1280, 720];
  const scale = Math.min(box.width / width, box.height / height);
  return [box.x + box.width / 2 + (u - 0.5) * width * scale, box.y + box.height / 2 + (v - 0.5) * height * scale];
}

async function stroke(...points) {
  actions.strokes += 1;
  await page.mouse.move(...await place(...points[0]));
  await page.mouse.down();
  for (const point of points) await page.mouse.move(...await place(...point), { steps: 8 });
  await page.mouse.up();
}

async function scrubTo(frame, frames = 132) {
  actions.presses += 1;
  const box = await root().locator('.timeline canvas').boundingBox();
  await page.mouse.click(box.x + ((frame + 0.5) * box.width) / frames, box.y + box.height / 2);
  await page.waitForTimeout(150);
}

/** A revision as the server has it. */
async function stored({ project, revision }) {
  return (await page.request.get(`${options.url}/xmempp/annotator/projects/${project}/revisions/${revision}`)).json();
}

/** Color of the picture on the screen at a point of the plate. */
const colorAt = async (u, v) => {
  const [x, y] = await place(u, v);
  return page.evaluate(([x, y]) => {
    const canvas = document.querySelector('.xmempp-annotator .stage canvas');
    const box = canvas.getBoundingClientRect();
    const at = [((x - box.left) * canvas.width) / box.width, ((y - box.top) * canvas.height) / box.height];
    return [...canvas.getContext('2d').getImageData(...at.map(Math.round), 1, 1).data].slice(0, 3);
  }, [x, y]);
};

const differ = (one, other) => one.some((level, i) => Math.abs(level - other[i]) > 12);

// where the two objects are on the demo's frames
const BUNNY = { 12: [[0.24, 0.55], [0.3, 0.5], [0.33, 0.6]], 60: [[0.3, 0.3], [0.33, 0.5], [0.3, 0.6]], 100: [[0.32, 0.3], [0.34, 0.55]] };
const BOULDER = { 12: [[0.68, 0.43], [0.8, 0.46], [0.9, 0.47]], 60: [[0.68, 0.43], [0.8, 0.46], [0.9, 0.47]] };

async function lookAndPaint() {
  await load(workflow());
  await screenshot('closed');
  await openShot();
  check((await number()).startsWith('00000'), 'the frame number is in sight', await number());
  await screenshot('open');
  await scrubTo(12);
  check((await number()).startsWith('00012'), 'scrubbing shows the frame', await number());
  const before = await colorAt(0.3, 0.5);
  await stroke(...BUNNY[12]);
  await until('a stroke is seen', async () => differ(before, await colorAt(0.3, 0.5)));
  await key('2');
  await stroke(...BOULDER[12]);
  await saved();
  await scrubTo(60);
  await key('1');
  await stroke(...BUNNY[60]);
  await key('2');
  await stroke(...BOULDER[60]);
  await scrubTo(100);
  await key('1');
  await stroke(...BUNNY[100]);
  await saved();
  const document = await stored(await value());
  check(JSON.stringify(Object.entries(document.annotations).map(([frame, one]) => [frame, one.objects]))
    === '[["12",[1,2]],["60",[1,2]],["100",[1]]]', 'each frame says what was painted on it, and no more', document.annotations);
  await until('the object not painted is answered', async () => /1 of 2 annotated, rest preview/.test(await state()), PASS_MS);
  await screenshot('painted');
}

async function answerAndCorrect() {
  await scrubTo(36);
  const started = Date.now();
  await until('another frame is answered without a pass',
    async () => (await number()).startsWith('00036') && /^preview/.test(await state()), PASS_MS);
  note(`an answer was on the screen ${((Date.now() - started) / 1000).toFixed(2)} s after the press`);
  await page.waitForTimeout(600);
  await screenshot('answer');
  const shown = await colorAt(0.5, 0.85);
  await key('1');
  await stroke([0.5, 0.85], [0.55, 0.86]);
  await until('the brush corrects the shown result', async () => differ(shown, await colorAt(0.52, 0.855)));
  await saved();
  const annotation = (await stored(await value())).annotations['36'];
  check(String(annotation?.objects) === '1', 'a correction speaks of the corrected object alone', annotation);
  await until('neighbors are answered', () => page.evaluate(() => document.querySelector('.xmempp-annotator .status')
    && !/asking/.test(document.querySelector('.xmempp-annotator .badge.state').textContent)));
  await screenshot('corrected');
}

/** In and out around some frames, and the pass between them. */
async function propagateRange() {
  await button('What to propagate').click();
  await page.getByRole('button', { name: 'In to out', exact: true }).first().click();
}

async function passAndCancel() {
  await scrubTo(66);
  await key('i');
  await scrubTo(78);
  await key('o');
  await scrubTo(70);
  await until('answered before the pass', async () => (await number()).startsWith('00070') && /preview/.test(await state()), PASS_MS);
  await propagateRange();
  await until('the pass runs', async () => /Propagating: [1-9]/.test(await live()), PASS_MS);
  await screenshot('pass');
  const started = Date.now();
  await button('Cancel').click();
  await until('the pass is canceled', async () => /Canceled/.test(await live()), 20000);
  note(`canceled after ${((Date.now() - started) / 1000).toFixed(2)} s`);
  await propagateRange();
  await until('the pass is done', async () => /Propagated/.test(await live()), PASS_MS);
  await scrubTo(75);
  await until('the result of the pass is shown', async () => /^propagated/.test(await state()));
  await screenshot('passed');
  await key('1');
  await stroke([0.5, 0.85], [0.55, 0.86]);
  await scrubTo(72);
  await until('what an edit made stale is shown as stale, or answered anew', async () => /stale|preview|asking/.test(await state()));
  await screenshot('stale');
  await page.keyboard.press('Control+z');
  await scrubTo(72);
  await until('after undo the pass is valid again', async () => /^propagated/.test(await state()), 20000);
}

async function absence() {
  const box = await root().locator('.timeline canvas').boundingBox();
  const at = (frame) => [box.x + ((frame + 0.5) * box.width) / 132, box.y + box.height / 2];
  await page.keyboard.down('Shift');
  await page.mouse.move(...at(110));
  await page.mouse.down();
  await page.mouse.move(...at(120), { steps: 6 });
  await page.mouse.up();
  await page.keyboard.up('Shift');
  await saved();
  const { absent_ranges: ranges, objects } = await stored(await value());
  check(ranges.length === 1 && ranges[0].first === 110 && ranges[0].last === 120, 'a drag with Shift says "not here" over a range', ranges);
  await scrubTo(125);
  await key('a');
  await saved();
  check((await stored(await value())).annotations['125']?.absent.length === 1, 'A says "not here" on the frame');
  await screenshot('absence');
  return objects;
}

const nodeObject = () => page.evaluate((type) => {
  window.markedNode ??= app.graph._nodes.find((one) => one.type === type);
  return window.markedNode === app.graph._nodes.find((one) => one.type === type);
}, TYPE);

async function undoEverything() {
  await nodeObject();
  let steps = 0;
  for (; steps < 60 && await button('Undo').isEnabled(); steps++) await page.keyboard.press('Control+z');
  await saved();
  check(Object.keys((await stored(await value())).annotations).length === 0, `everything is undone in ${steps} steps`);
  check(await nodeObject(), 'Ctrl+Z undoes the paint and not the graph');
  for (let i = 0; i < steps; i++) await page.keyboard.press('Control+y');
  await saved();
  const document = await stored(await value());
  check(Object.keys(document.annotations).length === 5, 'everything is there again', Object.keys(document.annotations));
}

async function wheels() {
  const before = await page.evaluate(() => JSON.stringify([app.canvas.ds.scale, app.canvas.ds.offset]));
  await page.mouse.move(...await place(0.5, 0.5));
  await page.mouse.wheel(0, -400);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -400);
  await page.keyboard.up('Control');
  await page.waitForTimeout(500);
  check(before === await page.evaluate(() => JSON.stringify([app.canvas.ds.scale, app.canvas.ds.offset])), 'the wheel leaves the graph alone');
  await screenshot('zoomed');
  await page.keyboard.press('f');
}

async function largeView() {
  await button('Large').click();
  await page.waitForTimeout(800);
  await screenshot('large');
  const dialog = page.locator('dialog.xmempp-large');
  const before = await dialog.locator('.badge.number').textContent();
  await page.keyboard.press('ArrowLeft');
  await page.waitForTimeout(300);
  check(before !== await dialog.locator('.badge.number').textContent(), 'keys work in the large view');
  await page.keyboard.press('?');
  await screenshot('keys');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.waitForTimeout(300);
  check(await dialog.count() === 0, 'Escape closes the large view');
  await page.keyboard.press('ArrowRight');
  await until('the keyboard is in the node again', async () => before === await number());
}

async function reload() {
  const old = await value();
  const json = await page.evaluate(() => app.graph.serialize());
  await page.reload();
  await ready();
  await load(json);
  check(JSON.stringify(await value()) === JSON.stringify(old), 'the value survives a reload');
  await until('a shot that the server has opens by itself', () => page.evaluate(() => document.querySelector('.xmempp-annotator .cover').hidden));
  await scrubTo(12);
  await until('the masks are there again', async () => /annotated/.test(await state()));
}

/** The node is copied; the copy forks at its first edit. */
async function copyPaste() {
  await page.evaluate((type) => {
    const node = app.graph._nodes.find((one) => one.type === type);
    const twin = node.clone();
    app.graph.add(twin);
    twin.pos = [node.pos[0], node.pos[1] + node.size[1] + 120];
    for (const [slot, input] of node.inputs.entries()) {
      const link = input.link !== null && app.graph.links[input.link];
      if (link) app.graph.getNodeById(link.origin_id).connect(link.origin_slot, twin, slot);
    }
    app.canvas.ds.offset = [140 - twin.pos[0], 110 - twin.pos[1]];
    app.canvas.setDirty(true, true);
  }, TYPE);
  await page.waitForTimeout(1500);
  const [first, second] = [await value(0), await value(1)];
  check(JSON.stringify(first) === JSON.stringify(second), 'a copy shows the same project');
  await until('the copy is open', () => page.evaluate(() => document.querySelectorAll('.xmempp-annotator .cover')[1]?.hidden));
  const box = await root(1).locator('.stage canvas').boundingBox();
  await page.waitForTimeout(500);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 30, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await until('the copy has a project of its own after its first edit', async () => (await value(1))?.project !== first.project);
  check(JSON.stringify(await value(0)) === JSON.stringify(first), 'the first node is as it was');
  const copied = await stored(await value(1));
  check(Object.keys(copied.annotations).length >= 5, 'the copy has all annotations', Object.keys(copied.annotations));
}

async function graphUndo() {
  await load(workflow());
  await openShot();
  await stroke(...BUNNY[12]);
  await saved();
  const painted = await value();
  await page.evaluate((type) => {
    const node = app.graph._nodes.find((one) => one.type === type);
    app.graph.beforeChange();
    node.pos = [node.pos[0] + 40, node.pos[1]];
    app.graph.afterChange();
  }, TYPE);
  await page.evaluate(() => app.extensionManager.workflow.activeWorkflow.changeTracker.undo());
  await page.waitForTimeout(2500);
  check((await value())?.project === painted.project, 'graph undo keeps the project', await value());
  await until('the shot is still open', () => page.evaluate(() => document.querySelector('.xmempp-annotator .cover').hidden));
  const before = JSON.stringify(await value());
  await stroke(...BOULDER[12]);
  await until('paint after graph undo reaches the graph', async () => JSON.stringify(await value()) !== before);
}

/** The task of five frames of two objects, counted. */
async function fiveByTwo() {
  await load(workflow());
  Object.assign(actions, { presses: 0, keys: 0, strokes: 0 });
  actions.presses += 1;
  await openShot();
  for (const [i, frame] of [12, 40, 60, 90, 120].entries()) {
    await scrubTo(frame);
    if (i) await key('1');
    await stroke(...BUNNY[60]);
    await key('2');
    await stroke(...BOULDER[60]);
  }
  await saved();
  const { annotations } = await stored(await value());
  check(Object.values(annotations).filter((one) => one.objects.length === 2).length === 5, 'five frames of two objects are annotated', annotations);
  const done = count();
  check(done.total <= 30, `five frames of two objects: ${done.presses} presses and ${done.keys} keys beside ${done.strokes} strokes, no wire`, done);
}

/** Without our JS the value is not shown; the graph loads and other nodes keep theirs. */
async function blocked() {
  const json = await page.evaluate(() => app.graph.serialize());
  await page.close();
  await openPage(true);
  await page.evaluate((json) => app.loadGraphData(json), json);
  await page.waitForTimeout(1500);
  const node = await page.evaluate((type) => {
    const one = app.graph._nodes.find((other) => other.type === type);
    return { project: one.properties.xmempp_project, model: app.graph._nodes.find((other) => other.type === 'XMemPPLoadModel').widgets[0].value };
  }, TYPE);
  check(/^[0-9a-f]{16}$/.test(node.project ?? ''), 'with the JS blocked the node still names its project', node);
  check(node.model === 'lite (bundled)', 'with the JS blocked other nodes keep their values', node);
}

const STEPS = { lookAndPaint, answerAndCorrect, passAndCancel, absence, undoEverything, wheels, largeView, reload, copyPaste, graphUndo, fiveByTwo, blocked };
await openPage();
for (const [name, run] of Object.entries(STEPS)) {
  if (options.steps && !options.steps.split(',').includes(name)) continue;
  try {
    await run();
  } catch (error) {
    fail(`${name}: ${String(error.stack).slice(0, 700)}`);
    await screenshot(`failed_${name}`);
  }
}
await browser.close();
process.exit(failures ? 1 : 0);
