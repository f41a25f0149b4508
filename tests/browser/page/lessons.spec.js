/** Lessons: how they come and go, and that what they claim of the models is so. */
import { expect, test } from '@playwright/test';
import { answer, done, drawn, machine, open } from '../machines.js';
import { look, press, reach } from '../masks.js';

const hash = (page) => page.evaluate(() => location.hash);
const lesson = (page) => page.locator('#lesson');

/** Opens a lesson of the list by its link, in English, on the CPU. */
async function take(page, id) {
  await page.goto('/#lang=en&device=cpu&on=none');
  const state = await page.evaluate(async (name) => {
    const { LESSONS } = await import('/page/lessons.js');
    return LESSONS.find((one) => one.id === name).state;
  }, id);
  await page.goto('about:blank');
  await open(page, `lang=en&device=cpu&lesson=${id}&${state}`);
  await done(page);
  await expect(lesson(page)).toBeVisible();
}
const visible = (element, site, row, key) => element.evaluate((demo, at) => demo.timeline.frame(demo.position).blocks.find(({ name }) => name === at.site).visible(at.row, at.key), { site, row, key });
const pieces = (element) => element.evaluate((demo) => demo.timeline.steps.map(({ piece }) => piece));

test('a lesson is chosen from the menu, goes on to the next, begins again, and is left as it is', async ({ page }) => {
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await open(page, 'lang=en&device=cpu&on=causal&layer=2&theme=dark');
  await done(page);
  expect(asked.filter((path) => path.endsWith('/lessons.js')), 'nobody asked for one').toEqual([]);
  await page.locator('#lessons summary').click();
  await expect(page.locator('#lessons li')).toHaveCount(16);
  await page.getByRole('button', { name: 'How far a window sees' }).click();
  await expect(lesson(page).locator('h2')).toHaveText('How far a window sees');
  await expect(lesson(page).locator('h2')).toBeFocused();
  await expect(page.locator('#lessons')).not.toHaveAttribute('open', '');
  await done(page);
  await expect(page.locator('#sentence')).toHaveValue('The old doctor is tired tonight.');
  await expect(machine(page, 'causal')).toHaveAttribute('mask', 'causal+window:2');
  // Language and look are the person's own.
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect.poll(() => hash(page)).toContain('lesson=window');
  const question = lesson(page).locator('details');
  await expect(question.locator('p')).toBeHidden();
  await question.locator('summary').click();
  await expect(question.locator('p')).toContainText('After the eighth');
  await page.locator('[data-setting="layer"]').selectOption('4');
  await expect.poll(() => hash(page)).toContain('layer=4');
  await page.locator('.again').click();
  await expect.poll(() => hash(page)).toContain('layer=1');
  await page.locator('.next').click();
  await expect(lesson(page).locator('h2')).toHaveText('One leaky cell');
  await expect(question.locator('p')).toBeHidden();
  await page.goBack();
  await expect(lesson(page).locator('h2')).toHaveText('How far a window sees');
  await page.keyboard.press('l');
  await expect(lesson(page).locator('h2')).toHaveText('窗口能看多远');
  await page.locator('.leave-lesson').click();
  await expect(lesson(page)).toBeHidden();
  await expect(machine(page, 'causal')).toHaveAttribute('mask', 'causal+window:2');
  await expect.poll(() => hash(page)).not.toContain('lesson');
  await expect(page.locator('#lessons summary')).toBeFocused();
  // One that there is not is none.
  await page.goto('about:blank');
  await open(page, 'lang=en&device=cpu&on=causal&lesson=constructor');
  await done(page);
  await expect(lesson(page)).toBeHidden();
});

