// The view of "Annotate Shot" driven as an artist does, in one canvas mode of the stock frontend.
//
//   node annotator_check.mjs --url URL --out FOLDER --base FOLDER --mode litegraph|vue [--language en|zh|ja]
//                            [--steps speed,long,...]
//
// "--base" is the server's base folder, with other.mp4 (40 frames of 640x360) in its folder input, and
// long.mp4 for the step "long". The steps "speed" and "long" measure, and run only where they are named.
// browser.py starts the server and calls this. Exit code 1 on a page error or a check that fails.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
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

/** The value of the first annotator's widget, read from the graph that is shown. */
const value = (nth = 0) => page.evaluate(([type, nth]) => {
  const text = app.canvas.graph._nodes.filter((one) => one.type === type)[nth].widgets.find((one) => one.name === 'project').value;
  return text ? JSON.parse(text) : null;
}, [TYPE, nth]);

const root = (nth = 0) => page.locator('.xmempp-annotator').nth(nth);
const button = (name, nth = 0) => root(nth).getByRole('button', { name, exact: true });
const state = () => root().locator('.badge.state').textContent();
const number = () => root().locator('.badge.number').textContent();
const live = () => root().locator('.live').textContent();
/** Whether an answer is shown, and not only asked for. */
const isAnswered = async () => /^(preview|\d+ of \d+ annotated, rest preview)/.test(await state());

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
  await until('answered before the pass', async () => (await number()).startsWith('00070') && await isAnswered(), PASS_MS);
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

// ---- what the desk shows of one project, wherever it is opened

const annotationsOf = async (nth = 0) => (await stored(await value(nth))).annotations;
const messages = async () => (await root().locator('.messages').textContent()).trim();
const choose = async (menu, entry) => {
  await button(menu).click();
  await root().getByRole('button', { name: entry, exact: true }).last().click();
};

/** The workflow with a film of the folder input in place of the demo. */
async function loadFilm(name, project = '') {
  await load(workflow());
  await page.evaluate(([type, name, project]) => {
    const node = app.graph._nodes.find((one) => one.type === type);
    const film = window.LiteGraph.createNode('LoadVideo');
    film.pos = [node.pos[0] - 400, node.pos[1] + 500];
    app.graph.add(film);
    film.widgets.find((one) => one.name === 'file').value = name;
    film.connect(0, node, node.inputs.findIndex((one) => one.name === 'frames'));
    if (project) node.widgets.find((one) => one.name === 'project').value = project;
  }, [TYPE, name, project]);
  await page.waitForTimeout(500);
}

/** The tooltip of the node's input does not lie over the picture. */
async function tooltip() {
  await load(workflow());
  await openShot();
  await page.mouse.move(20, 20);
  await page.mouse.move(...await place(0.4, 0.4), { steps: 5 });
  await page.waitForTimeout(1800);
  const shown = await page.evaluate(() => [...document.querySelectorAll('[role=tooltip], .p-tooltip')]
    .filter((one) => one.checkVisibility()).map((one) => one.textContent));
  check(shown.length === 0, 'no tooltip of the input lies over the picture', shown);
}

async function smartSelect() {
  await scrubTo(12);
  await key('s');
  await stroke([0.27, 0.5], [0.3, 0.55]);
  await until('a stroke gives a proposal', async () => /Enter/.test(await root().locator('.badge.hint').textContent()) && /proposal/.test(await live()));
  const narrow = await colorAt(0.14, 0.66);
  await key('Escape');
  await stroke([0.2, 0.43], [0.27, 0.5], [0.3, 0.62], [0.12, 0.68]);
  await until('another stroke gives a proposal', async () => /proposal/.test(await live()));
  await page.keyboard.down('Shift');
  const ring = Array.from({ length: 13 }, (_, i) => [0.25 + 0.22 * Math.cos((i * Math.PI) / 6), 0.57 + 0.31 * Math.sin((i * Math.PI) / 6)]);
  await stroke(...ring);
  await page.keyboard.up('Shift');
  await page.waitForTimeout(150);
  await until('a ring around it is taken', async () => /proposal/.test(await live()));
  await until('the proposal is drawn', async () => differ(narrow, await colorAt(0.14, 0.66)));
  await screenshot('proposal');
  await key('Enter');
  await saved();
  const said = (await annotationsOf())['12'];
  check(said?.objects.length === 1, 'Enter takes the proposal as an annotation', said);
  await key('b');
}

