// Opens workflows in the stock ComfyUI frontend, runs them and paints a mask with the stock editor.
//
//   node browser_check.mjs --url URL --out FOLDER --mode litegraph|vue --size N --twins FOLDER FILE...
//
// browser.py starts the server and calls this. Exit code 1 on: node types the server does not know,
// page errors, a graph that differs from its API twin, a refused or failed prompt, paint that did
// not become the annotation.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const { chromium } = createRequire(`${process.env.NODE_PATH}/`)('playwright-core');

const options = { chromium: '/usr/bin/chromium' };
const files = [];
for (let i = 2; i < process.argv.length; i++) {
  const word = process.argv[i];
  if (word.startsWith('--')) options[word.slice(2)] = process.argv[++i];
  else files.push(word);
}
const isVue = options.mode === 'vue';
const FRONTEND_ONLY = ['Note', 'MarkdownNote', 'Reroute', 'PrimitiveNode'];
const CANNOT_RUN = ['11_sam3_start']; // needs the weights of SAM 3
const PAINTED = '02_quick_start';
const PAINT_NODE = 'XMemPPAddAnnotation';
// Color of object 3 in the palette of label maps.
const PAINT_COLOR = [128, 128, 0];
const TIMEOUT_MS = 20 * 60 * 1000;

let failures = 0;
const fail = (text) => { failures += 1; console.log(`FAIL [${options.mode}] ${text}`); };
const note = (text) => console.log(`ok   [${options.mode}] ${text}`);

const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ['--no-sandbox', '--enable-unsafe-swiftshader'],
});
const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
page.setDefaultTimeout(60000);
page.on('pageerror', (error) => fail(`page error: ${String(error).slice(0, 300)}`));
const settings = { 'Comfy.TutorialCompleted': true, 'Comfy.VueNodes.Enabled': isVue };
await page.request.post(`${options.url}/api/settings`, { data: settings });
await page.goto(options.url);
await page.waitForFunction(
  () => window.app?.extensionManager && window.app?.graph && document.querySelector('canvas'),
  null, { timeout: 180000 });
await page.waitForTimeout(3000);
await page.keyboard.press('Escape');

const screenshot = async (name) => {
  if (name !== 'context_menu' && name !== 'mask_editor') {
    await page.mouse.move(700, 975); // no tooltip in the picture
    await page.waitForTimeout(700);
  }
  await page.screenshot({ path: path.join(options.out, `${name}.${options.mode}.png`) });
};

const history = async () => (await page.request.get(`${options.url}/history`)).json();

/** Runs the graph as the Run button does. */
async function run(label) {
  const before = Object.keys(await history());
  const errors = await page.evaluate(async () => {
    await app.queuePrompt(0);
    return app.lastNodeErrors;
  });
  if (errors && Object.keys(errors).length)
    return fail(`${label}: refused ${JSON.stringify(errors).slice(0, 600)}`);
  for (const end = Date.now() + TIMEOUT_MS; Date.now() < end;) {
    const entries = Object.entries(await history()).filter(([id]) => !before.includes(id));
    const status = entries[0]?.[1].status;
    if (status?.status_str) {
      if (status.status_str !== 'success')
        return fail(`${label}: ${JSON.stringify(status.messages.at(-1)).slice(0, 900)}`);
      note(label);
      return page.waitForTimeout(4000);
    }
    await page.waitForTimeout(500);
  }
  return fail(`${label}: did not end`);
}

/** Loads a workflow; false if a node type is unknown. */
async function load(name, json) {
  const missing = await page.evaluate(async ([json, frontendOnly]) => {
    await app.loadGraphData(json);
    const known = Object.keys(LiteGraph.registered_node_types);
    return json.nodes.map((n) => n.type)
      .filter((type) => !known.includes(type) && !frontendOnly.includes(type));
  }, [json, FRONTEND_ONLY]);
  if (missing.length) fail(`${name}: unknown node types ${missing}`);
  await page.waitForTimeout(2000);
  return !missing.length;
}

