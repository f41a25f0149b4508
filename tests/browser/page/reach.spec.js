/** Who can know what: the numbers in the matrix are the engine's, of the mask and the heads of the run that is shown. */
import { expect, test } from '@playwright/test';
import { done, drawn, host, machine, open } from '../machines.js';
import { TEXT, address, look, press, reach, stroke } from '../masks.js';

const words = (element) => element.locator('.reach-words');
const numbers = (element) => element.locator('.mask .numbers text').allTextContents();
const settled = async (element) => {
  await expect(element.locator('.reach')).toBeVisible();
  await expect(element.locator('.reach')).not.toHaveAttribute('data-waiting', /.*/);
};
/** What an engine of its own says of the decoder's rows by the shown layer, a row after the other, as it is drawn. */
const asked = (page, request, layer) => page.evaluate(async ({ request: wish, layer: most }) => {
  const { loadEngine } = await import('/engine.js');
  const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
  const { decoder } = await engine.reach(wish);
  engine.free();
  return decoder.flat().filter((n) => n !== null && n <= most).map(String);
}, { request, layer });
const idsOf = (element) => element.evaluate((demo) => demo.timeline.header.tokens.map(({ id }) => id));

test('a window lets a row know further with each layer, as the engine says, and a token more with each step', async ({ page }) => {
  await open(page, address(`on=causal&layer=2&mask=causal.${encodeURIComponent('causal+window:3')}`));
  await done(page);
  const element = machine(page, 'causal');
  await look(element, 'reach');
  await settled(element);
  await expect(words(element)).toHaveText('After layer 2, “[SEP]” can know of 5 of 9 tokens. It sees 3 itself.');
  const mask = { decoder: { rule: 'causal+window:3' } };
  const ids = await idsOf(element);
  expect(await numbers(element)).toEqual(await asked(page, { ids, mask }, 2));
  await page.locator('[data-setting="layer"]').selectOption('6');
  await expect(words(element)).toHaveText('After layer 6, “[SEP]” can know of 9 of 9 tokens. It sees 3 itself.');
  await drawn(page);
  expect(await numbers(element)).toEqual(await asked(page, { ids, mask }, 6));
  // A step further the answer's first token is a row, too.
  await page.keyboard.press('n');
  await expect(words(element)).toContainText('of 10 tokens');
  // Cell by cell it is said in words.
  await element.locator('.mask').focus();
  for (const key of ['ArrowUp', 'ArrowLeft']) await page.keyboard.press(key);
  await expect(element.locator('.tooltip')).toContainText('can know of');
});

test('a cell painted open lets a row know, and no number is of another mask', async ({ page }) => {
  await open(page, address('on=causal&look=causal.reach'));
  await done(page);
  const element = machine(page, 'causal');
  await settled(element);
  expect(new Set(await numbers(element))).toEqual(new Set(['0', '1']));
  const ids = await idsOf(element);
  await press(element, 'paint');
  await stroke(page, element, [[1, 4]]);
  await done(page);
  await settled(element);
  const edits = [{ row: 1, key: 4, visible: true }];
  const painted = await asked(page, { ids, mask: { decoder: { edits } } }, 6);
  await expect.poll(() => numbers(element)).toEqual(painted);
  expect(new Set(painted)).toEqual(new Set(['0', '1', '2', '3']));
  await look(element);
  await expect(element.locator('.reach')).toBeHidden();
});

test('a layer all of whose heads are silent tells nobody anything', async ({ page }) => {
  await open(page, address('on=encoder&look=encoder.reach&layer=1&head=all'));
  await done(page);
  const element = machine(page, 'encoder');
  await settled(element);
  // No head is one's own here: one matrix, with numbers.
  await expect(element.locator('.mask figure')).toHaveCount(1);
  expect(new Set(await numbers(element))).toEqual(new Set(['0', '1']));
  await press(element, 'paint');
  await element.locator('[data-action="silence"]').click();
  await done(page);
  await settled(element);
  await expect.poll(async () => new Set(await numbers(element))).toEqual(new Set(['0']));
  await page.locator('[data-setting="layer"]').selectOption('3');
  await expect.poll(async () => new Set(await numbers(element))).toEqual(new Set(['0', '2']));
});