async function rangeByButton() {
  await button('Not here, over a range').click();
  const box = await root().locator('.timeline canvas').boundingBox();
  const at = (frame) => [box.x + ((frame + 0.5) * box.width) / 132, box.y + box.height / 2];
  await page.mouse.move(...at(90));
  await page.mouse.down();
  await page.mouse.move(...at(80), { steps: 6 });
  await page.mouse.up();
  await saved();
  const { absent_ranges: ranges } = await stored(await value());
  check(JSON.stringify(ranges.map(({ first, last }) => [first, last])) === '[[80,90]]',
    'the button and a drag backward say "not here" over a range', ranges);
  await page.keyboard.press('Control+z');
  await saved();
}

async function suggestions() {
  await choose('Suggest frames', 'Frames unlike those annotated');
  await until('frames are suggested', async () => /3 frame\(s\) suggested/.test(await live()), PASS_MS);
  const before = await number();
  await key('n');
  await until('N goes to a suggested frame', async () => before !== await number());
  await button('Suggest frames').click();
  const reasons = await root().locator('.menu .list:not([hidden])').textContent();
  check((reasons.match(/unlike/g) ?? []).length >= 3, 'each suggestion says why', reasons);
  await screenshot('suggested');
  await page.keyboard.press('Escape');
}

async function saveFolder() {
  await button('Save').click();
  const list = root().locator('.menu .list:not([hidden])');
  await list.locator('input').fill('by hand');
  await list.getByRole('button', { name: 'Save', exact: true }).click();
  await until('the folder is saved', async () => /Saved in/.test(await messages()));
  const folder = path.join(options.base, 'output', 'by hand');
  const held = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }).map(String) : [];
  check(held.some((one) => one.endsWith('.png')), 'masks lie in the saved folder', [await messages(), held]);
  await root().locator('.messages').getByRole('button', { name: 'Close', exact: true }).first().click();
}

async function zip() {
  const before = await annotationsOf();
  const [download] = await Promise.all([page.waitForEvent('download'), choose('Project', 'Save the project as one file')]);
  const file = path.join(options.out, `project.${options.mode}.zip`);
  await download.saveAs(file);
  const old = (await value()).project;
  await load(workflow());
  await openShot();
  await button('Project').click();
  await root().locator('input[type=file]').setInputFiles(file);
  await until('a project file is open', async () => !!(await value())?.project);
  await page.waitForTimeout(500);
  check(JSON.stringify(await annotationsOf()) === JSON.stringify(before), 'the project file has all annotations', await annotationsOf());
  note(`the project came ${(await value()).project === old ? 'with the same' : 'with a new'} name`);
  await scrubTo(12);
  await until('the masks of the project file are shown', async () => /annotated/.test(await state()));
  fs.writeFileSync(file, 'no zip');
  await button('Project').click();
  await root().locator('input[type=file]').setInputFiles(file);
  await until('a damaged project file is said', async () => (await messages()).length > 0);
  note(`damaged file: ${await messages()}`);
  check(JSON.stringify(await annotationsOf()) === JSON.stringify(before), 'a damaged project file changes nothing');
  fs.rmSync(file);
}

/** Whatever is pressed with the mouse, Ctrl+Z stays with the paint. */
async function keyboardStays() {
  const isOurs = () => page.evaluate(() => document.activeElement.matches('.xmempp-annotator .timeline input'));
  await root().locator('.objects .name').first().click();
  check(await isOurs(), 'after a press on an object the view has the keyboard');
  await button('Delete').click();
  check(!await isOurs(), 'a question has the keyboard');
  await button('Keep').click();
  check(await isOurs(), 'after a question the view has the keyboard');
  await choose('What to propagate', 'Whole shot');
  check(await isOurs(), 'after a choice the view has the keyboard');
  await button('Cancel').click();
  await until('the pass is canceled', async () => /Canceled/.test(await live()), 20000);
  for (const name of ['Propagate', 'Cancel']) {
    await button(name).focus();
    await page.keyboard.press('Enter');
    await until(`"${name}" goes by what it starts and leaves the keyboard to the view`, isOurs, 10000);
  }
  await until('the pass is canceled by keyboard', async () => /Canceled/.test(await live()), 20000);
}

