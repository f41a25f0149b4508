/** The page in Firefox, as a person uses it: what it computes there, and that all of it can be used. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MODELS, certain, distance, golden } from '../browser/golden.js';
import { answer, done, inside, launch, machine, of, serve, tab, until } from './browser.js';

const WRITERS = ['causal', 'prefix', 'encoder-decoder'];
const GPT2 = fileURLToPath(new URL('../golden/families/gpt2/', import.meta.url));

let [host, browser] = [null, null];
before(async () => { [host, browser] = [await serve(), await launch()]; });
after(async () => { await browser?.close(); await host?.close(); });

/** A tab at the page with this state, tried by `work`; nothing may go wrong in it. */
async function visit(path, work, size) {
  const { page, seen } = await tab(browser, size);
  try {
    await page.goto(host.url + path);
    await work(page, seen);
    assert.deepEqual(seen.errors, []);
  } finally {
    await page.close();
  }
}

for (const model of MODELS.map((name) => `${name}-int8`)) {
  test(`${model}: the engine says what the reference says`, () => visit('#on=none', async (page) => {
    for (const example of golden(model).cases) {
      const request = { ids: example.ids, sourceLength: example.source_length };
      const got = JSON.parse(await page.evaluate(async (folder, asked, targetIds, most) => {
        const { loadEngine } = await import(new URL('engine.js', document.baseURI).href);
        const engine = await loadEngine(`models/${folder}/`, { device: 'cpu' });
        const watch = { layers: 'all', heads: 'all', rows: 'all', what: ['attention', 'logits'] };
        const { forward } = await engine.forward({ ...asked, targetIds, watch });
        const steps = [];
        if (most) for await (const { chosen } of engine.generate({ ...asked, maxNewTokens: most })) steps.push(chosen);
        engine.free();
        return JSON.stringify({ forward, steps });
      }, model, request, example.target_ids, example.greedy?.length ?? 0));
      const logits = distance(got.forward.logits, example.logits, 'logits');
      assert.ok(logits.difference <= 1e-4 * logits.largest, `logits differ by ${logits.difference}`);
      for (const [site, expected] of Object.entries(example.attention)) {
        const { difference } = distance(got.forward.attention[site], expected, site);
        assert.ok(difference <= 1e-4, `the ${site}'s attention differs by ${difference}`);
      }
      const sure = certain(example.greedy_margin ?? []);
      assert.deepEqual(got.steps.slice(0, sure), (example.greedy ?? []).slice(0, sure));
    }
  }));
}

test('four machines read what is typed, and answer it', () => visit('#lang=en&device=cpu', async (page) => {
  await done(page);
  await page.click('#sentence', { count: 3 });
  await page.keyboard.type(golden('en-fr-causal-int8').cases[0].text);
  for (const architecture of WRITERS) {
    const { ids, greedy, greedy_margin: margins } = golden(`en-fr-${architecture}-int8`).cases[0];
    const read = () => of(page, architecture, ({ timeline }) => timeline?.header.tokens.map(({ id }) => id) ?? []);
    await until(read, (got) => JSON.stringify(got.slice(0, ids.length)) === JSON.stringify(ids), `${architecture} reads`);
    await done(page);
    const sure = certain(margins);
    assert.deepEqual((await answer(page, architecture)).slice(0, sure), greedy.slice(0, sure), architecture);
  }
  assert.equal((await answer(page, 'encoder')).length, 1);
}));

test('where there is no WebGPU the page says that the CPU computes, and why', (t) => visit('#lang=en&on=causal', async (page) => {
  await done(page);
  if (await page.evaluate(() => 'gpu' in navigator)) { t.skip('this Firefox has WebGPU'); return; }
  assert.equal(await page.$eval('.badge summary span', ({ textContent }) => textContent), 'CPU');
  assert.equal(await page.$eval('.badge summary b', ({ textContent }) => textContent), 'no WebGPU here');
  assert.equal(await page.$eval('.badge .reason', ({ textContent }) => textContent), 'The CPU: this browser has no WebGPU.');
}));