/** Compares what the editor would send with the API twin. */
async function compare(name) {
  const sent = await page.evaluate(async () => (await app.graphToPrompt()).output);
  const twin = JSON.parse(fs.readFileSync(path.join(options.twins, `${name}.json`), 'utf8'));
  const sorted = (inputs) => JSON.stringify(Object.entries(inputs).sort());
  for (const id of new Set([...Object.keys(sent), ...Object.keys(twin)])) {
    const [one, two] = [sent[id], twin[id]];
    if (one?.class_type !== two?.class_type || sorted(one.inputs) !== sorted(two.inputs))
      fail(`${name}: node ${id} differs from its twin: ${JSON.stringify(one)} ${JSON.stringify(two)}`);
  }
}

/** Sets the internal size of all passes: small to run fast, the usual one in pictures. */
const setSize = (size) => page.evaluate((size) => {
  for (const node of app.graph._nodes)
    for (const widget of node.widgets ?? [])
      if (widget.name === 'internal_size') widget.value = size;
}, Number(size));
const USUAL_SIZE = 480;

/** A picture of the whole graph as it is shipped. */
async function picture(name) {
  await setSize(USUAL_SIZE);
  await fit();
  await screenshot(name);
}

/** Shows the whole graph. */
const fit = async () => {
  await page.evaluate(() => {
    const boxes = app.graph._nodes.map((n) => [n.pos[0], n.pos[1] - 40, n.size[0], n.size[1] + 40]);
    const left = Math.min(...boxes.map((b) => b[0])), top = Math.min(...boxes.map((b) => b[1]));
    const right = Math.max(...boxes.map((b) => b[0] + b[2]));
    const bottom = Math.max(...boxes.map((b) => b[1] + b[3]));
    const view = app.canvas.canvas.getBoundingClientRect();
    const scale = Math.min((view.width - 120) / (right - left), (view.height - 160) / (bottom - top), 1);
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [70 / scale - left, 80 / scale - top];
    app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(1500);
};

/** One picture of each node of the pack, for the help pages: LiteGraph draws them alike anywhere. */
async function pictureNodes() {
  const folder = path.join(options.out, 'nodes');
  fs.mkdirSync(folder, { recursive: true });
  const nodes = await page.evaluate(() => app.graph._nodes
    .filter((n) => n.type.startsWith('XMemPP')).map((n) => [n.id, n.type]));
  for (const [id, type] of nodes) {
    const file = path.join(folder, `${type}.jpg`);
    if (fs.existsSync(file)) continue;
    const clip = await page.evaluate((id) => {
      const node = app.graph.getNodeById(id);
      app.canvas.deselectAll?.();
      app.canvas.ds.scale = 1;
      app.canvas.ds.offset = [200 - node.pos[0], 150 - node.pos[1]];
      app.canvas.setDirty(true, true);
      const view = app.canvas.canvas.getBoundingClientRect();
      return { x: view.left + 192, y: view.top + 112, width: node.size[0] + 16, height: node.size[1] + 46 };
    }, id);
    await page.waitForTimeout(1200);
    clip.height = Math.min(clip.height, 990 - clip.y);
    await page.screenshot({ path: file, type: 'jpeg', quality: 82, clip });
  }
}

/** Where the mask editor takes strokes: left, top, width, height. */
const editorBox = () => page.evaluate(() => {
  const canvas = [...document.querySelectorAll('canvas')].find((c) => /z-30/.test(c.className));
  const view = canvas?.getBoundingClientRect();
  return view && [view.x, view.y, view.width, view.height];
});

/** What the layers of the mask editor hold at a place of the picture. */
const inkAt = (u, v) => page.evaluate(([u, v]) => [...document.querySelectorAll('[role=dialog] canvas')]
  .map((canvas) => {
    const pixels = canvas.getContext('2d', { willReadFrequently: true })
      ?.getImageData(u * canvas.width, v * canvas.height, 1, 1).data;
    return String(pixels ?? '');
  }).join(' '), [u, v]);

async function stroke(at) {
  await page.mouse.move(...at(0.6, 0.3));
  await page.waitForTimeout(300);
  await page.mouse.down();
  for (let i = 0; i <= 20; i++) {
    await page.mouse.move(...at(0.6 + 0.01 * i, 0.3));
    await page.waitForTimeout(25);
  }
  await page.mouse.up();
}

/** Paints a bar on the first node of a type with the stock mask editor. */
async function paint(type) {
  const place = await page.evaluate((type) => {
    const node = app.graph._nodes.find((n) => n.type === type);
    app.canvas.ds.scale = 0.8;
    app.canvas.ds.offset = [300 - node.pos[0], 200 - node.pos[1]];
    app.canvas.setDirty(true, true);
    const view = app.canvas.canvas.getBoundingClientRect();
    const at = app.canvas.convertOffsetToCanvas([node.pos[0] + 60, node.pos[1] - 12]);
    return { id: node.id, x: at[0] + view.left, y: at[1] + view.top };
  }, type);
  await page.waitForTimeout(1500);
  await page.mouse.click(place.x, place.y, { button: 'right' });
  await page.waitForTimeout(1200);
  const entry = isVue ? 'Open in Mask Editor' : 'Open in MaskEditor | Image Canvas';
  await screenshot('context_menu');
  // the note of the workflow has the same words in bold
  await page.getByText(entry, { exact: true }).and(page.locator(':not(strong)')).first().click();
  await page.waitForTimeout(5000);
  if (!await editorBox()) return fail('the mask editor did not load its picture');
  const before = await inkAt(0.7, 0.3);
  for (let attempt = 0; attempt < 5; attempt++) { // a busy machine lays the editor out late
    const box = await editorBox();
    await stroke((u, v) => [box[0] + u * box[2], box[1] + v * box[3]]);
    await page.waitForTimeout(500 + 1000 * attempt);
    if (await inkAt(0.7, 0.3) !== before) break;
  }
  await page.waitForTimeout(500);
  await screenshot('mask_editor');
  await page.evaluate(() => [...document.querySelectorAll('[role=dialog] button')]
    .find((button) => button.textContent.trim() === 'Save').click());
  await page.waitForTimeout(5000);
  const value = await page.evaluate((id) => app.graph.getNodeById(id).widgets
    .find((widget) => widget.name === 'image').value, place.id);
  if (!/clipspace-painted-masked.*\[input\]/.test(value))
    fail(`the painted file did not reach the field image: ${value}`);
  else note(`the field image holds ${value}`);
}

/** Hangs Save Annotations behind the painted node. */
const addSaver = () => page.evaluate((type) => {
  const node = app.graph._nodes.find((n) => n.type === type);
  const saver = LiteGraph.createNode('XMemPPSaveAnnotations');
  saver.pos = [node.pos[0], node.pos[1] + node.size[1] + 80];
  app.graph.add(saver);
  node.connect(0, saver, 0);
  saver.widgets.find((widget) => widget.name === 'folder').value = 'painted';
}, PAINT_NODE);

/** Colors of the saved label map where it was painted and beside it. */
async function savedColors() {
  const view = `${options.url}/view?type=output&subfolder=painted&filename=00060.png`;
  return page.evaluate(async (address) => {
    const picture = await createImageBitmap(await (await fetch(address)).blob());
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    const at = (u, v) =>
      [...context.getImageData(u * picture.width, v * picture.height, 1, 1).data.slice(0, 3)];
    return { painted: at(0.7, 0.3), beside: at(0.7, 0.6) };
  }, view);
}

/** Help pages with their pictures, translations and templates, as the editor asks for them. */
async function checkServed() {
  const before = failures;
  const get = async (address) => page.request.get(`${options.url}${address}`);
  const known = await (await get('/object_info')).json();
  const ours = Object.keys(known).filter((name) => name.startsWith('XMemPP'));
  const pack = known.XMemPPPropagate.python_module.split('.')[1];
  for (const name of ours) {
    const help = await get(`/extensions/${pack}/docs/${name}/en.md`);
    const picture = /\((images\/.*?)\)/.exec(await help.text())?.[1];
    if (!help.ok() || !(await get(`/extensions/${pack}/docs/${picture}`)).ok())
      fail(`the help page of ${name} or its picture is not served`);
  }
  const words = await (await get('/i18n')).json();
  for (const language of ['en', 'zh', 'ja'])
    if (!ours.every((name) => words[language]?.nodeDefs?.[name]?.display_name))
      fail(`a translation into ${language} is not served`);
  const templates = (await (await get('/workflow_templates')).json())[pack] ?? [];
  const expected = fs.readdirSync(path.dirname(files[0])).filter((n) => n.endsWith('.json')).length;
  if (templates.length !== expected) fail(`templates served: ${templates}`);
  if (failures === before)
    note(`help, translations and templates of ${ours.length} nodes are served`);
}

/** What a node shows: pictures on the page in Vue, pictures of the node on the canvas, its line. */
const shows = (type) => page.evaluate(([type, isVue]) => {
  const node = app.graph._nodes.find((n) => n.type === type);
  const element = document.querySelector(`[data-node-id="${node.id}"]`);
  const count = isVue ? element.querySelectorAll('img').length : (node.imgs ?? []).length;
  const line = node.widgets.find((widget) => widget.name === 'xmempp_line');
  return { pictures: count, line: line?.value ?? '' };
}, [type, isVue]);

const setFrame = (frame) => page.evaluate(([type, frame]) => {
  const node = app.graph._nodes.find((n) => n.type === type);
  node.widgets.find((widget) => widget.name === 'frame_index').value = frame;
}, [PAINT_NODE, frame]);

/** Runs what must be refused; the text of the error. */
async function runRefused() {
  const before = Object.keys(await history());
  await page.evaluate(() => app.queuePrompt(0));
  for (const end = Date.now() + TIMEOUT_MS; Date.now() < end;) {
    const entries = Object.entries(await history()).filter(([id]) => !before.includes(id));
    const status = entries[0]?.[1].status;
    if (status?.status_str) {
      await page.waitForTimeout(3000);
      const error = status.messages.find(([kind]) => kind === 'execution_error')?.[1];
      await screenshot('refused');
      await page.keyboard.press('Escape');
      await page.waitForTimeout(800);
      return error ? `${error.exception_type}: ${error.exception_message}` : '';
    }
    await page.waitForTimeout(500);
  }
  return '';
}

/** One picture on a node that ran, none and no old line on one that failed; paint knows its frame. */
async function checkPictures() {
  const expect = async (what, type, pictures, line) => {
    const got = await shows(type);
    if (got.pictures !== pictures || got.line.startsWith(line) === false || (!line && got.line))
      fail(`${what}: ${type} shows ${JSON.stringify(got)}`);
    else note(`${what}: ${type} shows ${pictures} picture(s)${line && ' and its line'}`);
  };
  await expect('after a pass', 'XMemPPPropagate', 1, '');
  await setFrame(30);
  const error = await runRefused();
  if (!/^xmempp_core.InputError: the paint .* was made on frame 60, and frame_index is 30/.test(error))
    fail(`paint of another frame was not refused: ${error}`);
  else note(`refused: ${error}`);
  await expect('after a refusal', PAINT_NODE, 0, 'the paint clipspace');
  await setFrame(60);
  // nothing annotated: the line appears, and goes when it is no longer true
  const link = await page.evaluate((type) => {
    const node = app.graph._nodes.find((n) => n.type === type);
    const slot = node.inputs.findIndex((input) => input.name === 'annotations');
    const image = node.widgets.find((widget) => widget.name === 'image');
    const kept = image.value;
    node.disconnectInput(slot);
    image.value = '';
    return [slot, kept];
  }, PAINT_NODE);
  await page.evaluate(() => {
    const saver = app.graph._nodes.find((n) => n.type === 'XMemPPSaveAnnotations');
    app.graph.remove(saver);
  });
  await run('nothing annotated');
  await expect('nothing annotated', 'XMemPPPropagate', 0, 'Nothing is annotated yet');
  await fit();
  await screenshot('nothing_annotated');
  await page.evaluate(([type, [slot, kept]]) => {
    const node = app.graph._nodes.find((n) => n.type === type);
    node.widgets.find((widget) => widget.name === 'image').value = kept;
  }, [PAINT_NODE, link]);
  await run('annotated again');
  await expect('annotated again', 'XMemPPPropagate', 1, '');
  await fit();
  await screenshot('annotated_again');
}

/** Titles of the templates that the template browser finds. */
async function foundTemplates(words) {
  await page.evaluate(() => app.extensionManager.command.execute('Comfy.BrowseTemplates'));
  const search = page.locator('[role=dialog] input[type=text], [role=dialog] input[type=search]').first();
  await search.waitFor();
  await search.fill(words);
  await page.waitForTimeout(1500);
  const text = await page.evaluate(() =>
    document.querySelector('[role=dialog]').innerText);
  await screenshot(`templates_${words}`);
  await page.keyboard.press('Escape');
  await page.waitForTimeout(800);
  return text;
}

/** Workflows and nodes are found by the words that artists use. */
async function checkFound() {
  const entries = JSON.parse(fs.readFileSync(
    new URL('../../web/js/templates.json', import.meta.url), 'utf8'));
  for (const words of ['xmem', 'roto']) {
    const text = await foundTemplates(words);
    const missing = entries.filter((entry) => !text.includes(entry.en.title));
    if (missing.length) fail(`templates not found by ${words}: ${missing.map((one) => one.name)}`);
    else note(`all templates are found by ${words}`);
  }
  for (const words of ['mask video', 'roto', 'xmem']) {
    const names = await page.evaluate((words) => app.extensionManager._p._s.get('nodeDef')
      .nodeSearchService.searchNode(words).slice(0, 12).map((one) => one.name), words);
    if (!names.includes('XMemPPPropagate')) fail(`nodes found by ${words}: ${names}`);
    else note(`Propagate Masks is found by ${words}`);
  }
}

await checkServed();
await checkFound();
for (const file of files) {
  const name = path.basename(file, '.json');
  const json = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (!await load(name, json)) continue;
  await compare(name);
  await setSize(options.size);
  if (CANNOT_RUN.includes(name)) {
    await fit();
    await screenshot(name);
    note(`${name}: opened, not run`);
    continue;
  }
  await run(name);
  await picture(name);
  if (!isVue) await pictureNodes();
  await setSize(options.size);
  if (name === PAINTED) {
    await paint(PAINT_NODE);
    await addSaver();
    await run(`${name} after painting`);
    await picture(`${name}_painted`);
    await setSize(options.size);
    const { painted, beside } = await savedColors();
    if (String(painted) !== String(PAINT_COLOR) || String(beside) === String(PAINT_COLOR))
      fail(`the paint is not the annotation: ${painted} where painted, ${beside} beside`);
    else note('the painted mask became the annotation of object 3');
    await checkPictures();
    await page.evaluate(() => {
      const loader = LiteGraph.createNode('XMemPPLoadAnnotations');
      loader.pos = [0, 900];
      app.graph.add(loader);
    });
    if (!isVue) await pictureNodes();
  }
}
await browser.close();
process.exit(failures ? 1 : 0);