test('Back and Forward, however quick, come to what was there, once each', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal&layer=2');
  await done(page);
  await page.locator('#lessons summary').click();
  await expect(page.locator('#lessons li')).toHaveCount(16);
  // What was changed a moment ago is kept.
  await page.locator('[data-setting="layer"]').selectOption('5');
  await page.locator('#lessons li button').nth(2).click();
  await page.locator('.next').click();
  await expect(lesson(page).locator('h2')).toHaveText('One leaky cell');
  await page.evaluate(async () => {
    history.back();
    await new Promise((resolve) => { addEventListener('popstate', resolve, { once: true }); });
    await new Promise((resolve) => { setTimeout(resolve, 60); });
    history.forward();
  });
  await expect(lesson(page).locator('h2')).toHaveText('One leaky cell');
  await page.waitForTimeout(400);
  await expect.poll(() => hash(page)).toContain('lesson=leak');
  await page.goBack();
  await expect(lesson(page).locator('h2')).toHaveText('How far a window sees');
  await page.goBack();
  await expect(lesson(page)).toBeHidden();
  expect(await hash(page)).toContain('layer=5');
});

test('lessons that do not come are said to be missing, and are asked for again', async ({ page }) => {
  await page.route('**/page/lessons.js', (route) => route.abort());
  await open(page, 'lang=en&device=cpu&on=causal&lesson=window');
  await done(page);
  await expect(page.locator('#say')).toContainText('The lessons could not be loaded.', { timeout: 8_000 });
  await page.locator('#lessons summary').click();
  await expect(page.locator('.lesson-missing')).toContainText('The lessons could not be loaded.');
  await page.unroute('**/page/lessons.js');
  await page.locator('#lessons summary').click();
  await page.locator('#lessons summary').click();
  await expect(page.locator('#lessons li')).toHaveCount(16);
  await expect(page.locator('.lesson-missing')).toBeHidden();
});

test('four masks: who may look to the right, on a phone, too', async ({ page }) => {
  await take(page, 'masks');
  const ahead = async (name, site) => visible(machine(page, name), site, 1, 4);
  expect([await ahead('encoder', 'encoder'), await ahead('causal', 'decoder'), await ahead('prefix', 'decoder'), await ahead('encoder-decoder', 'encoder')]).toEqual([true, false, true, true]);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.locator('unmasked-demo')).toHaveCount(4);
});

test('late words: “have” changes with the end of the sentence in two of three', async ({ page }) => {
  await take(page, 'late-words');
  const changes = async (name) => {
    const line = machine(page, name).locator('.leak tbody tr', { hasText: 'have' });
    await expect(line).toBeVisible();
    return (await line.locator('td').allTextContents()).some((text) => text !== '0');
  };
  expect([await changes('encoder'), await changes('causal'), await changes('prefix')]).toEqual([true, false, true]);
  for (const name of ['encoder', 'causal', 'prefix']) await expect(machine(page, name).locator('.leak-words')).toContainText('“go” is exchanged for “have”');
});

test('a window: eight layers for eight tokens, four with one more', async ({ page }) => {
  await take(page, 'window');
  const element = machine(page, 'causal');
  const { decoder } = await reach(element);
  expect([decoder.length, decoder[8][0], decoder[6][0]]).toEqual([9, null, 6]);
  await press(element, 'paint');
  await element.locator('[data-action="dial"]').fill('3');
  await done(page);
  expect((await reach(element)).decoder[8][0]).toBe(4);
});

