/** The element by itself, and the engine as other pages use it. */
import { expect, test } from '@playwright/test';
import { answer, done, host, machine, open } from '../machines.js';
import { look } from '../masks.js';

const TEXT = 'The cat is in the garden.';

test('every attribute is a property, and both steer the run', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  const first = await answer(demo);
  await demo.evaluate((element) => { element.text = 'She is reading a book.'; element.head = 2; element.lang = 'zh'; });
  expect(await demo.getAttribute('text')).toBe('She is reading a book.');
  await expect(demo.locator('.name')).toHaveText('因果解码器');
  await expect.poll(() => answer(demo)).not.toEqual(first);
});

test('an attribute that says nothing is as good as none', async ({ page }) => {
  await host(page, `<unmasked-demo device="" architecture="" head="" view="" lang="" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  expect(await demo.evaluate((element) => [element.device, element.architecture, element.error])).toEqual(['auto', 'causal', null]);
  expect((await answer(demo)).length).toBeGreaterThan(3);
});

test('what was set before the element was defined is read, and can be set again', async ({ page }) => {
  await host(page, `<script type="module">
    import { UnmaskedDemo } from '/element.js';
    const demo = document.body.appendChild(document.createElement('unmasked-early'));
    Object.assign(demo, { architecture: 'prefix', device: 'cpu', text: 'Thank you!', head: 2, enlarged: true, files: null });
    customElements.define('unmasked-early', class extends UnmaskedDemo {});
  </script>`);
  const demo = page.locator('unmasked-early');
  const told = () => demo.evaluate((element) => [...['architecture', 'text', 'head', 'enlarged'].map((name) => element.getAttribute(name)), Object.keys(element)]);
  await expect.poll(told).toEqual(['prefix', 'Thank you!', '2', '', []]);
  await expect(demo.locator('.name')).toHaveText('Prefix decoder');
  await demo.evaluate((element) => { element.text = 'He is tired.'; element.enlarged = false; });
  expect(await told()).toEqual(['prefix', 'He is tired.', '2', null, []]);
});

test('a window that only becomes lower has a lower matrix', async ({ page }) => {
  await page.setViewportSize({ width: 900, height: 900 });
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const height = () => page.locator('unmasked-demo .cells').evaluate((cells) => cells.getBoundingClientRect().height);
  await expect.poll(height).toBeGreaterThan(400);
  await page.setViewportSize({ width: 900, height: 500 });
  await expect.poll(height).toBeLessThan(360);
});

test('paper is white, whatever the theme', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark', media: 'print' });
  await open(page, 'lang=en&device=cpu&on=causal&theme=dark&text=Thank+you!');
  await done(page);
  const colours = () => machine(page, 'causal').evaluate((demo) => [document.querySelector('h1'), demo.shadowRoot.querySelector('.machine')]
    .map((node) => { const { color, backgroundColor } = getComputedStyle(node); return [color, backgroundColor]; }));
  const [[ink], [, card]] = await colours();
  expect([ink, card]).toEqual(['rgb(27, 28, 32)', 'rgb(255, 255, 255)']);
  await machine(page, 'causal').evaluate((demo) => demo.setAttribute('theme', 'dark'));
  expect((await colours())[1][1]).toBe('rgb(255, 255, 255)');
  await page.emulateMedia({ media: 'screen' });
  expect((await colours())[1][1]).not.toBe('rgb(255, 255, 255)');
});

test('ready and step are told; nothing is downloaded before the element is seen', async ({ page }) => {
  const models = [];
  page.on('request', (request) => { if (request.url().endsWith('model.safetensors')) models.push(request.url()); });
  await page.addInitScript(() => {
    window.told = [];
    for (const name of ['unmasked-ready', 'unmasked-step', 'unmasked-error']) addEventListener(name, (event) => window.told.push([name, event.detail]));
  });
  await host(page, `<p style="height: 4000px">far above</p><unmasked-demo architecture="prefix" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await page.waitForTimeout(1000);
  expect(models).toEqual([]);
  await page.locator('unmasked-demo').scrollIntoViewIfNeeded();
  await done(page);
  await page.locator('unmasked-demo .action-step').click();
  await expect.poll(() => page.evaluate(() => window.told.filter(([name]) => name === 'unmasked-step').map(([, { position }]) => position))).toContain(1);
  const names = await page.evaluate(() => window.told.map(([name]) => name));
  expect(names[0]).toBe('unmasked-ready');
  expect(names).not.toContain('unmasked-error');
});

test('while another text is waited for, no step says that nothing will come after it', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const answers = await page.evaluate(async () => {
    const demo = document.querySelector('unmasked-demo');
    const answer = () => demo.timeline.steps.map(({ piece }) => piece).join(' ');
    const before = answer();
    const shown = new Promise((resolve) => {
      demo.addEventListener('unmasked-step', ({ detail }) => { if (detail.ended && detail.position === detail.available) resolve(answer()); });
    });
    demo.text = 'He forgot to close the window.';
    demo.end();
    return [before, await shown];
  });
  expect(answers[1]).not.toBe(answers[0]);
});

