/** What is taken along as a file: a figure that stands alone, the engine's own numbers, and a run that plays again as it was. */
import { expect, test } from '@playwright/test';
import { readFile } from 'node:fs/promises';
import { ARCHITECTURES, done, drawn, host, machine, open } from '../machines.js';
import { TEXT, address, look, press, stroke } from '../masks.js';

const opener = (element) => element.locator('.save > button');
const menu = (element) => element.locator('.save-menu');
const choice = (element, what) => element.locator(`[data-action="save"][data-value="${what}"]`);
const offers = (element) => element.locator('.save-choices button').evaluateAll((buttons) => buttons.map(({ dataset }) => dataset.value));

/** Chooses from the menu, and reads the file that comes of it. */
async function saved(page, element, what) {
  await opener(element).click();
  const [download] = await Promise.all([page.waitForEvent('download'), choice(element, what).click()]);
  await expect(menu(element)).toBeHidden();
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** A figure, opened as a document of its own. */
const read = (page, svg) => page.evaluate(async (text) => {
  const figure = new DOMParser().parseFromString(text, 'image/svg+xml');
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
  await image.decode();
  const all = [...figure.querySelectorAll('*')];
  const hatched = figure.querySelectorAll('[fill="url(#hatch)"]');
  // Cells in a row are one area: `M67 100h66v33h-66z`.
  const areas = [...hatched].flatMap((path) => [...path.getAttribute('d').matchAll(/h([\d.]+)v([\d.]+)/g)].map(([, width, height]) => Math.round(width / height)));
  return {
    root: figure.documentElement.nodeName, size: [image.width, image.height], said: [...figure.querySelectorAll('text')].map(({ textContent }) => textContent),
    title: figure.querySelector('title')?.textContent, desc: figure.querySelector('desc')?.textContent, pattern: figure.querySelector('pattern')?.id,
    hidden: areas.reduce((sum, one) => sum + one, 0), names: [...new Set(all.map(({ nodeName }) => nodeName))].sort(),
    attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
    away: all.flatMap((one) => [...one.attributes].filter(({ name, value }) => name !== 'xmlns' && /href|https?:|url\((?!#)/.test(name + value)).map(({ name }) => name)),
  };
}, svg);

test('a figure stands alone: no style, no address of others, what is hidden hatched, and all that it shows said', async ({ page }) => {
  await open(page, address('on=causal,encoder-decoder&step=4&theme=dark'));
  await done(page);
  const element = machine(page, 'causal');
  const { name, bytes } = await saved(page, element, 'svg');
  expect(name).toBe('unmasked-causal-layer6-head1.svg');
  const figure = await read(page, bytes.toString('utf8'));
  expect(figure).toMatchObject({ root: 'svg', pattern: 'hatch', away: [], title: 'Causal decoder · layer 6 · head 1 · step 4' });
  expect(figure.desc).toContain(`Text: ${TEXT}`);
  expect(figure.names).toEqual(['defs', 'desc', 'g', 'path', 'pattern', 'rect', 'svg', 'text', 'title']);
  expect(figure.attributes.filter((one) => /^(class|style|data-.*|on.*)$/.test(one))).toEqual([]);
  // 13 rows, of which each hides what comes after it.
  expect(figure.hidden).toBe((13 * 12) / 2);
  for (const piece of ['[BOS]', 'doctor', 'médecin', 'est']) expect(figure.said.filter((text) => text === piece), piece).toHaveLength(2);
  expect(figure.said.slice(-2)).toEqual([figure.title, `Text: ${TEXT}`]);
  // As on the page, also where the page is narrow and its matrix has no room for numbers.
  const [p] = await element.evaluate((demo) => [demo.timeline.frame(demo.position).blocks[0].attention(5, 0, 0)[0]]);
  expect(p).toBe(1);
  expect(figure.said).toContain('1');

  // Another rule, painted cells, all heads.
  await page.locator('[data-setting="head"]').selectOption('all');
  await press(element, 'paint');
  await element.locator('[data-action="rule"]').selectOption('window');
  await done(page);
  await press(element, 'paint');
  const all = await read(page, await element.evaluate((demo) => demo.figure()));
  expect(all.said.filter((text) => /^head \d$/.test(text))).toHaveLength(5);
  expect(all.title).toBe(`Causal decoder · layer 6 · all heads · step ${await element.evaluate((demo) => demo.timeline.frame(demo.position).position)}`);
  expect(all.said).toContain('Mask chosen: Only near neighbours. (itself and 2 before it)');
  expect(all.hidden % 5).toBe(0);
  const wired = await read(page, await machine(page, 'encoder-decoder').evaluate((demo) => demo.figure()));
  expect(wired.title).toMatch(/^Encoder–decoder · layer 3 · all heads/);
  expect(wired.said.filter((text) => text === 'cross-attention')).toHaveLength(5);
});

test('a text that would be markup, or that no file may hold, is text', async ({ page }) => {
  const text = 'a <b>&amp;"\' ]]> \u0001\uFFFE\uD800 \u202Ez';
  await host(page, '<unmasked-demo architecture="causal" device="cpu" text="Thanks"></unmasked-demo>');
  await done(page);
  const element = page.locator('unmasked-demo');
  await element.evaluate((demo, hostile) => { demo.text = hostile; }, text);
  await done(page);
  const figure = await read(page, await element.evaluate((demo) => demo.figure()));
  expect(figure.root).toBe('svg');
  expect(figure.said.at(-1)).toMatch(/^Text: a <b>&amp;"' \]\]> U\+0001.* U\+202Ez$/);
});

test('a picture of pixels is the figure, three times as large', async ({ page }) => {
  await open(page, address('on=prefix&step=2'));
  await done(page);
  const element = machine(page, 'prefix');
  const { name, bytes } = await saved(page, element, 'png');
  expect(name).toBe('unmasked-prefix-layer6-head1.png');
  const { size } = await read(page, await element.evaluate((demo) => demo.figure()));
  expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual(size.map((side) => side * 3));
  // White paper, with all that is drawn on it.
  const [corner, colours] = await page.evaluate(async (data) => {
    const picture = Object.assign(new Image(), { src: `data:image/png;base64,${data}` });
    await picture.decode();
    const context = /** @type {any} */ (new OffscreenCanvas(picture.width, picture.height).getContext('2d'));
    context.drawImage(picture, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, picture.width, picture.height);
    const found = new Set(new Uint32Array(pixels.buffer));
    const has = (/** @type {number[]} */ ...rgb) => found.has(((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0);
    return [[...pixels.slice(0, 4)], { now: has(0xb4, 0x53, 0x09), ink: has(0x1b, 0x1c, 0x20) }];
  }, bytes.toString('base64'));
  expect(corner).toEqual([255, 255, 255, 255]);
  expect(colours).toEqual({ now: true, ink: true });
});

test('numbers are the engine’s own, a line a cell, and no piece becomes a formula', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal&step=2&layer=2&head=3&text=${encodeURIComponent('A well-known man, "so".')}`);
  await done(page);
  const element = machine(page, 'causal');
  const { name, bytes } = await saved(page, element, 'csv');
  expect(name).toBe('unmasked-causal-layer2-head3.csv');
  expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  const lines = bytes.toString('utf8').slice(1).split('\r\n');
  expect(lines[0]).toBe('block,layer,head,row,row_piece,key,key_piece,visible,attention');
  const expected = await page.evaluate(async () => {
    const demo = /** @type {any} */ (document.querySelector('unmasked-demo'));
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
    const ids = [...demo.timeline.header.tokens.map(({ id }) => id), ...demo.timeline.answerIds(2)];
    const { forward } = await engine.forward({ ids, watch: { layers: [1], heads: [2], rows: 'all', what: ['attention'] } });
    engine.free();
    return [forward.attention.decoder[0][0], forward.mask.decoder];
  });
  const [attention, mask] = expected;
  const cells = lines.slice(1, -1).map((line) => /^decoder,2,3,(\d+),(?:"(?:[^"]|"")*"|[^",]*),(\d+),(?:"(?:[^"]|"")*"|[^",]*),([01]),([\d.e-]+)$/.exec(line)?.slice(1).map(Number));
  expect(cells).toEqual(attention.flatMap((row, at) => attention.map((_, key) => [at, key, Number(mask[at][key] === '1'), row[key] ?? 0])));
  expect(lines.some((line) => line.includes(",'-,0,[BOS],1,"))).toBe(true);
  expect(bytes.toString('utf8')).not.toMatch(/,"?[=+@-]/);
  for (const quoted of ['","', '""""']) expect(lines.some((line) => line.includes(`,${quoted},`)), quoted).toBe(true);
});

/** All that a run's frames tell. */
const frames = (element) => element.evaluate((demo) => Array.from({ length: demo.timeline.length + 1 }, (_, at) => {
  const { blocks, ...frame } = demo.timeline.frame(at);
  const shown = blocks.map(({ name, rows, keys, wholeRows, wholeKeys, visible, attention }) => [name, wholeRows, wholeKeys, Array.from({ length: rows }, (_1, row) => [
    Array.from({ length: keys }, (_2, key) => visible(row, key)), Array.from({ length: frame.layers[name] }, (_2, layer) => Array.from({ length: frame.heads }, (_3, head) => attention(layer, head, row)))])]);
  return JSON.stringify([frame, shown, [...demo.timeline.signs.specials], demo.timeline.signs.maskId ?? null, demo.timeline.edits, demo.timeline.rule, demo.timeline.silenced]);
}));
/** The words of a machine as they stand on the page, but for those that compare it with its own mask: a stored run has no other. */
const said = (element) => element.evaluate((demo) => ['.strips', '.candidates', '.about', '.painting-words', '.stats'].map((name) => {
  const node = demo.shadowRoot.querySelector(name);
  return node.closest('[hidden]') ? '' : node.textContent.replace(/Before: “.*?” \S+\.| ?before the change: [<\d.]+%/g, '').trim();
}));

for (const [name, settings] of /** @type {Array<[string, string]>} */ ([
  ['as it is', 'head=2&layer=4'],
  ['under other masks, with silenced heads', 'mask=causal.causal%2Bwindow:3_prefix.full_encoder.prefix:3&edits=encoder-decoder.d2.0hc1.2h_encoder.e2.1h&silenced=causal.d6.3_encoder-decoder.c3.1'],
  ['drawn by lot, blanks by confidence, forced', 'temperature=0.9&topK=5&seed=7&fill=confidence&blanks=1.3.4&head=all'],
])) {
  test(`a run that is saved plays again with no engine, frame by frame: ${name}`, async ({ page }) => {
    await open(page, address(settings));
    await done(page);
    const before = {};
    for (const one of ARCHITECTURES) {
      const element = machine(page, one);
      if (settings.includes('seed')) {
        await element.evaluate((demo) => { demo.seek(1); demo.force(demo.timeline.steps[1].candidates.find(({ id }) => id !== demo.timeline.steps[1].chosen).id); });
        await done(page);
      }
      await page.keyboard.press('Escape');
      await page.evaluate(() => { /** @type {any} */ (document.activeElement)?.blur(); });
      const { name: file, bytes } = await saved(page, element, 'run');
      expect(file).toBe(`unmasked-${one}-run.json`);
      await page.evaluate(() => { for (const demo of /** @type {any} */ (document.querySelectorAll('unmasked-demo'))) demo.seek(2); });
      await drawn(page);
      before[one] = { bytes, frames: await frames(element), said: await said(element) };
    }
    for (const one of ARCHITECTURES) await page.route(`**/${one}.json`, (route) => route.fulfill({ contentType: 'application/json', body: before[one].bytes }));
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await host(page, ARCHITECTURES.map((one) => `<unmasked-demo aligned trace="/${one}.json" controls="none"></unmasked-demo>`).join(''));
    await page.evaluate(() => { for (const demo of /** @type {any} */ (document.querySelectorAll('unmasked-demo'))) demo.load(); });
    await done(page);
    await page.evaluate(() => { for (const demo of /** @type {any} */ (document.querySelectorAll('unmasked-demo'))) demo.seek(2); });
    await drawn(page);
    for (const one of ARCHITECTURES) {
      const element = page.locator(`unmasked-demo[trace="/${one}.json"]`);
      expect(await frames(element), one).toEqual(before[one].frames);
      expect(await said(element), one).toEqual(before[one].said);
      // It can be taken along once more, and is the same.
      expect(await element.evaluate((demo) => demo.record())).toEqual(JSON.parse(before[one].bytes.toString('utf8')));
      await expect.poll(() => offers(element)).toEqual(['svg', 'png', 'csv', 'run']);
    }
    expect(asked.filter((url) => /\.(safetensors|wasm)$/.test(url))).toEqual([]);
  });
}

test('a text that was only read is a run, too, and so is what its pair head said', async ({ page }) => {
  await host(page, '<unmasked-demo architecture="encoder" device="cpu" text="Thank you!" pair="Merci !" blanks=""></unmasked-demo>');
  await done(page);
  const element = page.locator('unmasked-demo');
  await expect(element.locator('.hint')).toContainText('The pair head');
  const [before, hint] = [await frames(element), await element.locator('.hint').textContent()];
  const trace = await element.evaluate((demo) => JSON.stringify(demo.record()));
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  await host(page, '<unmasked-demo trace="/run.json"></unmasked-demo>');
  await done(page);
  expect(await frames(element)).toEqual(before);
  await expect(element.locator('.hint')).toHaveText(hint ?? '');
  // What its model could fill, a stored run does not tell.
  await expect(element.locator('.candidates')).toContainText('No blanks.');
});

test('the menu goes by keyboard, and closes on Escape, on a press elsewhere and when something else has the focus', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await open(page, address('on=causal&step=2'));
  await done(page);
  const element = machine(page, 'causal');
  const focused = () => element.evaluate((demo) => demo.shadowRoot.activeElement?.dataset.value ?? demo.shadowRoot.activeElement?.textContent);
  await opener(element).focus();
  await page.keyboard.press('Enter');
  await expect(menu(element)).toBeVisible();
  expect(await focused()).toBe('svg');
  await page.keyboard.press('ArrowUp');
  expect(await focused()).toBe('run');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('png');
  await page.keyboard.press('Escape');
  await expect(menu(element)).toBeHidden();
  expect(await focused()).toBe('save');
  // By key the choice is made, and the focus is where it was.
  await page.keyboard.press('Enter');
  for (const key of ['ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
  expect(download.suggestedFilename()).toBe('unmasked-causal-layer6-head1.csv');
  await expect(menu(element)).toBeHidden();
  expect(await focused()).toBe('save');
  // Wherever the row stands in the window, all of the menu can be seen and pressed, also above the dock.
  for (const block of /** @type {const} */ (['start', 'center', 'end'])) {
    await opener(element).evaluate((button, at) => button.scrollIntoView({ block: at }), block);
    await opener(element).evaluate((button) => button.click());
    await drawn(page);
    const reached = await menu(element).evaluate((node) => [...node.querySelectorAll('button')].map((button) => {
      const { x, y, width, height } = button.getBoundingClientRect();
      const root = /** @type {ShadowRoot} */ (button.getRootNode());
      return x >= 0 && x + width <= innerWidth && y >= 0 && y + height <= innerHeight && button.contains(root.elementFromPoint(x + width / 2, y + height - 3));
    }));
    expect(reached, block).toEqual([true, true, true, true]);
    await page.mouse.click(2, 2);
    await expect(menu(element)).toBeHidden();
  }
});

test('it offers what stands there: the leak test’s numbers and no picture; where no matrix is, nothing', async ({ page }) => {
  await open(page, address('on=causal&step=2&look=causal.leak'));
  await done(page);
  const element = machine(page, 'causal');
  await expect(element.locator('.leak')).not.toHaveAttribute('data-waiting', /.*/);
  await expect.poll(() => offers(element)).toEqual(['csv', 'run']);
  const { name, bytes } = await saved(page, element, 'csv');
  expect(name).toBe('unmasked-causal-leak.csv');
  const lines = bytes.toString('utf8').slice(1).trim().split('\r\n').map((line) => line.split(','));
  expect(lines[0]).toEqual(['block', 'row', 'piece', 'exchanged_for', ...Array.from({ length: 7 }, (_, layer) => `layer_${layer}`)]);
  const shown = await element.locator('.leak table').evaluate(async (table) => {
    const { sayChange } = await import('/leak.js');
    return [[...table.querySelectorAll('tbody tr')].map((line) => [...line.querySelectorAll('button, td')].map(({ textContent }) => textContent)), String(sayChange(0))];
  });
  const say = await page.evaluate(async (rows) => { const { sayChange } = await import('/leak.js'); return rows.map(([, , piece, , ...changes]) => [piece, ...changes.map((change) => sayChange(Number(change)))]); }, lines.slice(1));
  expect(say).toEqual(shown[0]);
  await look(element, 'table');
  await expect.poll(() => offers(element)).toEqual(['csv', 'run']);
  await look(element, 'cost');
  await expect.poll(() => offers(element)).toEqual(['csv', 'run']);
  const cost = await saved(page, element, 'csv');
  expect(cost.name).toBe('unmasked-causal-cost.csv');
  const numbers = cost.bytes.toString('utf8').slice(1).trim().split('\r\n').map((line) => line.split(',').at(-1));
  const costs = await element.locator('.cost tbody td[title]').evaluateAll((counts) => counts.map((count) => count.getAttribute('title').replaceAll(',', '')));
  expect(numbers.slice(1)).toEqual(costs);
  await look(element, 'objective');
  await expect(element.locator('.objective-tables tbody tr')).not.toHaveCount(0);
  await expect.poll(() => offers(element)).toEqual(['csv', 'run']);
  const training = await saved(page, element, 'csv');
  expect(training.name).toBe('unmasked-causal-objective.csv');
  const asked = await element.locator('.objective tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map(({ textContent }) => textContent.replace(/^·/, ''))));
  expect(training.bytes.toString('utf8').slice(1).trim().split('\r\n').slice(1).map((line) => line.split(',').slice(2))).toEqual(asked.map(([given, wanted, loss]) => [given, wanted, loss === 'yes' ? '1' : '0']));
  // Who knows what is in the matrix itself: its numbers are layers.
  await look(element, 'reach');
  await expect(element.locator('.reach')).not.toHaveAttribute('data-waiting', /.*/);
  await expect.poll(() => offers(element)).toEqual(['svg', 'png', 'csv', 'run']);
  const reach = await saved(page, element, 'csv');
  expect(reach.name).toBe('unmasked-causal-reach.csv');
  const cells = reach.bytes.toString('utf8').slice(1).trim().split('\r\n').map((line) => line.split(','));
  expect(cells[0]).toEqual(['block', 'row', 'row_piece', 'token', 'token_piece', 'known_after_layer']);
  expect(cells.slice(1).every(([, row, , token, , layer]) => layer === (row === token ? '0' : Number(token) < Number(row) ? '1' : ''))).toBe(true);
  const figure = await saved(page, element, 'svg');
  expect(figure.name).toBe('unmasked-causal-reach-layer6.svg');
  expect(figure.bytes.toString('utf8')).toMatch(/layer 6 · who knows what/);
  await look(element);
  await expect.poll(() => offers(element)).toEqual(['svg', 'png', 'csv', 'run']);
  // What is painted is in it.
  await press(element, 'paint');
  await stroke(page, element, [[6, 1]]);
  await done(page);
  expect(await element.evaluate((demo) => demo.record().scene.edits)).toBe('d6.1h');
  await page.goto('/embed.html?architecture=causal&lang=en&device=cpu&text=Thank+you!&view=tokens+candidates');
  await done(page);
  await expect(opener(page.locator('unmasked-demo'))).toBeHidden();
});

test('in a frame that may not save, nothing breaks', async ({ page }) => {
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.route('**/frame.html', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>A frame</title><iframe sandbox="allow-scripts allow-same-origin" width="720" height="620" src="/embed.html?architecture=causal&lang=en&device=cpu&text=Thank+you!"></iframe>' }));
  await page.goto('/frame.html');
  const element = page.frameLocator('iframe').locator('unmasked-demo');
  await expect(element.locator('.mask svg')).toBeVisible({ timeout: 60_000 });
  await expect.poll(() => element.evaluate((demo) => /** @type {any} */ (demo).phase)).toBe('done');
  for (const what of ['svg', 'png', 'run']) {
    await opener(element).click();
    await choice(element, what).click();
    await expect(menu(element)).toBeHidden();
  }
  expect(errors).toEqual([]);
});
