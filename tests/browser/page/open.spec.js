/** Models from elsewhere, on open.html: from a server that plays the hub, and from files. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { COMMIT, startHub } from '../hub.js';
import { done, machine, open, opened, phase } from '../machines.js';
import { foreign, watch } from '../watch.js';

const FAMILIES = fileURLToPath(new URL('../../golden/families/', import.meta.url));

/** The hub's certificate was made for this run. */
test.use({ ignoreHTTPSErrors: true });

/** @type {Awaited<ReturnType<typeof startHub>>} */
let hub;
/** What each model of the hub does; a test may change it. */
const models = {};

test.beforeAll(async () => { hub = await startHub(models, { secure: true }); });
test.afterAll(() => hub.close());
test.beforeEach(() => {
  for (const name of Object.keys(models)) delete models[name];
  Object.assign(models, {
    'owner/gpt2': { family: 'gpt2' }, 'owner/bert': { family: 'bert' }, 'owner/t5': { family: 't5' },
    'owner/marian': { family: 'marian', torch: 'marian-older' },
  });
  hub.asked.length = 0;
});

const panel = (page) => page.locator('#open');
const told = (page) => panel(page).locator('.told');
const wrong = (page) => panel(page).locator('.wrong');

/** open.html with this hub and one small machine, so that little else is loaded. */
async function show(page, state = 'lang=en&device=cpu&on=encoder&text=a') {
  await page.goto(`/open.html?hub=${encodeURIComponent(hub.url)}#${state}`);
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  await expect(panel(page)).toBeVisible();
}

async function ask(page, address) {
  await page.locator('#address').fill(address);
  await page.locator('#address').press('Enter');
}

/** Marian's weights are a `pytorch_model.bin`, of the form before version 1.6. */
const FAMILY_OF = { gpt2: 'causal', bert: 'encoder', t5: 'encoder-decoder', marian: 'encoder-decoder' };

for (const [name, architecture] of Object.entries(FAMILY_OF)) {
  test(`${name} comes from the hub and runs as the machine that it is`, async ({ page }) => {
    const { model_type: family } = JSON.parse(readFileSync(`${FAMILIES}${name}/config.json`, 'utf8'));
    await show(page);
    await ask(page, `hub:owner/${name}`);
    await expect(told(page)).toContainText(`from hub:owner/${name}.`);
    await done(page);
    const demo = opened(page, architecture);
    const { description, tokens } = await demo.evaluate((element) => ({ description: element.description, tokens: element.timeline.header.tokens.length }));
    expect(description.architecture).toBe(architecture);
    expect(description.family).toContain(family);
    expect(tokens).toBeGreaterThan(0);
  });
}

test('a second opening of the same revision downloads nothing, and what is kept can be deleted', async ({ page }) => {
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(panel(page).locator('.kept li')).toHaveCount(1);
  const asked = hub.asked.length;
  expect(asked).toBeGreaterThan(3);
  await page.reload();
  await panel(page).locator('.keeping summary').click();
  const line = panel(page).locator('.kept li');
  await expect(line).toContainText('hub:owner/gpt2');
  await expect(line).toContainText(COMMIT.slice(0, 7));
  await line.locator('[data-action="open"]').click();
  await expect(told(page)).toContainText('Open: ');
  await done(page);
  expect(hub.asked).toHaveLength(asked);

  await line.locator('[data-action="delete"]').click();
  await expect(panel(page).locator('.keeping')).toBeHidden();
  expect(await page.evaluate(async () => (await (await caches.open('unmasked models')).keys()).length)).toBe(0);
  await ask(page, 'hub:owner/gpt2');
  await expect(panel(page).locator('.kept li')).toHaveCount(1);
  expect(hub.asked.length).toBeGreaterThan(asked);
});

test('what is kept and no longer matches its hash is downloaded again', async ({ page }) => {
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(panel(page).locator('.kept li')).toHaveCount(1);
  const asked = hub.asked.length;
  await page.evaluate(async () => {
    const cache = await caches.open('unmasked models');
    const key = (await cache.keys()).find(({ url }) => url.endsWith('model.safetensors/0'));
    await cache.put(key, new Response('rotten'));
  });
  await page.reload();
  await ask(page, 'hub:owner/gpt2');
  await expect(told(page)).toContainText('Open: ');
  expect(hub.asked.length).toBeGreaterThan(asked);
});

