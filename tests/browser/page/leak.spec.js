/** The leak test: a token is exchanged, and what moved is the engine's, row by row. */
import { expect, test } from '@playwright/test';
import { done, drawn, host, machine, open } from '../machines.js';
import { TEXT, address, look, press, stroke } from '../masks.js';

const words = (element) => element.locator('.leak-words');
const exchange = (element, piece) => element.locator('.exchange', { hasText: new RegExp(`^${piece}$`) }).first().click();
/** The table's numbers, a row a token. */
const cells = (element, at = 0) => element.locator('.leak table').nth(at).evaluate((table) => [...table.querySelectorAll('tbody tr')]
  .map((line) => [line.querySelector('button').textContent, ...[...line.querySelectorAll('td')].map((cell) => cell.textContent)]));
const settled = (element) => expect(element.locator('.leak')).not.toHaveAttribute('data-waiting', /.*/);

test('a causal decoder tells rows before it nothing, a prefix decoder the source alone, an encoder everybody', async ({ page }) => {
  await open(page, address('step=3'));
  await done(page);
  for (const name of ['encoder', 'causal', 'prefix', 'encoder-decoder']) await look(machine(page, name), 'leak');
  const [encoder, causal, prefix, wired] = ['encoder', 'causal', 'prefix', 'encoder-decoder'].map((name) => machine(page, name));
  await expect(words(causal)).toHaveText(/^“tonight” is exchanged for “is”\. The rows before it stay the same, bit for bit: 6 of 6\. Rows after it that change: 5 of 5, by up to [\d.]+\.$/);
  await expect(words(prefix)).toHaveText(/Rows before it that change: 6 of 6, by up to [\d.]+\. Rows after it that change: 5 of 5/);
  await expect(words(encoder)).toHaveText(/^“tired” is exchanged for “doctor”\. Rows before it that change: 5 of 5.+Rows after it that change: 3 of 3/);
  await expect(words(wired)).toHaveText(/Rows before it that change: 6 of 6.+Rows of the target that change: 4 of 4/);
  // In the answer a prefix decoder is as blind as a causal one, and no source hears of it.
  await exchange(prefix, 'vieux');
  await expect(words(prefix)).toHaveText(/^“vieux” is exchanged for “Le”\. The rows before it stay the same, bit for bit: 10 of 10\./);
  // The others that spell their answer's second word go along.
  await expect(words(wired)).toHaveText(/^“vieux” is exchanged for “Le”\. The rows before it stay the same, bit for bit: 2 of 2\. Rows after it that change: 1 of 1, by up to [\d.]+\. The source stays the same, bit for bit\.$/);
  await expect(words(causal)).toHaveText(/^“grand” is exchanged for “Le”/);
  // An encoder has no answer: it keeps its own.
  await expect(words(encoder)).toHaveText(/^“tired”/);
});

test('each number is the largest difference of two passes that the engine makes alone', async ({ page }) => {
  await open(page, address('on=causal&step=1'));
  await done(page);
  const element = machine(page, 'causal');
  await look(element, 'leak');
  await exchange(element, 'old');
  await expect(words(element)).toHaveText(/^“old” is exchanged for “is”/);
  await settled(element);
  const expected = await page.evaluate(async () => {
    const demo = /** @type {any} */ (document.querySelector('unmasked-demo'));
    const { loadEngine } = await import('/engine.js');
    const { sayChange } = await import('/leak.js');
    const ids = [...demo.timeline.header.tokens.map(({ id }) => id), ...demo.timeline.answerIds(1)];
    const hidden = [];
    for (const other of [ids, ids.with(2, ids[4])]) {
      // An engine each: nothing can have been kept from the other text.
      const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
      const { forward } = await engine.forward({ ids: other, watch: { layers: 'all', rows: 'all', what: ['hidden'] } });
      hidden.push(forward.hidden.decoder);
      engine.free();
    }
    const [before, after] = hidden;
    return ids.map((_, row) => before.map((layer, at) => sayChange(Math.max(...layer[row].map((value, column) => Math.abs(value - after[at][row][column]))))));
  });
  expect((await cells(element)).map(([, ...numbers]) => numbers)).toEqual(expected);
});