test('a leak: five rows know of it after two layers, one after the first', async ({ page }) => {
  await take(page, 'leak');
  const element = machine(page, 'causal');
  const { decoder } = await reach(element);
  const early = (most) => decoder.flatMap((row, at) => (at < 6 && row[6] !== null && row[6] <= most ? [at] : []));
  expect([early(1), early(2)]).toEqual([[1], [1, 2, 3, 4, 5]]);
  const tokens = await element.evaluate((demo) => demo.timeline.header.tokens.map(({ piece }) => piece.replace(/^[^A-Za-z[]/, '')));
  expect([tokens[1], tokens[6]]).toEqual(['The', 'tonight']);
});

test('without its mask the causal decoder ends at once', async ({ page }) => {
  await take(page, 'no-mask');
  const element = machine(page, 'causal');
  expect(await pieces(element)).toEqual(['[EOS]']);
  // Each bar has its mark, also where the model itself would have given no candidate: as likely as an engine of its own tells.
  await expect(element.locator('.candidate .bar s:not([hidden])')).toHaveCount(10);
  const own = await page.evaluate(async () => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
    const { id, tokens } = (({ steps, header }) => ({ id: steps[0].chosen, tokens: header.tokens }))(/** @type {any} */ (document.querySelector('unmasked-demo')).timeline);
    const [step] = await Array.fromAsync(engine.generate({ ids: tokens.map((token) => token.id), maxNewTokens: 1, candidates: engine.describe().vocabulary }));
    engine.free();
    const at = step.candidates.findIndex((one) => one.id === id);
    return { at, p: step.candidates[at].probability };
  });
  expect(own.at, 'it was none of the ten').toBeGreaterThan(9);
  const chosen = element.locator('.candidate[data-chosen]');
  const { percent, before } = await chosen.evaluate(async (row, p) => ({ percent: (await import('/views/dom.js')).percent(p), before: Number(row.querySelector('.bar').style.getPropertyValue('--before')) }), own.p);
  await expect(chosen.locator('.unseen')).toContainText(`before the change: ${percent}`);
  expect(Math.abs(before - own.p)).toBeLessThan(0.0006);
  await press(element, 'reset');
  await done(page);
  expect((await pieces(element)).length).toBeGreaterThan(5);
});

test('two blanks: apart “She” and “his”, together “her” after “She” and “his” after “He”', async ({ page }) => {
  await take(page, 'two-blanks');
  const element = machine(page, 'encoder');
  await expect(element.locator('.blanks-words p').first()).toHaveText(/^Apart, each blank’s own best: “She” and “his”/);
  const share = async (first, second) => {
    const columns = await element.locator('.blanks thead th span').allTextContents();
    const text = await element.locator('.blanks tbody tr').filter({ has: page.getByRole('button', { name: first, exact: true }) }).locator('td b').nth(columns.indexOf(second)).textContent();
    return parseFloat(String(text));
  };
  expect(await share('She', 'her')).toBeGreaterThan(10 * await share('She', 'his'));
  expect(await share('He', 'his')).toBeGreaterThan(2 * await share('He', 'her'));
});

test('through one state: the first word is right, and is said again and again', async ({ page }) => {
  await take(page, 'bottleneck');
  const element = machine(page, 'encoder-decoder');
  const said = await pieces(element);
  expect(said.length).toBeGreaterThan(20);
  expect(new Set(said)).toEqual(new Set([said[0]]));
  await press(element, 'reset');
  await done(page);
  expect((await pieces(element))[0]).toBe(said[0]);
});

test('a long answer that is to come leaves the first rows their size, and the page stands still while it comes', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await take(page, 'bottleneck');
  const element = machine(page, 'encoder-decoder');
  // A row's lit frame is as high as a cell.
  const measured = async () => ({ cell: await element.locator('.cells .now').evaluate((path) => Number(path.getAttribute('d').match(/v([\d.]+)h/)[1])), below: (await element.locator('.under').boundingBox())?.y ?? 0 });
  const first = await measured();
  expect(first.cell).toBeGreaterThan(14);
  for (const at of [1, 7, 8, 24, 39]) {
    await page.evaluate((to) => { location.hash = location.hash.replace(/&step=\d+|$/, `&step=${to}`); }, at);
    await expect.poll(() => element.evaluate((demo) => demo.position)).toBe(at);
    await drawn(page);
    expect(Math.abs((await measured()).below - first.below), `at step ${at}`).toBeLessThan(24);
  }
  expect((await measured()).cell).toBeLessThan(first.cell);
});

