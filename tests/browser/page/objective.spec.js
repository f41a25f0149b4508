/** What a model is trained on: on the page, of the tokens that the engine made of the text, and of what the model wrote. */
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { ARCHITECTURES, done, drawn, machine, open } from '../machines.js';
import { address, look } from '../masks.js';

const LOOK = `look=${ARCHITECTURES.map((name) => `${name}.objective`).join('_')}`;
const view = (element) => element.locator('.objective');
const words = (element) => view(element).locator('.objective-words p');
const ways = (element) => view(element).locator('[data-action="way"]');
/** Each table's columns: given, wanted, loss. */
const tables = (element) => view(element).locator('.objective-tables').evaluate((all) => [...all.querySelectorAll('table')]
  .map((table) => [...table.querySelectorAll('tbody tr')].map((line) => [...line.children].map((cell) => cell.textContent))));
const text = (cell) => cell.replace(/^·/, '');
/** Tokens of the whole run, as the machine's chips show them: at its end. */
const chips = (element) => element.evaluate(async ({ timeline }) => {
  const { showPieces } = await import('/pieces.js');
  const { source, target } = timeline.frame(timeline.length);
  return [source, target].map((tokens) => showPieces(tokens).map(({ text: shown }) => shown));
});

test('each machine trains in its own way on the tokens of its run, wherever the clock is', async ({ page }) => {
  await open(page, address(`step=0&${LOOK}`));
  await done(page);
  for (const name of ARCHITECTURES) await expect(words(machine(page, name)), name).toHaveCount(3);
  for (const [name, from] of [['causal', 0], ['prefix', 8], ['encoder-decoder', 0]]) {
    const element = machine(page, name);
    const [source, target] = await chips(element);
    const sequence = name === 'encoder-decoder' ? target : [...source, ...target];
    const shown = await tables(element);
    expect(shown).toHaveLength(name === 'encoder-decoder' ? 2 : 1);
    if (name === 'encoder-decoder') expect(shown[0].map(([given]) => text(given))).toEqual(source);
    expect(shown.at(-1).map(([given]) => text(given))).toEqual(sequence.slice(0, -1));
    expect(shown.at(-1).map(([, wanted]) => text(wanted))).toEqual(sequence.slice(1).map((one, at) => (at >= from ? one : '–')));
    const losses = sequence.length - 1 - from;
    await expect(words(element).first()).toHaveText(`A loss at ${losses} of ${shown.flat().length} positions.`);
    expect(shown.at(-1).filter(([, , loss]) => loss === 'yes')).toHaveLength(losses);
  }
  await page.keyboard.press('n');
  await drawn(page);
  await expect(words(machine(page, 'causal')).first()).toHaveText(/^A loss at \d+ of \d+ positions\.$/);
  await look(machine(page, 'prefix'));
  await expect(view(machine(page, 'prefix'))).toBeHidden();
  await expect(machine(page, 'prefix').locator('.mask')).toBeVisible();
});

test('an encoder: the text as it was written, masked or replaced; drawn again it is another, and the seed brings it back', async ({ page }) => {
  await open(page, address('on=encoder&look=encoder.objective'));
  await done(page);
  const element = machine(page, 'encoder');
  const written = ['[CLS]', 'The', 'old', 'doctor', 'is', 'tired', 'tonight', '.', '[SEP]'];
  const stood = async () => (await tables(element))[0].map(([given, wanted]) => text(wanted === '–' ? given : wanted));
  await expect(words(element).first()).toHaveText(/^A loss at 1 of 9 positions\. Chosen: 1; \[MASK\]: \d, another token: \d, left as it is: \d\.$/);
  expect(await stood()).toEqual(written);
  const first = await tables(element);
  const others = new Set();
  for (let draw = 0; draw < 6; draw += 1) {
    await view(element).getByRole('button', { name: 'draw again' }).click();
    await drawn(page);
    expect(await stood()).toEqual(written);
    others.add(JSON.stringify(await tables(element)));
  }
  expect(others.size).toBeGreaterThan(1);
  await expect(element.locator('[role="status"].unseen')).toHaveText(/^A loss at 1 of 9/);
  await ways(element).nth(1).focus();
  await page.keyboard.press('Enter');
  await expect(ways(element).nth(1)).toHaveAttribute('aria-pressed', 'true');
  await expect(words(element).first()).toHaveText('A loss at 9 of 9 positions. Replaced: 1.');
  const replaced = (await tables(element))[0].filter(([given, wanted], at) => (wanted === 'replaced') !== (text(given) === written[at]));
  expect(replaced).toHaveLength(9);
  // The address brings the way back, and the first draw.
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('way=encoder.replaced');
  await page.reload();
  await done(page);
  await expect(words(element).first()).toHaveText('A loss at 9 of 9 positions. Replaced: 1.');
  await ways(element).first().click();
  await expect(words(element).first()).toHaveText(/^A loss at 1 of 9/);
  await expect(words(element)).toHaveCount(3);
  expect(await tables(element)).toEqual(first);
  const seeds = new Set();
  for (let seed = 1; seed < 7; seed += 1) {
    await element.evaluate((demo, value) => demo.setAttribute('seed', value), String(seed));
    await done(page);
    seeds.add(JSON.stringify(await tables(element)));
  }
  expect(seeds.size).toBeGreaterThan(1);
});

test('an encoder-decoder: what T5’s target says fits into the holes, and BART’s is the whole text', async ({ page }) => {
  await open(page, address('on=encoder-decoder&look=encoder-decoder.objective'));
  await done(page);
  const element = machine(page, 'encoder-decoder');
  const [source] = await chips(element);
  await ways(element).nth(1).click();
  await expect(words(element).nth(1)).toHaveText(/^T5’s way; none of this page’s own models was trained so\./);
  const [read, asked] = await tables(element);
  const holes = asked.map(([, wanted]) => wanted).join(' ').split(/<[XYZ]>/).slice(1).map((hidden) => hidden.trim().split(' ').map(text));
  expect(holes).toHaveLength(3);
  expect(read.flatMap(([given]) => ({ '<X>': holes[0], '<Y>': holes[1] })[given] ?? [text(given)])).toEqual(source);
  expect(asked.every(([, , loss]) => loss === 'yes')).toBe(true);
  await ways(element).nth(2).click();
  await expect(words(element).first()).toHaveText(/ One sentence: no order to change\.$/);
  const [noised, whole] = await tables(element);
  expect(whole.map(([, wanted]) => text(wanted))).toEqual([...source.slice(1, -1), '[EOS]']);
  expect(noised.map(([given]) => given)).toContain('[MASK]');
});

test('who hears it is told a table; what is covered is not told by it', async ({ page }) => {
  await open(page, address(`lang=zh&${LOOK}`).replace('lang=en&', ''));
  await done(page);
  await expect(words(machine(page, 'encoder')).first()).toHaveText(/^9 个位置中有 1 个计算损失。/);
  const { violations } = await new AxeBuilder({ page }).include('unmasked-demo').analyze();
  expect(violations.map(({ id, nodes }) => `${id} ${nodes[0].html}`)).toEqual([]);
  const row = view(machine(page, 'causal')).getByRole('table').getByRole('row').nth(1);
  await expect(row.getByRole('cell')).toHaveText([/BOS/, /The/, '有']);
  await open(page, address(`step=0&cover=1&on=causal&look=causal.objective`));
  await page.reload();
  await done(page);
  await expect(view(machine(page, 'causal'))).toBeHidden();
});