test('two elements of one model download it once; a removed one gives it back', async ({ page }) => {
  let models = 0;
  page.context().on('request', (request) => { if (request.url().endsWith('model.safetensors')) models += 1; });
  const one = `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`;
  await host(page, one + one.replace(TEXT, 'Thank you!'));
  await done(page);
  expect(models).toBe(1);
  const engines = () => page.evaluate(async () => (await (await import('/engine.js')).usage()).engines);
  expect(await engines(), 'both have one').toBe(1);
  await page.locator('unmasked-demo').first().evaluate((element) => element.remove());
  await page.locator('unmasked-demo').evaluate((element) => { element.text = 'He is tired.'; });
  await page.waitForTimeout(400);
  await done(page);
  expect(await answer(page.locator('unmasked-demo'))).not.toHaveLength(0);
  expect(await engines(), 'the other still has it').toBe(1);
  await page.locator('unmasked-demo').evaluate((element) => element.remove());
  await expect.poll(engines).toBe(0);
});

test('a stored trace plays with no engine and no model', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder-decoder&text=${encodeURIComponent(TEXT)}`);
  await done(page);
  const element = machine(page, 'encoder-decoder');
  const trace = await element.evaluate((demo) => JSON.stringify({ ...demo.timeline.header, steps: demo.timeline.steps, scene: { layer: 2 } }));
  const chosen = await answer(element);
  const asked = [];
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  page.context().on('request', (request) => asked.push(request.url()));
  await host(page, '<unmasked-demo trace="/run.json" controls="play step scrub layer head"></unmasked-demo>');
  await done(page);
  const demo = page.locator('unmasked-demo');
  expect(await answer(demo)).toEqual(chosen);
  await demo.locator('.action-step').click();
  await expect(demo.locator('.chip[data-state="answer"]')).toHaveCount(1);
  await expect(demo.locator('.candidate').first()).toHaveAttribute('aria-disabled', 'true');
  expect(asked.filter((url) => /\.(safetensors|wasm)$/.test(url))).toEqual([]);
});

test('a stored trace begins where the page says, with a scene of its own too', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal&text=${encodeURIComponent(TEXT)}`);
  await done(page);
  const [trace, length] = await machine(page, 'causal').evaluate((demo) => [
    JSON.stringify({ ...demo.timeline.header, steps: demo.timeline.steps, scene: { text: 'My sister wants to learn English.', seed: 3 } }), demo.timeline.length]);
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  await host(page, '<unmasked-demo trace="/run.json" start="end"></unmasked-demo>');
  await done(page);
  const demo = page.locator('unmasked-demo');
  await expect.poll(() => demo.evaluate((element) => [element.position, element.ended])).toEqual([length, true]);
});