for (const [id, name] of Object.entries({ window: 'causal', leak: 'causal', 'no-mask': 'causal', bottleneck: 'encoder-decoder', heads: 'encoder-decoder' })) {
  test(`what a lesson names is in sight with it, above the dock: ${id}`, async ({ page }) => {
    await page.setViewportSize({ width: 1440, height: 900 });
    await take(page, id);
    const element = machine(page, name);
    const { y: edge } = /** @type {DOMRect} */ (await page.locator('#dock').boundingBox());
    await expect(element.locator('.painting [data-action="reset"]')).toBeVisible();
    for (const one of ['[data-action="paint"]', '[data-action="undo"]', '[data-action="reset"]', '[data-action="look"]', '.candidate:first-child']) {
      const { y, height } = /** @type {DOMRect} */ (await element.locator(one).first().boundingBox());
      expect(y + height, one).toBeLessThanOrEqual(edge);
    }
    expect(await page.evaluate(() => scrollY)).toBe(0);
  });
}

test('what is to be guessed is in sight with its lesson, above the dock, in either view, and what was under the cover, too', async ({ page }) => {
  await take(page, 'guess');
  const inSight = async (part, told) => {
    await drawn(page);
    const { y: edge } = /** @type {DOMRect} */ (await page.locator('#dock').boundingBox());
    for (const name of ['causal', 'prefix', 'encoder-decoder']) {
      const { y, height } = /** @type {DOMRect} */ (await machine(page, name).locator(part).boundingBox());
      expect(y + height, `${part} of ${name}, ${told}`).toBeLessThanOrEqual(edge);
    }
    expect(await page.evaluate(() => scrollY)).toBe(0);
  };
  for (const view of ['page', 'presenter’s view']) {
    for (const [width, height] of [[1920, 1080], [1440, 900], [1280, 720]]) {
      await page.setViewportSize({ width, height });
      await inSight('.cover', `${view}, ${width}x${height}`);
      await page.keyboard.press('a');
      await inSight('.bars', `${view}, ${width}x${height}`);
      // A matrix that has room for all of its labels can be read; in the lowest window the largest has none in any case.
      if (height > 720) expect(await machine(page, 'encoder-decoder').locator('.row-labels text').count(), `${view}, ${width}x${height}`).toBeGreaterThan(9);
      await page.keyboard.press('n');
    }
    await page.keyboard.press('p');
  }
});