test('one cell painted open lets the rows before it know; a window lets a layer on what it hears', async ({ page }) => {
  await open(page, address('on=causal'));
  await done(page);
  const element = machine(page, 'causal');
  await press(element, 'paint');
  await stroke(page, element, [[2, 6]]);
  await done(page);
  await look(element, 'leak');
  await expect(words(element)).toHaveText(/^“tonight” is exchanged for “is”\. Rows before it that change: 4 of 6, by up to/);
  await settled(element);
  expect((await cells(element)).map(([piece, , first]) => [piece, first !== '0']).slice(0, 7))
    .toEqual([['[BOS]', false], ['The', false], ['old', true], ['doctor', false], ['is', false], ['tired', false], ['tonight', true]]);
  // What the rule says is chosen beside it.
  await element.locator('[data-action="rule"]').selectOption('window');
  await done(page);
  await exchange(element, 'The');
  await expect(words(element)).toHaveText(/^“The” is exchanged for “doctor”/);
  await settled(element);
  const reach = (await cells(element)).map(([, ...layers]) => layers.findIndex((change) => change !== '0'));
  // Two further rows a layer: 1 hears it at once, 2 and 3 after the first layer, 4 and 5 after the second.
  expect(reach.slice(0, 8)).toEqual([-1, 0, 1, 1, 2, 2, 3, 3]);
});

test('it follows the clock and the sentence, gives way to the table, and goes by keyboard', async ({ page }) => {
  await open(page, address('on=prefix&step=1'));
  await done(page);
  const element = machine(page, 'prefix');
  await look(element, 'leak');
  await expect(element.locator('.exchange')).toHaveCount(10);
  await expect(element.locator('.mask')).toBeHidden();
  await page.keyboard.press('n');
  await expect(element.locator('.exchange')).toHaveCount(11);
  await element.locator('.exchange').nth(3).focus();
  await page.keyboard.press('Enter');
  await expect(words(element)).toHaveText(/^“doctor” is exchanged/);
  await expect(element.locator('.exchange').nth(3)).toBeFocused();
  await expect(element.locator('.exchange[aria-pressed="true"]')).toHaveText('doctor');
  await page.locator('#sentence').fill('Thank you!');
  await expect(words(element)).toHaveText(/^“!” is exchanged|^“you” is exchanged/);
  await look(element, 'table');
  await expect(element.locator('.leak')).toBeHidden();
  await expect(element.locator('.tables table')).toHaveCount(1);
  await look(element, 'leak');
  await expect(element.locator('.tables')).toBeHidden();
  await look(element);
  await expect(element.locator('.mask')).toBeVisible();
});