test('another scene leaves nothing of the one before, and is fetched once', async ({ page }) => {
  const scenes = {
    a: { architecture: 'prefix', text: 'Thank you!', layer: 2, seed: 7 }, b: { text: 'He is tired.', temperature: 0.5 }, c: { architecture: 'causal', head: 3, layer: 1 },
  };
  const asked = [];
  await page.route('**/scene-*.json', (route) => {
    const [, name] = /scene-(\w)/.exec(route.request().url());
    asked.push(name);
    return route.fulfill({ json: { scene: scenes[name] } });
  });
  await host(page, '<unmasked-demo scene="/scene-a.json" device="cpu" topk="4" family="en-fr"></unmasked-demo>');
  const demo = page.locator('unmasked-demo');
  const named = () => demo.evaluate((element) => Object.fromEntries(element.getAttributeNames().filter((name) => !['scene', 'device', 'topk', 'family'].includes(name)).map((name) => [name, element.getAttribute(name)])));
  await done(page);
  expect(await named()).toEqual({ architecture: 'prefix', text: 'Thank you!', layer: '2', seed: '7' });
  await expect(demo.locator('.name')).toHaveText('Prefix decoder');
  // What the page sets itself stays.
  await demo.evaluate((element) => { element.seed = 9; element.scene = '/scene-b.json'; });
  await expect.poll(named).toEqual({ text: 'He is tired.', temperature: '0.5', seed: '9' });
  await done(page);
  await demo.evaluate((element) => { element.scene = '/scene-c.json'; });
  await expect.poll(async () => (await named()).text).toBe('The old doctor is tired tonight.');
  expect(await named()).toMatchObject({ architecture: 'causal', head: '3', layer: '1', seed: '9' });
  await done(page);
  expect(asked).toEqual(['a', 'b', 'c']);
});

test('without a sentence of the page each model reads its own example', async ({ page }) => {
  await host(page, '<unmasked-demo architecture="causal" device="cpu" family="en-fr"></unmasked-demo>');
  await done(page);
  const demo = page.locator('unmasked-demo');
  const read = () => demo.evaluate((element) => element.timeline?.header.tokens.map(({ piece }) => piece).join('') ?? '');
  expect(await read()).toMatch(/[a-z]/);
  await demo.evaluate((element) => { element.family = 'zh-en'; });
  await expect.poll(read).toMatch(/\p{Script=Han}/u);
  await demo.evaluate((element) => { element.text = '我很好。'; element.family = 'en-fr'; });
  await expect.poll(() => demo.evaluate((element) => element.phase)).toBe('done');
  expect(await demo.getAttribute('text'), 'the page\'s own is left alone').toBe('我很好。');
});