test('steps, cells, heads, tables, candidates and blanks', () => visit('#lang=en&device=cpu', async (page) => {
  await done(page);
  const position = () => of(page, 'prefix', (demo) => demo.position);
  const is = (wanted) => until(position, (got) => got === wanted, `step ${wanted}`);
  await page.keyboard.press('g');
  const end = await until(position, (got) => got > 1, 'the end');
  await page.keyboard.press('r');
  await is(0);
  await page.keyboard.press('ArrowRight');
  await is(1);
  await page.click('#dock .action-step');
  await is(2);
  await page.focus('#dock .scrub input');
  await page.keyboard.press('End');
  await is(end);
  await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());

  // A cell, by pointer and by keys.
  const told = () => of(page, 'causal', ({ shadowRoot }) => shadowRoot.querySelector('.tooltip:not([hidden])')?.textContent ?? '');
  const box = await (await inside(page, 'causal', '.mask svg')).boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.7);
  assert.match(await until(told, Boolean, 'the pointed-at cell'), /looks at .*\d\.\d{3}$/);
  await page.mouse.move(2, 2);
  await until(told, (text) => text === '', 'the cell that was left');
  await (await inside(page, 'causal', '.mask')).focus();
  await page.keyboard.press('ArrowDown');
  await until(told, Boolean, 'the cell that the keys went to');
  await page.keyboard.press('Escape');

  await page.select('[data-setting="head"]', 'all');
  const figures = () => of(page, 'prefix', ({ shadowRoot }) => shadowRoot.querySelectorAll('.mask figure').length);
  await until(figures, (count) => count > 1, 'a matrix a head');
  await (await inside(page, 'prefix', '.mask figure', 1)).click();
  await until(() => page.$eval('[data-setting="head"]', ({ value }) => value), (value) => value === '2', 'the chosen head');
  await (await inside(page, 'prefix', '[data-action="look"]')).select('table');
  await until(() => of(page, 'prefix', ({ shadowRoot }) => shadowRoot.querySelectorAll('.tables:not([hidden]) td').length), (count) => count > 20, 'the table');

  await page.keyboard.press('r');
  await is(0);
  const other = await inside(page, 'prefix', '.candidate:not([data-chosen])');
  const id = await other.evaluate(({ dataset }) => Number(dataset.id));
  await other.click();
  await until(async () => (await answer(page, 'prefix'))[0], (first) => first === id, 'the forced choice');
  await done(page);
  assert.equal((await answer(page, 'prefix'))[0], id);

  await (await inside(page, 'encoder', '.chip[data-state="source"]')).click();
  await until(() => of(page, 'encoder', (demo) => demo.blanked.length), (count) => count === 2, 'two blanks');
  await done(page);
  assert.equal((await answer(page, 'encoder')).length, 2);
  await until(() => page.evaluate(() => location.hash), (hash) => /head=2/.test(hash) && /blanks=/.test(hash), 'the address');
}));

test('a lesson, and who knows what', () => visit('#lang=en&device=cpu&on=causal', async (page) => {
  await page.click('#lessons summary');
  await until(() => page.$$eval('#lessons li', ({ length }) => length), (count) => count === 16, 'the lessons');
  await (await page.$$('#lessons li button'))[2].click();
  const said = () => of(page, 'causal', ({ shadowRoot }) => shadowRoot.querySelector('.reach-words')?.textContent ?? '');
  await until(said, (text) => /can know of 2 of 9 tokens/.test(text), 'what the lit row knows after one layer');
  await page.keyboard.press('p');
  await until(() => page.$eval('#prefs', (node) => getComputedStyle(node).display), (display) => display === 'none', 'the presenter’s view');
}));

test('settings, languages, colours and help', () => visit('#lang=en&on=causal&device=cpu', async (page) => {
  await done(page);
  await page.click('.sampling summary');
  await page.focus('[data-setting="temperature"]');
  await page.keyboard.press('ArrowRight');
  await until(() => page.evaluate(() => location.hash), (hash) => /temperature=0\.1/.test(hash), 'the temperature');
  await page.keyboard.press('Escape');
  await done(page);
  await page.click('#theme');
  await page.click('#lang');
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-Hans');
  await page.click('#help');
  assert.equal(await page.$eval('#help-dialog', ({ open }) => open), true);
  await page.keyboard.press('Escape');
  await until(() => page.$eval('#help-dialog', ({ open }) => open), (open) => !open, 'the help');
  await page.select('[data-setting="family"]', 'zh-en');
  await until(() => page.$eval('#sentence', ({ value }) => value), (text) => /\p{Script=Han}/u.test(text), 'the Chinese sentence');
  await done(page);
}));

test('files of a person are opened beside the machine of their kind', () => visit('open.html#lang=en&device=cpu', async (page) => {
  await done(page);
  const chooser = await page.$('#open [data-choose="files"]');
  await chooser.uploadFile(...['config.json', 'model.safetensors', 'tokenizer.json'].map((name) => GPT2 + name));
  await page.waitForSelector('unmasked-demo[data-place="opened causal"]');
  await done(page);
  assert.equal(await page.$eval('#open .card h3', ({ textContent }) => textContent), 'GPT-2');
}));

test('nothing sticks out on a phone, with its panels open', () => visit('#lang=en&device=cpu', async (page) => {
  await done(page);
  for (const panel of ['.sampling', '.badge']) {
    await page.click(`${panel} summary`);
    const { left, right } = await page.$eval(`${panel} .panel`, (node) => node.getBoundingClientRect().toJSON());
    assert.ok(left >= 0 && right <= 390, `${panel} reaches from ${left} to ${right}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), panel);
    await page.keyboard.press('Escape');
  }
}, { width: 390, height: 844 }));

test('while its scripts are on their way the page does not say that they will not come', async () => {
  const { page, seen } = await tab(browser);
  try {
    let goOn = () => {};
    const held = new Promise((resolve) => {
      page.on('request', (request) => {
        if (!request.url().endsWith('/app.js')) { request.continue(); return; }
        goOn = () => request.continue();
        resolve();
      });
    });
    await page.setRequestInterception(true);
    const there = page.goto(`${host.url}#lang=en&device=cpu`);
    there.catch(() => {}); // Whatever failed before it is told instead.
    await held;
    await page.waitForSelector('#static');
    assert.equal(await page.$eval('#static', (node) => node.checkVisibility({ visibilityProperty: true })), false);
    goOn();
    await there;
    await done(page);
    assert.equal(await page.$('#static'), null);
    assert.equal(await page.$$eval(machine('causal'), ({ length }) => length), 1);
    assert.deepEqual(seen.errors, []);
  } finally {
    await page.close();
  }
});