test('a text of one word has only signs to exchange it for, and a stored run has no engine to test it', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder&text=Thanks`);
  await done(page);
  const element = machine(page, 'encoder');
  await look(element, 'leak');
  await expect(words(element)).toHaveText(/^“\[CLS\]” is exchanged for “\[MASK\]”/);
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const stored = page.locator('unmasked-demo');
  const offered = () => stored.locator('[data-action="look"] option').evaluateAll((options) => options.map(({ value }) => value));
  expect(await offered()).toEqual(['', 'table', 'reach', 'leak', 'cost', 'objective']);
  const trace = await stored.evaluate((demo) => JSON.stringify({ ...demo.timeline.header, steps: demo.timeline.steps }));
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  await stored.evaluate((demo) => { demo.trace = '/run.json'; });
  await drawn(page);
  expect(await offered()).toEqual(['', 'table', 'objective']);
});

test('what is tested is of the run that is shown, and no more is asked than one test after the other', async ({ page }) => {
  await open(page, address('on=causal&step=1&look=causal.leak'));
  await done(page);
  const element = machine(page, 'causal');
  await settled(element);
  const before = await words(element).textContent();
  // Until the new run is there, what was said of the old one is dim.
  await page.evaluate(() => {
    const sentence = /** @type {any} */ (document.querySelector('#sentence'));
    sentence.value = 'She is reading a book.';
    sentence.dispatchEvent(new Event('input'));
  });
  await drawn(page);
  await expect(element.locator('.leak')).toHaveAttribute('data-waiting', '');
  await settled(element);
  expect(await words(element).textContent()).not.toBe(before);
  // It is said once, where it was asked for, not at every step.
  const said = element.locator('.unseen[role="status"]').last();
  await exchange(element, 'reading');
  await expect(said).toHaveText(/^“reading” is exchanged for/);
  await page.keyboard.press('n');
  await expect(element.locator('.exchange')).toHaveCount(9);
  await settled(element);
  await expect(said).toHaveText(/^“reading” is exchanged for/);
  // Where no matrix is shown nothing is tested.
  await page.goto('/embed.html?architecture=causal&lang=en&device=cpu&text=Thank+you!&view=tokens+candidates&look=leak');
  await done(page);
  await expect(page.locator('.leak table')).toHaveCount(0);
});

test('without colours the exchanged token and what stayed the same are told apart', async ({ page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
  await open(page, address('on=causal&step=3&look=causal.leak&cover=1'));
  await done(page);
  const element = machine(page, 'causal');
  await expect(element.locator('.leak table')).toBeVisible();
  const outline = (locator) => locator.evaluate((node) => getComputedStyle(node).outlineStyle);
  const slant = (locator) => locator.evaluate((node) => getComputedStyle(node).fontStyle);
  expect(await outline(element.locator('.exchange[aria-pressed="true"]'))).toBe('solid');
  expect(await outline(element.locator('.exchange[aria-pressed="false"]').first())).toBe('none');
  expect(await slant(element.locator('.leak [data-same]').first())).toBe('italic');
  expect(await slant(element.locator('.leak tbody td:not([data-same])').first())).toBe('normal');
  await page.locator('#present summary').click();
  expect(await outline(page.locator('.switch[aria-pressed="true"]'))).toBe('solid');
  expect(await outline(page.locator('.switch[aria-pressed="false"]'))).toBe('none');
});

test('what every answer begins with is not exchanged: the engine would put it back', async ({ page }) => {
  await open(page, address('on=prefix,encoder-decoder&step=3&look=prefix.leak_encoder-decoder.leak'));
  await done(page);
  const [prefix, element] = ['prefix', 'encoder-decoder'].map((name) => machine(page, name));
  await settled(element);
  const signs = element.locator('.exchange:visible', { hasText: '[BOS]' });
  await expect(signs).toHaveCount(1);
  await expect(signs).toHaveAttribute('data-value', 'e0');
  await expect(element.locator('.leak .start:visible')).toHaveText(['[BOS]']);
  await expect(element.locator('.leak .start:visible')).toHaveAttribute('title', 'Every answer begins with it: it is not exchanged.');
  // Nor by who presses the source's own sign in another machine, nor where an answer is shorter than what was chosen in it.
  await exchange(prefix, '\\[BOS\\]');
  await expect(words(prefix)).toHaveText(/^“\[BOS\]” is exchanged/);
  await expect(words(element)).toHaveText(/^“tonight” is exchanged/);
  await exchange(element, 'Le');
  await expect(words(element)).toHaveText(/^“Le” is exchanged for “médecin”\. The rows before it stay the same, bit for bit: 1 of 1\. Rows after it that change: 2 of 2/);
  await page.keyboard.press('r');
  await expect(words(element)).toHaveText(/^“tonight” is exchanged/);
});

test('a link brings the token that was exchanged, in each machine its own, and another sentence forgets it', async ({ page }) => {
  await open(page, address('on=causal,encoder-decoder&step=2&look=causal.leak_encoder-decoder.leak'));
  await done(page);
  const [causal, wired] = ['causal', 'encoder-decoder'].map((name) => machine(page, name));
  await settled(causal);
  await exchange(causal, 'The');
  await expect(words(wired)).toHaveText(/^“The” is exchanged/);
  const held = () => page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get('exchange'));
  const rows = await Promise.all([causal, wired].map((element) => element.getAttribute('exchange')));
  await expect.poll(held).toBe(`causal.${rows[0]}_encoder-decoder.${rows[1]}`);
  await page.reload();
  await done(page);
  for (const element of [causal, wired]) await expect(words(element)).toHaveText(/^“The” is exchanged/);
  await page.locator('#sentence').fill('Thank you!');
  await expect(words(causal)).toHaveText(/^“you” is exchanged|^“!” is exchanged/);
  await expect.poll(held).toBe(null);
  // An element has it from its author, whatever its sentence comes from, until that is another.
  await host(page, `<unmasked-demo architecture="causal" device="cpu" look="leak" exchange="d1"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  await expect(demo.locator('.exchange[aria-pressed="true"]')).toHaveAttribute('data-value', 'd1');
  await demo.evaluate((element) => { element.exchange = 'd2'; });
  await expect(demo.locator('.exchange[aria-pressed="true"]')).toHaveAttribute('data-value', 'd2');
  await demo.evaluate((element) => { element.text = 'He is tired.'; });
  await expect.poll(() => demo.getAttribute('exchange')).toBe(null);
});