test('an element with a clock of its own says what its steps choose, and what went wrong at once', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo><unmasked-demo architecture="causal" device="cpu" text="${TEXT}" controls="none"></unmasked-demo>`);
  await done(page);
  const [own, followed] = await page.locator('unmasked-demo').all();
  const said = (demo) => demo.locator('.unseen[role="status"]');
  await own.locator('.action-step').click();
  await expect(said(own)).toHaveText(/^Step 1\. Causal decoder: .+, \d+%\.$/);
  await own.evaluate((demo) => { demo.step(); demo.seek(demo.available); });
  await expect(said(own)).toHaveText(/^Step \d+\. .*Causal decoder is done: Le chat/);
  await followed.evaluate((demo) => demo.seek(1));
  await expect(followed.locator('.chip[data-state="answer"]')).toHaveCount(1);
  await page.waitForTimeout(500);
  await expect(said(followed)).toBeEmpty();
  await expect(own.getByRole('alert')).toHaveCount(0);
  await own.evaluate((demo) => { demo.trace = '/icon.svg'; });
  await expect(own.getByRole('alert')).toHaveText('The stored run cannot be shown: the trace is not JSON');
});

test('a broken trace is said in its place', async ({ page }) => {
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: '{"steps":' }));
  await host(page, '<unmasked-demo trace="/run.json"></unmasked-demo>');
  await expect(page.locator('unmasked-demo .status-detail')).toHaveText('The stored run cannot be shown: the trace is not JSON');
});

test('of what does not come nothing is claimed but what its author said', async ({ page }) => {
  await page.route('**/run.json', (route) => route.fulfill({ status: 404 }));
  await host(page, ['trace="/run.json"', 'architecture="zebra"', 'trace="/run.json" architecture="prefix"'].map((said) => `<unmasked-demo ${said}></unmasked-demo>`).join(''));
  const demos = page.locator('unmasked-demo');
  for (const at of [0, 1]) {
    await expect(demos.nth(at).getByRole('alert')).toBeVisible();
    await expect(demos.nth(at).locator('.head')).toBeHidden();
    await expect(demos.nth(at).locator('.about')).toBeHidden();
  }
  await expect(demos.nth(2).getByRole('alert')).toBeVisible();
  await expect(demos.nth(2).locator('.name')).toHaveText('Prefix decoder');
});

test('a matrix is a table too, and its cells can be walked', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  await demo.locator('.mask').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expect(demo.locator('.tooltip')).toBeVisible();
  await expect(demo.locator('.unseen[role="status"]')).toContainText(/looks at|may not see/);
  await page.keyboard.press('Escape');
  await expect(demo.locator('.tooltip')).toBeHidden();
  await look(demo, 'table');
  const rows = await demo.locator('tbody tr').evaluateAll((lines) => lines.map((line) => [...line.querySelectorAll('td')].map((cell) => cell.textContent)));
  rows.forEach((cells, row) => {
    expect(cells.slice(row + 1).every((cell) => cell === 'hidden'), `row ${row}`).toBe(true);
    const sum = cells.slice(0, row + 1).reduce((total, cell) => total + Number(cell), 0);
    expect(sum).toBeCloseTo(1, 1);
  });
});

test('a worker that dies is replaced when it is next needed', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  const before = await answer(demo);
  const [worker] = page.workers();
  const gone = worker.waitForEvent('close');
  await worker.evaluate(() => postMessage({ fatal: { message: 'made up by a test' } }));
  await gone;
  await demo.evaluate((element) => { element.text = 'Thank you!'; });
  await expect.poll(() => answer(demo)).not.toEqual(before);
  await demo.evaluate((element, text) => { element.text = text; }, TEXT);
  await expect.poll(() => answer(demo)).toEqual(before);
});

test('a worker that dies in the middle of a run says so, and can be tried again', async ({ page }) => {
  await page.route('**/en-fr-causal*/model.safetensors', async (route) => {
    await page.waitForTimeout(500);
    await page.workers()[0].evaluate(() => postMessage({ fatal: { message: 'made up by a test' } })).catch(() => {});
    await route.abort().catch(() => {});
  }, { times: 1 });
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  const demo = page.locator('unmasked-demo');
  await expect(demo.locator('.status-detail')).toContainText('made up by a test');
  await demo.locator('.retry').click();
  await done(page);
});

test('two sentences: the pair head gives its verdict, and only the first sentence has blanks', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="encoder" device="cpu" text="${TEXT}" pair="Le chat est dans le jardin."></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  await expect(demo.locator('.hint')).toContainText('The pair head:');
  // A pair that is to be judged is read whole, until a word of its first sentence is pressed.
  const blanks = () => demo.evaluate((element) => [element.blanked, element.getAttribute('blanks')]);
  expect(await blanks()).toEqual([[], null]);
  await expect(demo.locator('.candidates-title')).toHaveText('No blanks: press a word of the first sentence.');
  const second = demo.locator('.chip', { hasText: /^chat$/ });
  await expect(second).toHaveAttribute('title', 'Press a word of the first sentence to blank it.');
  expect(await demo.locator('.chip[aria-pressed]').count()).toBeLessThan(await demo.locator('.chip').count() / 2);
  await second.click();
  expect(await blanks()).toEqual([[], null]);
  await demo.locator('.chip', { hasText: /^tired$|^cat$|^doctor$/ }).first().click();
  await expect(demo.locator('.chip[data-state="blank"], .chip[data-state="filled"]')).not.toHaveCount(0);
});

test('the engine by itself: load, describe, tokenize, generate, cancel, free', async ({ page }) => {
  await page.goto('/icon.svg');
  await host(page, '');
  const result = await page.evaluate(async (text) => {
    const { loadEngine } = await import('/engine.js');
    const progress = [];
    const engine = await loadEngine('/models/en-fr-causal/', { device: 'cpu', onProgress: (now) => progress.push(now) });
    const again = await loadEngine('/models/en-fr-causal', { device: 'cpu' }).catch((error) => error.message);
    const parts = await engine.tokenize(text);
    const run = engine.generate({ text, maxNewTokens: 8 });
    const header = await run.header;
    const steps = [];
    for await (const step of run) steps.push(step.chosen);
    const slow = engine.generate({ text, maxNewTokens: 30 });
    const other = engine.generate({ text: 'Thank you!', maxNewTokens: 30 });
    const [left, right] = [[], []];
    for await (const step of slow) { left.push(step.chosen); if (left.length === 2) for await (const one of other) right.push(one.chosen); }
    const alone = [];
    for await (const step of engine.generate({ text: 'Thank you!', maxNewTokens: 30 })) alone.push(step.chosen);
    const stop = new AbortController();
    const aborted = engine.generate({ text, maxNewTokens: 30, signal: stop.signal });
    let name = '';
    try { for await (const step of aborted) stop.abort(step); } catch (error) { name = error.name; }
    const bad = await engine.forward({ ids: [999_999] }).catch((error) => [error.name, error.message, error.what, error.expected, error.got]);
    engine.free();
    const freed = await engine.tokenize(text).catch((error) => error.message);
    const hub = await loadEngine('hub:a').catch((error) => error.message);
    again.free?.();
    return { architecture: engine.describe().architecture, loaded: progress.at(-1).loaded, tokens: parts.tokens.length, length: header.source_length, steps, left, right, alone, name, bad, freed, hub };
  }, TEXT);
  expect(result.architecture).toBe('causal');
  expect(result.loaded).toBeGreaterThan(1e6);
  expect(result.length).toBe(result.tokens);
  expect(result.left.slice(0, result.steps.length), 'a run interrupted by another goes on unchanged').toEqual(result.steps);
  expect(result.right, 'and the other is not disturbed').toEqual(result.alone);
  expect(result.name).toBe('AbortError');
  expect(result.bad[0]).toBe('EngineError');
  expect(result.bad.slice(2).every(Boolean), result.bad.join(' | ')).toBe(true);
  expect(result.freed).toContain('freed');
  expect(result.hub).toContain('“hub:a” is no address');
});

test('a position that is sought is one that can be shown, and a sentence that is taken away gives way to the model\'s own', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="Thank you!"></unmasked-demo><unmasked-demo architecture="causal" device="cpu" text="Thank you!" controls="none"></unmasked-demo>`);
  await done(page);
  const [demo, followed] = await page.locator('unmasked-demo').all();
  const { length, at } = await demo.evaluate((element) => {
    const sought = [2, 1.7, NaN, undefined, 'x', Infinity, -5, 999].map((position) => { element.seek(position); return element.position; });
    return { length: element.timeline.length, at: sought };
  });
  expect(at).toEqual([2, 1, 1, 1, 1, 1, 0, length]);
  expect(await demo.evaluate((element) => { element.back(); return element.position; })).toBe(length - 1);
  // Of another clock it waits where that is; a step back is one from what is shown.
  expect(await followed.evaluate((element) => { element.seek(999); const before = element.position; element.back(); return [before, element.position]; })).toEqual([999, length - 1]);
  await demo.evaluate((element) => { element.removeAttribute('text'); });
  await expect.poll(() => demo.evaluate((element) => [element.phase, element.text !== '' && element.text !== 'Thank you!'])).toEqual(['done', true]);
  const given = await demo.evaluate((element) => element.text);
  await demo.evaluate((element) => { element.text = ''; });
  await expect.poll(() => demo.evaluate((element) => element.phase), 'an empty one is the author\'s').toBe('empty');
  await demo.evaluate((element) => { element.text = null; });
  await expect.poll(() => demo.evaluate((element) => [element.phase, element.text])).toEqual(['done', given]);
});