/** The same project in two tabs: each stroke of both is kept as a revision. */
async function twoTabs() {
  const first = page;
  const json = await page.evaluate(() => app.graph.serialize());
  const before = await value();
  await openPage();
  const second = page;
  await load(json);
  await until('the second tab opens the shot by itself', () => page.evaluate(() => document.querySelector('.xmempp-annotator .cover').hidden));
  await scrubTo(30);
  await stroke(...BUNNY[12]);
  await saved();
  const there = await value();
  page = first;
  await page.bringToFront();
  await scrubTo(50);
  await page.waitForTimeout(1000);
  await stroke(...BUNNY[60]);
  await saved();
  const here = await value();
  const both = [await stored(there), await stored(here)].map(({ annotations }) => ['30', '50'].map((frame) => frame in annotations));
  check(JSON.stringify(both) === '[[true,false],[false,true]]', 'two tabs do not write over each other', both);
  const { revisions } = await (await page.request.get(`${options.url}/xmempp/annotator/projects/${before.project}/revisions`)).json();
  const named = revisions.map((one) => one.revision);
  check([there, here].every((one) => one.project !== before.project || named.includes(one.revision)), 'both are in the list of revisions', named);
  page = second;
  await page.close();
  page = first;
}

/** A clip of another size and length under the same project. */
async function anotherClip() {
  await scrubTo(100);
  await until('a frame past the end of the other clip is here', () => page.evaluate(() => document.querySelector('.xmempp-annotator .badge.number').textContent.startsWith('00100')));
  await page.waitForTimeout(500);
  await stroke(...BUNNY[100]);
  await saved();
  const kept = await value();
  const before = await annotationsOf();
  await loadFilm('other.mp4', JSON.stringify(kept));
  await page.waitForTimeout(500);
  await page.locator('.xmempp-annotator button.main').first().click({ timeout: 5000 }).catch(() => {});
  await until('another clip is said on the node', async () => /another clip|other clip/i.test(await messages()));
  note(`another clip: ${await messages()}`);
  await screenshot('another_clip');
  check(JSON.stringify(await value()) === JSON.stringify(kept), 'another clip changes nothing by itself', await value());
  await scrubTo(12, 40);
  await until('masks within the clip are shown', async () => /annotated/.test(await state()));
  const lines = await root().locator('.messages .message').count();
  check(lines === 3, 'each thing that is not as it was is said once: clip, size, end', [lines, await messages()]);
  await key('1');
  const bare = await colorAt(0.52, 0.855);
  await stroke([0.5, 0.85], [0.55, 0.86]);
  check(differ(bare, await colorAt(0.52, 0.855)), 'paint on a scaled mask lies where it was painted');
  await saved();
  const after = await annotationsOf();
  check(Object.keys(before).every((frame) => frame in after), 'what lies beyond the clip is kept', [Object.keys(before), Object.keys(after)]);
  await scrubTo(20, 40);
  await until('another clip is answered', isAnswered, PASS_MS);
}

async function missingMask() {
  await load(workflow());
  await openShot();
  await scrubTo(12);
  await stroke(...BUNNY[12]);
  await scrubTo(60);
  await stroke(...BUNNY[60]);
  await saved();
  const kept = await value();
  const { mask } = (await annotationsOf())['12'];
  const folder = path.join(options.base, 'input', 'xmempp', kept.project);
  const found = fs.readdirSync(folder, { recursive: true }).map(String).find((one) => one.includes(mask));
  fs.renameSync(path.join(folder, found), path.join(options.out, `${mask}.${options.mode}`));
  const json = await page.evaluate(() => app.graph.serialize());
  await page.reload();
  await ready();
  await load(json);
  await until('the shot opens without the mask', () => page.evaluate(() => document.querySelector('.xmempp-annotator .cover').hidden));
  await scrubTo(60);
  await until('the masks that are there are shown', async () => /annotated/.test(await state()));
  await scrubTo(12);
  await until('a missing mask is said on the frame', async () => await state() === 'mask missing');
  note(`missing mask: ${await messages()}`);
  check(await root().locator('.messages .message').count() === 1, 'a missing mask is said once', await messages());
  await screenshot('missing_mask');
  check(JSON.stringify(await value()) === JSON.stringify(kept), 'a missing mask changes nothing by itself');
  await scrubTo(60);
  await stroke(...BOULDER[60]);
  await until('other frames can be painted and are saved', async () => (await annotationsOf())['60'].mask !== (await stored(kept)).annotations['60'].mask);
  check((await annotationsOf())['12'].mask === mask, 'what the missing mask said is kept', await annotationsOf());
  await scrubTo(12);
  const bare = await colorAt(0.3, 0.5);
  await stroke(...BUNNY[12]);
  await until('the frame can be painted anew', async () => (await annotationsOf())['12'].mask !== mask);
  check(differ(bare, await colorAt(0.3, 0.5)) && await state() === 'annotated', 'the new paint is seen', await state());
  await page.keyboard.press('Control+z');
  await until('undo names the missing mask again', async () => (await annotationsOf())['12'].mask === mask);
  fs.copyFileSync(path.join(options.out, `${mask}.${options.mode}`), path.join(folder, found));
  fs.rmSync(path.join(options.out, `${mask}.${options.mode}`));
  await scrubTo(60);
  await scrubTo(12);
  await until('the mask is shown when it is back', async () => /^annotated/.test(await state()));
  check(await messages() === '', 'and is no longer said to be missing', await messages());
  await scrubTo(20);
  await until('and frames are answered again', isAnswered, PASS_MS);
}