test('a head that points at the word that is translated is not needed', async ({ page }) => {
  await take(page, 'heads');
  const element = machine(page, 'encoder-decoder');
  const silent = await answer(element);
  await expect(element.locator('.block-names [data-silent]')).toHaveText(['cross-attention']);
  // The row of a word that is written looks at the one that it comes from.
  const most = await element.evaluate((demo) => {
    const frame = demo.timeline.frame(demo.position);
    const cross = frame.blocks.find(({ name }) => name === 'cross');
    const pieceOf = ({ piece }) => piece.replace(/^[^\p{L}[]+/u, '');
    return Object.fromEntries(Array.from({ length: cross.rows }, (_, row) => { const weights = cross.attention(0, 2, row); return [pieceOf(frame.target[row]), pieceOf(frame.source[weights.indexOf(Math.max(...weights))])]; }));
  });
  expect(most).toMatchObject({ dit: 'told', "qu'il": 'he', était: 'was', médecin: 'doctor' });
  await press(element, 'reset');
  await done(page);
  expect(await answer(element)).toEqual(silent);
});

test('a higher temperature makes the bars more alike, and keeps their order', async ({ page }) => {
  await take(page, 'guess');
  const element = machine(page, 'causal');
  await expect(element.locator('.cover')).toBeVisible();
  const bars = () => element.evaluate((demo) => (demo.timeline?.steps[0]?.candidates ?? []).slice(0, 4).map(({ id, probability }) => [id, probability]));
  const before = await bars();
  // Below 1 it is the other way round.
  await page.evaluate(() => { location.hash += '&temperature=0.5'; });
  await expect.poll(async () => (await bars())[0]?.[1] ?? 0).toBeGreaterThan(before[0][1]);
  await done(page);
  await page.evaluate(() => { location.hash = location.hash.replace('temperature=0.5', 'temperature=1.5'); });
  await expect.poll(async () => (await bars())[0]?.[1] ?? 1).toBeLessThan(before[0][1]);
  await done(page);
  const after = await bars();
  expect(after.map(([id]) => id)).toEqual(before.map(([id]) => id));
  expect(after[1][1]).toBeGreaterThan(before[1][1]);
});

test('a word more at the end of the source leaves the causal decoder its rows, and no other', async ({ page }) => {
  await take(page, 'cache');
  // What a source of one word more computes anew, of an engine that holds the one before.
  const computed = await page.evaluate(async () => {
    const { loadEngine } = await import('/engine.js');
    const rows = {};
    for (const name of ['encoder', 'causal', 'prefix', 'encoder-decoder']) {
      const engine = await loadEngine(`/models/en-fr-${name}-int8/`, { device: 'cpu' });
      const { tokens } = await engine.tokenize('My sister wants to learn English');
      const ids = tokens.map(({ id }) => id);
      // The sign at the end moves on: the word comes before it.
      const more = [...ids.slice(0, -1), ids[2], ids.at(-1)];
      const target = name === 'encoder-decoder' ? { targetIds: [] } : {};
      await engine.forward({ ids, ...target });
      const { forward } = await engine.forward({ ids: more, ...target });
      rows[name] = [forward.stats.rows_computed, more.length];
      engine.free();
    }
    return rows;
  });
  const [encoder, causal, prefix, wired] = ['encoder', 'causal', 'prefix', 'encoder-decoder'].map((name) => computed[name]);
  expect(causal[0]).toBeLessThan(causal[1]);
  expect([encoder[0] >= encoder[1], prefix[0] >= prefix[1], wired[0] >= wired[1]]).toEqual([true, true, true]);
  await look(machine(page, 'causal'));
});

test('a sign that no text has: every row hears of it, and of a wrong word more', async ({ page }) => {
  await take(page, 'mask-sign');
  const element = machine(page, 'encoder');
  const words = element.locator('.leak-words');
  const settled = () => expect(element.locator('.leak')).not.toHaveAttribute('data-waiting', /.*/);
  /** Of the other rows, the last layer's change, added up; none of them is 0. */
  const moved = async () => {
    await settled();
    const last = await element.locator('.leak tbody tr').evaluateAll((lines) => lines.filter((line) => line.querySelector('[aria-pressed="false"]')).map((line) => line.lastElementChild.textContent));
    expect(last.filter((text) => text === '0')).toEqual([]);
    return last.reduce((sum, text) => sum + Number(text), 0);
  };
  await expect(words).toContainText('“sister” is exchanged for “[MASK]”');
  for (const piece of ['My', 'sister', 'wants', 'to', 'learn', 'English']) {
    await element.locator('.exchange', { hasText: new RegExp(`^${piece}$`) }).click();
    await expect(words).toContainText(`“${piece}” is exchanged for “[MASK]”`);
    const sign = await moved();
    await element.getByRole('button', { name: 'for another word' }).click();
    await expect(words).not.toContainText('[MASK]');
    expect(await moved(), piece).toBeGreaterThan(sign);
    await element.getByRole('button', { name: 'for [MASK]' }).click();
    await expect(words).toContainText('[MASK]');
  }
});

test('a pair: kept apart its head says the same of every second sentence, bit for bit; under its own mask it tells them apart', async ({ page }) => {
  await take(page, 'pair');
  const element = machine(page, 'encoder');
  const hint = element.locator('.hint');
  await expect(hint).toHaveText(/do not belong together/);
  // The two texts end where the mask says.
  expect([await visible(element, 'encoder', 7, 8), await visible(element, 'encoder', 8, 7), await visible(element, 'encoder', 0, 7), await visible(element, 'encoder', 8, 13)]).toEqual([false, false, true, true]);
  await press(element, 'reset');
  await done(page);
  await expect(hint).toHaveText(/they belong together/);
  await page.locator('#second-text').fill('Le chat dort.');
  await expect(hint).toHaveText(/do not belong together/);
  const said = await page.evaluate(async () => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-encoder-int8/', { device: 'cpu' });
    const watch = { layers: [0], heads: [0], rows: [0], what: ['attention'] };
    const apart = [];
    for (const pair of ['Le chien dort.', 'Le chat dort.', 'Il pleut depuis hier.']) {
      const { forward } = await engine.forward({ text: 'The dog is sleeping.', pair, mask: { encoder: { rule: 'documents:8' } }, watch });
      apart.push(forward.heads.pair);
    }
    const { forward } = await engine.forward({ text: 'The old doctor is tired tonight.', pair: 'Le jeune médecin est fatigué ce soir.', watch });
    const { models } = await (await fetch('/models/models.json')).json();
    engine.free();
    return { apart, fooled: forward.heads.pair, right: models.find(({ id }) => id === 'en-fr-encoder').packed.quality.pair_accuracy };
  });
  expect(said.apart[1]).toEqual(said.apart[0]);
  expect(said.apart[2]).toEqual(said.apart[0]);
  expect(said.fooled[1]).toBeGreaterThan(said.fooled[0]);
  expect(Math.round(said.right * 100)).toBe(97);
});