test('where the leak test finds no change nothing could be known, and a change is only where it could', async ({ page }) => {
  await open(page, address(`step=2&mask=encoder.window:2_prefix.prefix:3_encoder-decoder.${encodeURIComponent('causal+window:2')}&edits=causal.d2.5s`));
  await done(page);
  for (const name of ['encoder', 'causal', 'prefix', 'encoder-decoder']) {
    const element = machine(page, name);
    await look(element, 'leak');
    await expect(element.locator('.leak table').first()).toBeVisible();
    await expect(element.locator('.leak')).not.toHaveAttribute('data-waiting', /.*/);
    const moved = await element.locator('.leak table').evaluateAll((tables) => tables.map((table) => [...table.querySelectorAll('tbody tr')]
      .map((line) => [...line.querySelectorAll('td')].map((cell) => cell.textContent !== '0'))));
    const token = await element.locator('.exchange').evaluateAll((buttons) => buttons.findIndex((button) => button.getAttribute('aria-pressed') === 'true'));
    const told = await reach(element);
    const known = ['encoder', name === 'encoder-decoder' ? 'cross' : 'decoder'].filter((one) => told[one]).map((one) => told[one].map((row) => row[token]));
    expect([known.length, known[0].length], name).toEqual([moved.length, moved[0].length]);
    const expected = known.map((rows, at) => rows.map((first, row) => moved[at][row].map((_, layer) => first !== null && first <= layer)));
    expect(moved, name).toEqual(expected);
  }
});

test('no sentence and no number is of another step, another sentence or another head', async ({ page }) => {
  await open(page, address('on=causal&look=causal.reach&head=3&silenced=causal.d6.1'));
  await done(page);
  const element = machine(page, 'causal');
  await settled(element);
  // It is of no head: one that is silent crosses nothing out.
  await expect(element.locator('.mask figure')).not.toHaveAttribute('data-silent', /.*/);
  await element.evaluate((demo) => {
    const node = demo.shadowRoot.querySelector('.reach-words');
    const said = /** @type {any} */ (window).said = [];
    new MutationObserver(() => said.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
  });
  for (const [key, of] of /** @type {const} */ ([['n', 10], ['n', 11], ['n', 12], ['ArrowLeft', 11]])) {
    await page.keyboard.press(key);
    await expect(words(element)).toContainText(`of ${of} tokens`);
  }
  await page.locator('#sentence').fill('Thank you so much!');
  await expect(words(element)).toContainText('of 7 tokens');
  await done(page);
  const said = await page.evaluate(() => /** @type {any} */ (window).said);
  expect(said.length).toBeGreaterThan(3);
  for (const one of said) expect(one).toMatch(/can know of (\d+) of \1 tokens\. It sees \1 itself\.$/);
  // A stroke by key says what was painted, as the matrix does.
  await press(element, 'paint');
  await element.locator('.mask').focus();
  for (const key of ['ArrowUp', 'ArrowUp', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
  await expect(element.locator('.unseen[role="status"]')).toContainText('painted');
});

test('a stored run has no engine to ask, and a link brings it in both languages', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="prefix" device="cpu" lang="zh" look="reach" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const stored = page.locator('unmasked-demo');
  await expect(words(stored)).toHaveText(/^第 6 层之后，“\[SEP\]”可知 9 个词元中的 9 个/);
  const trace = await stored.evaluate((demo) => JSON.stringify({ ...demo.timeline.header, steps: demo.timeline.steps }));
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  await stored.evaluate((demo) => { demo.trace = '/run.json'; });
  await drawn(page);
  await expect(stored.locator('.reach')).toBeHidden();
  await expect(stored.locator('.mask')).toBeVisible();
});