async function subgraph() {
  await load(workflow());
  await page.evaluate((type) => {
    const node = app.graph._nodes.find((one) => one.type === type);
    const { subgraph, node: outer } = app.graph.convertToSubgraph(new Set([node]));
    app.canvas.openSubgraph(subgraph, outer);
  }, TYPE);
  await page.waitForTimeout(1000);
  await page.evaluate((type) => {
    const node = app.canvas.graph._nodes.find((one) => one.type === type);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [140 - node.pos[0], 110 - node.pos[1]];
    app.canvas.setDirty(true, true);
  }, TYPE);
  await page.waitForTimeout(800);
  await openShot();
  await scrubTo(12);
  await stroke(...BUNNY[12]);
  await saved();
  check(!!(await value())?.project, 'paint inside a subgraph reaches its value');
  await scrubTo(16);
  await until('a frame is answered inside a subgraph', isAnswered, PASS_MS);
  await screenshot('subgraph');
}

async function adaptToShot() {
  await load(workflow());
  await openShot();
  await scrubTo(12);
  await stroke(...BUNNY[12]);
  await saved();
  await root().getByRole('switch', { name: 'Adapt to this shot' }).click();
  await until('the model is adapted', async () => /adapted to this shot/.test(await live()), 3 * PASS_MS);
  check((await value()).adapted === true, 'the value says that the adapted model is used');
  await scrubTo(20);
  await until('the adapted model answers', isAnswered, PASS_MS);
  await screenshot('adapted');
}

// ---- measurements

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * Milliseconds from the press on the timeline: until the question goes, the server has queued it, its answer's
 * mask is asked for, is here, and is drawn.
 */
async function answerMs(frame) {
  const digits = String(frame).padStart(5, '0');
  const measured = page.evaluate((digits) => new Promise((resolve) => {
    const view = document.querySelector('.xmempp-annotator');
    const pens = OffscreenCanvasRenderingContext2D.prototype;
    const put = pens.putImageData;
    view.querySelector('.timeline canvas').addEventListener('pointerdown', () => {
      performance.clearResourceTimings();
      const started = performance.now();
      pens.putImageData = function drawn(image, ...where) {
        put.call(this, image, ...where);
        const words = new Uint32Array(image.data.buffer);
        let place = 0;
        while (place < words.length && !words[place]) place += 1;
        const request = (name) => performance.getEntriesByType('resource').find((one) => name.test(one.name));
        const isShown = view.querySelector('.badge.number').textContent.startsWith(digits) && place < words.length;
        if (!isShown || !request(/\/results\/\w+\/\d+$/)) return; // without the answer it is a stale mask
        pens.putImageData = put;
        const drawnAt = performance.now();
        setTimeout(() => {
          const [asked, map] = [request(/\/prompt$/), request(/\/results\/\w+\/\d+$/)];
          resolve([asked.startTime, asked.responseEnd, map.startTime, map.responseEnd, drawnAt].map((at) => at - started));
        }, 100);
      };
    }, { once: true, capture: true });
  }), digits);
  await scrubTo(frame);
  return measured;
}

/** Waits until nothing has been in the queue for two seconds: the neighbors of a correction are answered. */
async function quiet() {
  let since = Date.now();
  await until('the queue is empty', async () => {
    const queue = await (await page.request.get(`${options.url}/queue`)).json();
    if (queue.queue_running.length + queue.queue_pending.length) since = Date.now();
    return Date.now() - since > 2000;
  }, PASS_MS);
}