test('examples before a question: of another one the causal decoder’s rows hear nothing, the prefix decoder’s all', async ({ page }) => {
  await take(page, 'examples');
  const words = (name) => machine(page, name).locator('.leak-words');
  await expect(words('causal')).toHaveText(/^“house” is exchanged for “chien”\. The rows before it stay the same, bit for bit: 14 of 14\./);
  await expect(words('prefix')).toHaveText(/^“house” is exchanged for “chien”\. Rows before it that change: 14 of 14/);
});

test('the causal decoder learns from all tokens but the first, two from the answer, the encoder from 15% of its words', async ({ page }) => {
  await take(page, 'loss');
  const told = (name) => machine(page, name).evaluate((demo) => [...demo.shadowRoot.querySelectorAll('.objective-tables tbody tr')].map((line) => line.hasAttribute('data-loss')));
  const lengths = (name) => machine(page, name).evaluate((demo) => [demo.timeline.header.tokens.length, demo.timeline.steps.length]);
  for (const name of ['encoder', 'causal', 'prefix', 'encoder-decoder']) {
    const losses = (await told(name)).filter(Boolean).length;
    const [source, target] = await lengths(name);
    expect(losses, name).toBe({ encoder: Math.round(0.15 * (source - 2)), causal: source + target - 1, prefix: target, 'encoder-decoder': target }[name]);
  }
  await machine(page, 'encoder').getByRole('button', { name: 'replaced (ELECTRA)' }).click();
  await expect.poll(async () => (await told('encoder')).filter(Boolean).length).toBe((await lengths('encoder'))[0]);
});

test('the parameters that an encoder–decoder has more are attention across, nearly all', async ({ page }) => {
  await take(page, 'parts');
  const parts = (name) => machine(page, name).locator('.cost-parts tbody tr').evaluateAll((lines) => Object.fromEntries(lines.map((line) => [line.firstElementChild.textContent, Number(line.children[2].title.replaceAll(',', ''))])));
  const [wired, causal] = [await parts('encoder-decoder'), await parts('causal')];
  const more = wired['in all'] - causal['in all'];
  expect(Math.round(more / 1e4)).toBe(33);
  expect(Math.floor(wired['cross-attention'] / 1e3)).toBe(309);
  expect(wired['cross-attention'] / more).toBeGreaterThan(0.9);
  expect(wired['self-attention'] + wired['feed-forward']).toBe(causal['self-attention'] + causal['feed-forward']);
});