test('a download that breaks off goes on where it stopped', async ({ page }) => {
  models['owner/gpt2'].breaks = 2;
  await show(page);
  await ask(page, 'hub:owner/gpt2@v1');
  await expect(told(page)).toContainText('from hub:owner/gpt2@v1.');
  const ranges = hub.asked.filter(({ host }) => host === 'store').map(({ range }) => Number(/\d+/.exec(range)[0]));
  expect(ranges).toHaveLength(3);
  expect(ranges[0]).toBe(0);
  expect(ranges[1]).toBeGreaterThan(0);
  expect(ranges[2]).toBeGreaterThan(ranges[1]);
});

test('a half-finished download survives a reload: only what is missing is asked for', async ({ page }) => {
  models['owner/gpt2'].stops = 1000;
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(wrong(page)).toContainText('broke off after 1000 of');
  await page.reload();
  const line = panel(page).locator('.kept li');
  await panel(page).locator('.keeping summary').click();
  await expect(line).toContainText('MB so far, unfinished');
  await expect(line).toContainText(COMMIT.slice(0, 7));
  delete models['owner/gpt2'].stops;
  hub.asked.length = 0;
  await line.locator('[data-action="open"]').click();
  await expect(told(page)).toContainText('from hub:owner/gpt2.');
  const asked = hub.asked.map(({ host, path, range }) => `${host} ${path.split('/').at(-1)} ${range}`);
  expect(asked).toEqual(['hub config.json bytes=0-', 'hub model.safetensors.index.json bytes=0-', 'hub generation_config.json bytes=0-', 'hub model.safetensors bytes=1000-', 'store model.safetensors bytes=1000-', 'hub README.md bytes=0-65535']);
  await done(page);
  await expect(line).not.toContainText('unfinished');
  await expect(line).toHaveCount(1);

  // What it is made of is the file, byte for byte.
  const same = await page.evaluate(async () => {
    const { readKept } = await import('/kept.js');
    const file = (await readKept('hub:owner/gpt2')).find(({ name }) => name === 'model.safetensors');
    const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  expect(same).toBe(createHash('sha256').update(readFileSync(`${FAMILIES}gpt2/model.safetensors`)).digest('hex'));
});

test('a model that changed meanwhile begins anew, and what is unfinished can be deleted', async ({ page }) => {
  models['owner/gpt2'].stops = 1000;
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(wrong(page)).toContainText('broke off');
  await page.reload();
  models['owner/gpt2'] = { family: 'gpt2-bf16', commit: COMMIT.replace(/^0/, 'f'), stops: 500 };
  hub.asked.length = 0;
  await ask(page, 'hub:owner/gpt2');
  await expect(wrong(page)).toContainText('broke off after 500 of');
  expect(hub.asked.filter(({ host }) => host === 'store')[0].range).toBe('bytes=0-');
  await panel(page).locator('.keeping summary').click();
  await panel(page).locator('.kept li [data-action="delete"]').click();
  await expect(panel(page).locator('.keeping')).toBeHidden();
  expect(await page.evaluate(async () => (await (await caches.open('unmasked models')).keys()).length)).toBe(0);
});

test('what the device refuses stays kept, and the next try asks for no weights; what the model itself lacks does not', async ({ page }) => {
  await show(page, 'lang=en&device=cpu&on=none&text=a');
  await page.evaluate(async () => (await import('/engine.js')).usage());
  const [worker] = page.workers();
  await worker.evaluate(() => {
    addEventListener('message', ({ data }) => { if (data.method === 'load') throw new WebAssembly.RuntimeError('unreachable, made up by a test'); });
  });
  await ask(page, 'hub:owner/gpt2');
  await expect(wrong(page)).toContainText('The engine stopped');
  await panel(page).locator('.keeping summary').click();
  const line = panel(page).locator('.kept li');
  await expect(line).toContainText('MB so far, unfinished');
  hub.asked.length = 0;
  await line.locator('[data-action="open"]').click();
  await expect(told(page)).toContainText('from hub:owner/gpt2.');
  await expect(line).not.toContainText('unfinished');
  expect(hub.asked.map(({ path }) => path.split('/').at(-1)).sort()).toEqual(['README.md', 'config.json', 'generation_config.json', 'model.safetensors.index.json']);

  models['owner/bert'].without = ['tokenizer.json'];
  await ask(page, 'hub:owner/bert');
  await expect(wrong(page)).toContainText('does not open');
  await expect(panel(page).locator('.work')).toBeHidden();
  const kept = await page.evaluate(async () => (await (await import('/kept.js')).listKept()).map(({ source }) => source));
  expect(kept).toEqual(['hub:owner/gpt2']);
});

test('what is deleted while it comes is cancelled, and nothing is left of it', async ({ page }) => {
  models['owner/gpt2'].stops = 1000;
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(wrong(page)).toContainText('broke off');
  delete models['owner/gpt2'].stops;
  models['owner/gpt2'].slow = true;
  await panel(page).locator('.keeping summary').click();
  const line = panel(page).locator('.kept li');
  await line.locator('[data-action="open"]').click();
  const work = panel(page).locator('.work');
  await expect.poll(() => work.locator('progress').evaluate((bar) => bar.value > 0 && bar.value < bar.max)).toBe(true);
  await line.locator('[data-action="delete"]').click();
  await expect(told(page)).toContainText('hub:owner/gpt2');
  await expect(work).toBeHidden();
  await expect(panel(page).locator('.keeping')).toBeHidden();
  expect(await page.evaluate(async () => (await (await caches.open('unmasked models')).keys()).length)).toBe(0);
});

test('a folder that is dropped opens', async ({ page }) => {
  await show(page);
  // As the browser itself does it: the folder comes as one entry, to be walked.
  const client = await page.context().newCDPSession(page);
  const data = { items: [], files: [`${FAMILIES}bert`], dragOperationsMask: 1 };
  for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) {
    await client.send('Input.dispatchDragEvent', { type, x: 400, y: 500, data });
    if (type === 'dragOver') await expect(page.locator('html')).toHaveAttribute('data-drop', '');
  }
  await expect(told(page)).toHaveText('Open: Encoder-only, from the folder “bert”.');
  await expect(page.locator('html')).not.toHaveAttribute('data-drop');
  await done(page);
  await page.locator('#lang').click();
  await expect(told(page)).toHaveText('已打开：仅编码器，来自文件夹“bert”。');
});

test('a slow download shows its bytes and can be cancelled', async ({ page }) => {
  models['owner/gpt2'].slow = true;
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  const work = panel(page).locator('.work');
  await expect(work.locator('span')).toContainText(/[\d.]+ of [\d.]+ MB/);
  await expect.poll(() => work.locator('progress').evaluate((bar) => bar.value > 0 && bar.value < bar.max)).toBe(true);
  await work.locator('button').click();
  await expect(told(page)).toHaveText('Cancelled.');
  await expect(work).toBeHidden();
  await expect(page.locator('#address')).toBeFocused();
  const asked = hub.asked.length;
  await page.waitForTimeout(1_000);
  expect(hub.asked).toHaveLength(asked);
  expect(await page.evaluate(async () => (await (await caches.open('unmasked models')).keys()).length)).toBe(0);
  models['owner/gpt2'].slow = false;
  await ask(page, 'hub:owner/gpt2');
  await expect(told(page)).toContainText('Open: ');
});

test('what is opened again just after it was cancelled is kept whole', async ({ page }) => {
  models['owner/gpt2'].slow = true;
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  const work = panel(page).locator('.work');
  await expect(work.locator('span')).toContainText(/[\d.]+ of [\d.]+ MB/);
  // What was cancelled is slow to leave.
  await page.evaluate(() => {
    const { keys } = Cache.prototype;
    Cache.prototype.keys = async function late(...details) {
      Cache.prototype.keys = keys;
      await new Promise((resolve) => { window.leave = resolve; });
      return keys.apply(this, details);
    };
  });
  models['owner/gpt2'].slow = false;
  await work.locator('button').click();
  await page.waitForFunction(() => window.leave);
  // Meanwhile the panel answers.
  await ask(page, 'hub:../..');
  await expect(wrong(page)).toContainText('no address');
  await ask(page, 'hub:owner/gpt2');
  await expect(work).toBeVisible();
  await expect(work.locator('span')).toContainText('hub:owner/gpt2');
  await expect(wrong(page)).toBeEmpty();
  await page.waitForTimeout(1_000);
  await expect(told(page)).toBeEmpty();
  await page.evaluate(() => window.leave());
  await expect(told(page)).toContainText('Open: ');
  await expect(work).toBeHidden();
  const whole = await page.evaluate(async () => (await (await import('/kept.js')).readKept('hub:owner/gpt2'))?.map(({ name }) => name).sort());
  expect(whole).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
});

test('each refusal says what to do, and the page goes on', async ({ page }) => {
  Object.assign(models, {
    'owner/closed': { closed: true }, 'owner/empty': { without: ['config.json'] }, 'owner/no-weights': { without: ['model.safetensors'] },
    'owner/long': { told: -10 }, 'owner/private': { token: 'secret' },
  });
  await show(page);
  for (const [address, sentence] of [
    ['hub:owner/nobody', /401.*access token/], ['hub:owner/closed', /403.*terms/], ['hub:owner/empty', /no config\.json there \(404\)/],
    ['hub:owner/no-weights', /no model\.safetensors, .*pytorch_model\.bin\.index\.json there \(404\)/], ['hub:owner/long', /wrong length: expected \d+ bytes, got \d+/],
    ['hub:owner/gpt2@none', /404/], ['hub:../..', /no address/], ['http://127.0.0.1:1/m/', /not a secure address/], ['https://127.0.0.1:1/m/', /did not answer/],
  ]) {
    await ask(page, address);
    await expect(wrong(page), address).toContainText(sentence);
  }
  await page.locator('#lang').click();
  await ask(page, 'hub:owner/closed');
  await expect(wrong(page)).toContainText('条款');
  await page.locator('#lang').click();
  await ask(page, 'hub:owner/private');
  await expect(wrong(page)).toContainText('401');
  await panel(page).locator('.token summary').click();
  await panel(page).locator('.token input').fill('secret');
  await ask(page, 'hub:owner/private');
  await expect(told(page)).toContainText('Open: ');
  expect(hub.asked.filter(({ host, authorization }) => host === 'store' && authorization)).toEqual([]);
  // In memory only.
  expect(page.url()).not.toContain('secret');
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie)).not.toContain('secret');
  await done(page);
});