async function speed() {
  await load(workflow());
  await openShot();
  for (const frame of [12, 60]) {
    await scrubTo(frame);
    await stroke(...BUNNY[60]);
  }
  await saved();
  await quiet();
  const frames = [90, 93, 96, 99, 102, 105, 108, 111, 114, 117];
  const first = [];
  for (const frame of frames) first.push(await answerMs(frame));
  await scrubTo(12);
  await stroke([0.2, 0.6], [0.22, 0.62]);
  await saved();
  await quiet();
  const again = [];
  for (const frame of frames) again.push(await answerMs(frame));
  const words = (runs) => {
    const [asked, queued, answered, here, drawn] = runs[0].map((_, i) => Math.round(median(runs.map((run) => run[i]))));
    return `mask drawn after ${drawn} ms (median of ${runs.map((run) => Math.round(run.at(-1))).join(', ')}): `
      + `asked at ${asked}, queued at ${queued}, answered at ${answered}, mask here at ${here}`;
  };
  note(`from the press, frames not seen before: ${words(first)}`);
  note(`from the press, features kept: ${words(again)}`);
  note(`load of the machine: ${os.loadavg().map((one) => one.toFixed(1)).join(', ')}`);
}

async function long() {
  const memory = () => page.evaluate(() => Math.round((performance.memory?.usedJSHeapSize ?? 0) / 1e6));
  const resident = () => {
    const sum = (name) => fs.readdirSync('/proc').filter((one) => /^\d+$/.test(one)).reduce((total, id) => {
      try {
        if (!name.test(fs.readFileSync(`/proc/${id}/cmdline`, 'utf8'))) return total;
        return total + Number(/Pss:\s+(\d+)/.exec(fs.readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))[1]) / 1e3;
      } catch {
        return total;
      }
    }, 0);
    return { server_mb: Math.round(sum(new RegExp(`main\\.py.*${options.base}`, 's'))), browser_mb: Math.round(sum(/^\/usr\/lib\/chromium|playwright_chromiumdev/)) };
  };
  await loadFilm('long.mp4');
  const started = Date.now();
  await openShot();
  note(`2,000 frames of 1080p open: ${((Date.now() - started) / 1000).toFixed(2)} s until the first frame; ${JSON.stringify(resident())}`);
  const play = async () => {
    const box = await root().locator('.timeline canvas').boundingBox();
    const measured = page.evaluate(() => new Promise((resolve) => {
      const canvas = document.querySelector('.xmempp-annotator .stage canvas');
      const pen = canvas.getContext('2d');
      let [shown, last] = [0, ''];
      const end = performance.now() + 10000;
      const look = () => {
        const row = pen.getImageData(0, Math.round(canvas.height / 2), canvas.width, 1).data;
        let sum = 0;
        for (let i = 0; i < row.length; i += 7) sum = (sum * 31 + row[i]) % 1000003;
        if (sum !== last) shown += 1;
        last = sum;
        if (performance.now() < end) requestAnimationFrame(look);
        else resolve(shown / 10);
      };
      look();
    }));
    await page.mouse.move(box.x + 2, box.y + box.height / 2);
    await page.mouse.down();
    const end = Date.now() + 10000;
    for (let step = 0; Date.now() < end; step++) {
      await page.mouse.move(box.x + 2 + (step * 1.5) % (box.width - 4), box.y + box.height / 2);
      await page.waitForTimeout(25);
    }
    await page.mouse.up();
    return measured;
  };
  note(`scrubbing before it is read through: ${(await play()).toFixed(1)} pictures a second; ${JSON.stringify(resident())}`);
  const proxies = path.join(options.base, 'temp', 'xmempp_proxies');
  const written = () => fs.readdirSync(proxies, { recursive: true }).filter((one) => /960\/\d+\.jpg$/.test(one)).length;
  await until('it is read through', () => written() >= 2000, PASS_MS);
  note(`it was read through ${Math.round((Date.now() - started) / 1000)} s after the press on "Open the shot"`);
  note(`scrubbing after it is read through: ${(await play()).toFixed(1)} pictures a second; ${JSON.stringify(resident())}; JS heap ${await memory()} MB`);
  await screenshot('long');
}

const MEASURED = { speed, long };
const STEPS = { lookAndPaint, answerAndCorrect, passAndCancel, absence, undoEverything, wheels, largeView, reload, copyPaste, graphUndo,
  tooltip, smartSelect, rangeByButton, keyboardStays, suggestions, saveFolder, twoTabs, zip, anotherClip, missingMask, subgraph, fiveByTwo, adaptToShot, blocked };
await openPage();
for (const [name, run] of Object.entries(options.steps ? { ...STEPS, ...MEASURED } : STEPS)) {
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