test('why most are causal: the scores that are told are those of the models, and who learns from how many', async ({ page }) => {
  await take(page, 'decoder-only');
  const scores = await page.evaluate(async () => {
    const { models } = await (await fetch('/models/models.json')).json();
    return ['causal', 'prefix', 'encoder-decoder'].map((name) => models.find(({ id }) => id === `en-fr-${name}`).packed.quality).map(({ bleu, sentences }) => [bleu.toFixed(1), sentences]);
  });
  expect(scores).toEqual([['49.6', 1000], ['49.6', 1000], ['54.4', 1000]]);
  const text = lesson(page).locator('.lesson-body > p').first();
  for (const [score] of scores) await expect(text).toContainText(score);
  const learns = (name) => machine(page, name).locator('.cost-learns p');
  await expect(learns('causal')).toHaveText(/from 12 of these 13 tokens/);
  await expect(learns('prefix')).toHaveText(/from 4 of these 13 tokens/);
  await expect(learns('encoder-decoder')).toHaveText(/from 4 of these 14 tokens/);
});

test('a brush that was taken in a lesson is put away with it', async ({ page }) => {
  await take(page, 'heads');
  const brush = machine(page, 'encoder-decoder').locator('[data-action="paint"]');
  await brush.click();
  await expect(brush).toHaveText('done');
  await page.locator('#lessons summary').click();
  await page.getByRole('button', { name: 'Everything through one state' }).click();
  await expect(lesson(page).locator('h2')).toHaveText('Everything through one state');
  await done(page);
  await expect(brush).toHaveText('change');
});

test('a link to a lesson alone has its stage, and what is no more the lesson’s says so and can be put back', async ({ page }) => {
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await open(page, 'lang=en&device=cpu&theme=dark&lesson=leak');
  await done(page);
  await expect(lesson(page).locator('h2')).toHaveText('One leaky cell');
  const element = machine(page, 'causal');
  await expect(page.locator('unmasked-demo')).toHaveCount(1);
  await expect(element).toHaveAttribute('edits', 'd1.6s');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  expect(asked.filter((url) => url.endsWith('model.safetensors')), 'of the lesson’s machine alone').toHaveLength(1);
  const other = lesson(page).locator('.lesson-other');
  await expect(other).toBeHidden();
  // What it is to be tried with is the lesson's, too.
  await press(element, 'reset');
  await done(page);
  await expect(other).toBeHidden();
  await page.locator('#sentence').fill('I am tired.');
  await expect(other).toBeVisible();
  await other.getByRole('button', { name: 'show what it tells of' }).click();
  await expect(other).toBeHidden();
  await expect(page.locator('#sentence')).toHaveValue('The old doctor is tired tonight.');
  await expect(element).toHaveAttribute('edits', 'd1.6s');
  await expect(lesson(page).locator('h2')).toBeFocused();
  // In a page that is open, too.
  await page.evaluate(() => { location.hash = '#lang=en&device=cpu&lesson=two-blanks'; });
  await expect(machine(page, 'encoder')).toHaveAttribute('look', 'blanks');
  await expect(page.locator('unmasked-demo')).toHaveCount(1);
});

test('an address that is another by the time that lessons come is not lost', async ({ page }) => {
  let asked = false;
  let release = () => {};
  const released = new Promise((resolve) => { release = /** @type {() => void} */ (resolve); });
  await page.route('**/page/lessons.js', async (route) => { asked = true; await released; await route.continue(); });
  await page.goto('/#lang=en&device=cpu&lesson=leak');
  await expect.poll(() => asked).toBe(true);
  await page.evaluate(() => { location.hash = '#lang=en&device=cpu&on=prefix&text=I+am+tired.'; });
  release();
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  await expect(page.locator('#sentence')).toHaveValue('I am tired.');
  await done(page);
  await expect(lesson(page)).toBeHidden();
  await expect(page.locator('unmasked-demo')).toHaveAttribute('architecture', 'prefix');
});