test('files, a folder, and what is dropped open as well; other files are not read', async ({ page }) => {
  await show(page);
  await panel(page).locator('[data-choose="files"]').setInputFiles(['config.json', 'tokenizer.json', 'model.safetensors', 'golden.json'].map((name) => `${FAMILIES}gpt2/${name}`));
  await expect(told(page)).toContainText('Open: Causal decoder, from your files.');
  const source = panel(page).locator('.card .source').first();
  await page.locator('#lang').click();
  await expect(source).toHaveText('你的文件');
  await page.locator('#lang').click();
  await expect(source).toHaveText('your files');
  await panel(page).locator('[data-choose="folder"]').setInputFiles(`${FAMILIES}bert`);
  await expect(told(page)).toContainText('Open: Encoder-only, from the folder “bert”.');
  await expect(panel(page).locator('.card')).toHaveCount(2);

  const files = ['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => [name, readFileSync(`${FAMILIES}t5/${name}`).toString('base64')]);
  const data = await page.evaluateHandle((all) => {
    const carried = new DataTransfer();
    for (const [name, base64] of all) carried.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
    return carried;
  }, files);
  await page.dispatchEvent('#machines', 'dragover', { dataTransfer: data });
  await expect(page.locator('html')).toHaveAttribute('data-drop', '');
  await page.dispatchEvent('#machines', 'drop', { dataTransfer: data });
  await expect(told(page)).toContainText('Open: Encoder–decoder, from your files.');
  await expect(page.locator('html')).not.toHaveAttribute('data-drop');
  await done(page);

  await panel(page).locator('[data-choose="files"]').setInputFiles([`${FAMILIES}gpt2/model.safetensors`]);
  await expect(wrong(page)).toContainText('config.json');
  await panel(page).locator('[data-choose="files"]').setInputFiles(['bert/config.json', 'gpt2/model.safetensors', 'gpt2/tokenizer.json'].map((path) => FAMILIES + path));
  await expect(wrong(page)).toContainText('does not open');
  // The first one leaves the page.
  await panel(page).locator('.card header button').first().click();
  await expect(panel(page).locator('.card')).toHaveCount(2);
  await done(page);
  expect(hub.asked).toEqual([]);
});

test('a model that was never in sight gives all back when it is replaced and when it is put back', async ({ page }) => {
  await page.setViewportSize({ width: 700, height: 420 });
  await show(page, 'lang=en&device=cpu&on=none&text=a');
  const engines = () => page.evaluate(async () => (await (await import('/engine.js')).usage()).engines);
  const choose = () => panel(page).locator('[data-choose="files"]').setInputFiles(['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => `${FAMILIES}gpt2/${name}`));
  const card = panel(page).locator('.card');
  await choose();
  await expect(told(page)).toContainText('Open: ');
  expect(await phase(opened(page, 'causal'))).toBe('idle');
  expect(await engines()).toBe(1);
  await card.evaluate((node) => { node.dataset.first = ''; });
  await choose();
  await expect(card).not.toHaveAttribute('data-first');
  await expect.poll(engines).toBe(1);
  // Also one that was turned off before it was wanted.
  await page.locator('.toggle[data-place="opened causal"]').click();
  await expect(opened(page, 'causal')).toHaveCount(0);
  await card.locator('header button').click();
  await expect.poll(engines).toBe(0);
});

test('a machine that was turned off and on before it was seen takes the engine over from the panel', async ({ page }) => {
  await page.setViewportSize({ width: 700, height: 420 });
  await show(page, 'lang=en&device=cpu&on=none&text=a');
  await panel(page).locator('[data-choose="files"]').setInputFiles(['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => `${FAMILIES}gpt2/${name}`));
  await expect(told(page)).toContainText('Open: ');
  const demo = opened(page, 'causal');
  // Where the pointer would bring it into sight, this does not.
  const press = () => page.locator('.toggle[data-place="opened causal"]').evaluate((button) => button.click());
  const first = await demo.elementHandle();
  expect(await phase(demo)).toBe('idle');
  await press();
  await expect(demo).toHaveCount(0);
  expect(await first?.evaluate((element) => element.phase)).toBe('idle');
  await press();
  await demo.evaluate((element) => element.load());
  await done(page);
  await press();
  await expect.poll(() => page.evaluate(async () => (await (await import('/engine.js')).usage()).engines)).toBe(0);
});

test('what torch.save wrote opens from files, and what asks to run something is refused by its name', async ({ page }) => {
  await show(page);
  const choose = (paths) => panel(page).locator('[data-choose="files"]').setInputFiles(paths);
  const folder = ['config.json', 'tokenizer.json'].map((name) => `${FAMILIES}bert/${name}`);
  await choose([...folder, `${FAMILIES}../torch/bert/pytorch_model.bin`]);
  await expect(told(page)).toContainText('Open: Encoder-only, from your files.');
  await done(page);
  const buffer = readFileSync(`${FAMILIES}../torch/bert-older/pytorch_model.bin`);
  buffer.write('cos\nsystem\n', buffer.indexOf('ccollections'));
  await choose([...folder.map((path) => ({ name: path.split('/').at(-1) ?? '', mimeType: '', buffer: readFileSync(path) })), { name: 'pytorch_model.bin', mimeType: '', buffer }]);
  await expect(wrong(page)).toContainText('asks Python to run `os.system`');
});

test('what is broken, hostile or absurd ends in one clear message, and the page goes on', async ({ page }) => {
  const folder = (name, files) => new Map(files.map((file) => [file, readFileSync(`${FAMILIES}${name}/${file}`)]));
  const whole = () => folder('gpt2', ['config.json', 'tokenizer.json', 'model.safetensors']);
  const shards = () => folder('gpt2-switches', ['config.json', 'tokenizer.json', 'model.safetensors.index.json', ...[1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`)]);
  /** The weights with other bytes in place of some, as many. */
  const spoilt = (files, from, to) => files.get('model.safetensors').write(to, files.get('model.safetensors').indexOf(from));
  const edited = (files, name, change) => files.set(name, Buffer.from(JSON.stringify(change(JSON.parse(files.get(name))))));
  /** What is wrong, the files, and what must be said. @type {Array<[string, Map<string, Buffer>, (files: Map<string, any>) => unknown, RegExp]>} */
  const all = [
    ['a shard that breaks off', shards(), (files) => files.set('model-00002-of-00003.safetensors', files.get('model-00002-of-00003.safetensors').subarray(0, 3000)), /model-00002-of-00003\.safetensors.*complete/],
    ['a shard that is not there', shards(), (files) => files.delete('model-00003-of-00003.safetensors'), /index.*model-00003-of-00003\.safetensors/],
    ['an index without an entry', shards(), (files) => edited(files, 'model.safetensors.index.json', (index) => { delete index.weight_map['transformer.wte.weight']; return index; }), /index.*transformer\.wte\.weight/],
    ['a tensor of another shape', whole(), (files) => spoilt(files, '[61,27]', '[27,61]'), /transformer\.wte\.weight.*\[61, 27\].*\[27, 61\]/],
    ['a header of 10 GB', whole(), (files) => files.get('model.safetensors').writeBigUInt64LE(10_000_000_000n), /model\.safetensors.*complete/],
    ['numbers that are none', whole(), (files) => files.get('model.safetensors').fill(0xff, files.get('model.safetensors').length - 64), /finite/],
    ['the config of another family', whole(), (files) => files.set('config.json', readFileSync(`${FAMILIES}bert/config.json`)), /bert\.embeddings\.word_embeddings\.weight/],
    ['a vocabulary larger than its matrix', whole(), (files) => edited(files, 'config.json', (config) => ({ ...config, vocab_size: 500 })), /\[500, 27\].*\[61, 27\]/],
  ];
  await show(page);
  await done(page);
  for (const [name, files, spoil, sentence] of all) {
    spoil(files);
    await panel(page).locator('[data-choose="files"]').setInputFiles([...files].map(([name, buffer]) => ({ name, mimeType: '', buffer })));
    await expect(wrong(page), name).toContainText(sentence);
    await expect(wrong(page), name).not.toContainText(/panicked|unreachable|undefined/);
  }
  // The machine beside goes on, and the next model opens.
  await page.locator('#sentence').fill('My sister is here.');
  await done(page);
  await panel(page).locator('[data-choose="files"]').setInputFiles([...whole()].map(([name, buffer]) => ({ name, mimeType: '', buffer })));
  await expect(told(page)).toContainText('Open: Causal decoder, from your files.');
  await expect(wrong(page)).toBeHidden();
  await done(page);
  await expect(panel(page).locator('.card')).toHaveCount(1);
});

test('open.html asks for what it is told to and nothing else; index.html asks nobody', async ({ page, baseURL }) => {
  const seen = await watch(page);
  const origin = new URL(baseURL).origin;
  await show(page);
  await done(page);
  expect(foreign(seen.requests, origin)).toEqual([]);
  await ask(page, 'hub:owner/gpt2');
  await expect(told(page)).toContainText('Open: ');
  await done(page);
  const asked = new Set(foreign(seen.requests, origin));
  const folder = `${hub.url}owner/gpt2/resolve/`;
  expect(asked).toEqual(new Set([`${folder}main/config.json`, ...['tokenizer.json', 'model.safetensors.index.json', 'model.safetensors', 'generation_config.json', 'README.md'].map((name) => `${folder}${COMMIT}/${name}`), `${hub.store}owner/gpt2/model.safetensors`]));

  const before = hub.asked.length;
  await open(page, 'lang=en&device=cpu&on=causal');
  await done(page);
  for (const source of [`${hub.url}owner/gpt2/resolve/main/`, 'hub:owner/gpt2']) {
    const demo = machine(page, 'causal');
    await demo.evaluate((element, model) => element.setAttribute('model', model), source);
    await expect(demo.locator('.status-detail')).toContainText('Use open.html');
  }
  expect(hub.asked).toHaveLength(before);
});

test('the worker of open.html may not speak to others', async ({ page }) => {
  await show(page);
  const refused = await page.evaluate(async (url) => {
    const worker = await (await fetch('worker.js')).headers.get('content-security-policy');
    return { worker, page: (await fetch('open.html')).headers.get('content-security-policy'), url };
  }, hub.url);
  expect(refused.page).toContain("connect-src 'self' https:");
  expect(refused.worker).not.toContain('https:');
});

test('axe finds nothing in the panel, and the keyboard reaches all of it', async ({ page }) => {
  await show(page);
  await ask(page, 'hub:owner/gpt2');
  await expect(panel(page).locator('.kept li')).toHaveCount(1);
  await done(page);
  for (const summary of await panel(page).locator('summary').all()) await summary.click();
  await ask(page, 'hub:owner/nobody');
  await expect(wrong(page)).toContainText('401');
  const findings = async (rules) => {
    const axe = new AxeBuilder({ page });
    return (await (rules ? axe.withRules(rules) : axe).analyze()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  };
  expect(await findings()).toEqual([]);
  await page.evaluate(() => { document.documentElement.dataset.theme = 'dark'; });
  expect(await findings(['color-contrast'])).toEqual([]);

  await page.locator('#address').focus();
  const passed = [];
  for (let presses = 0; presses < 8; presses += 1) {
    await page.keyboard.press('Tab');
    passed.push(await page.evaluate(() => document.activeElement?.textContent || document.activeElement?.getAttribute('type') || ''));
  }
  expect(passed).toEqual(['Open', 'Choose files', 'Choose a folder', 'Access token', 'password', expect.stringContaining('Kept in this browser'), 'hub:owner/gpt2', 'Delete']);
});