test('for [MASK]: what moves, and what the others attend to it, are the engine’s; a link brings it, where there is no such sign nobody is asked', async ({ page }) => {
  await open(page, address('on=encoder,causal&blanks=&look=encoder.leak_causal.leak'));
  await done(page);
  const [encoder, causal] = ['encoder', 'causal'].map((name) => machine(page, name));
  await settled(encoder);
  await expect(causal.locator('.leak-for')).toBeHidden();
  await encoder.getByRole('button', { name: 'for [MASK]' }).click();
  await expect(words(encoder)).toHaveText(/^“tonight” is exchanged for “\[MASK\]”/);
  await exchange(encoder, 'doctor');
  await expect(words(encoder)).toHaveText(/^“doctor” is exchanged for “\[MASK\]”/);
  // Who presses a token elsewhere chooses the token, not what it is exchanged for.
  await exchange(causal, 'old');
  await expect(words(encoder)).toHaveText(/^“old” is exchanged for “\[MASK\]”/);
  await exchange(encoder, 'doctor');
  await expect(words(encoder)).toHaveText(/^“doctor” is exchanged for “\[MASK\]”/);
  await settled(encoder);
  const expected = await page.evaluate(async () => {
    const demo = /** @type {any} */ (document.querySelector('unmasked-demo'));
    const [{ loadEngine }, { sayChange }, { percent }] = await Promise.all(['/engine.js', '/leak.js', '/views/dom.js'].map((path) => import(path)));
    const ids = demo.timeline.header.tokens.map(({ id }) => id);
    const passes = [];
    for (const mask of [false, true]) {
      const engine = await loadEngine('/models/en-fr-encoder-int8/', { device: 'cpu' });
      const { forward } = await engine.forward({ ids: mask ? ids.with(3, engine.describe().special.mask) : ids, watch: { layers: 'all', heads: 'all', rows: 'all', what: ['hidden', 'attention'] } });
      passes.push(forward);
      engine.free();
    }
    const drawn = passes.map(({ attention }) => {
      const weights = attention.encoder.flat().flatMap((rows) => rows.filter((_, row) => row !== 3).map((keys) => keys[3]));
      return percent(weights.reduce((sum, weight) => sum + weight, 0) / weights.length);
    });
    const [before, after] = passes.map(({ hidden }) => hidden.encoder);
    return { drawn, moved: ids.map((_, row) => before.map((layer, at) => sayChange(Math.max(...layer[row].map((value, column) => Math.abs(value - after[at][row][column])))))) };
  });
  expect((await cells(encoder)).map(([, ...numbers]) => numbers)).toEqual(expected.moved);
  await expect(words(encoder)).toContainText(`${expected.drawn[1]} goes to it now, ${expected.drawn[0]} before`);
  await expect.poll(() => page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get('exchange'))).toContain('encoder.e3.mask');
  await page.reload();
  await done(page);
  await expect(words(encoder)).toHaveText(/^“doctor” is exchanged for “\[MASK\]”/);
  await encoder.getByRole('button', { name: 'for another word' }).click();
  await expect(words(encoder)).toHaveText(/^“doctor” is exchanged for “[^[]/);
});
