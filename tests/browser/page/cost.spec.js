/** What it costs: the numbers on the page are those of the engine, and follow the shown step. */
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { ARCHITECTURES, done, drawn, machine, open, opened } from '../machines.js';
import { address, look } from '../masks.js';

/** A table's lines: name, whole number, short number, what stands last. */
const lines = (element, name) => element.locator(`.cost-${name}`).evaluate((table) => [...table.querySelectorAll('tbody tr')]
  .map(({ cells: [first, , count, last] }) => [first.textContent, Number(count.title.replaceAll(',', '')), count.textContent, last.textContent]));
const said = (element, name) => element.locator(`.cost-${name}`);
const described = (element) => element.evaluate(({ description: { parameters, ledger, cost } }) => ({ parameters, ledger, cost }));
/** What the engine told of the shown step, and of the source that an encoder-decoder's first one had read. */
const told = (element) => element.evaluate(({ timeline: { header, steps }, position }) => [steps[position].stats, ...position === 0 && header.target ? [header.forward.stats] : []]);
const sumOf = (stats, name) => stats.reduce((sum, one) => sum + one[name], 0);

test('parameters by part are the engine’s, and come to what it has in all', async ({ page }) => {
  await open(page, address('step=2&look=encoder.cost_causal.cost_prefix.cost_encoder-decoder.cost'));
  await done(page);
  for (const name of ARCHITECTURES) {
    const element = machine(page, name);
    const { parameters, ledger } = await described(element);
    const parts = await lines(element, 'parts');
    expect(parts.slice(0, -1).map(([part, number]) => `${part} ${number}`).sort()).toEqual(ledger.map((one) => `${one.part} ${one.parameters}`).sort());
    expect(parts.slice(0, -1).reduce((sum, [, number]) => sum + number, 0)).toBe(parameters);
    expect(parts.at(-1).slice(0, 2)).toEqual(['in all', parameters]);
    expect(parts.some(([part]) => part === 'cross-attention')).toBe(name === 'encoder-decoder');
    await expect(said(element, 'shape')).toHaveText(name === 'encoder-decoder' ? /^Layers: 3 that read, 3 that write/ : /^Layers: 6, in one stack\. The output table is the token table \(3312 × 160\): counted once\.$/);
  }
});

test('what is counted of a row is what the engine says of the lengths that it tells of', async ({ page }) => {
  await open(page, address('on=causal,encoder-decoder'));
  await done(page);
  for (const name of ['causal', 'encoder-decoder']) {
    const counted = await machine(page, name).evaluate(async ({ description }) => {
      const { blocksOf, heldOf, tableOf } = await import('/cost.js');
      const twice = Object.keys(description.stacks).length;
      return description.cost.map(({ keys }) => [blocksOf(description, 'decoder', 1, twice * keys) + tableOf(description), heldOf(description, keys, twice === 2 ? keys : 0)]);
    });
    expect(counted).toEqual((await described(machine(page, name))).cost.map((one) => [one.multiplications_cached, one.cache_bytes]));
  }
});

test('the step’s numbers follow the clock, and its rows are those that the engine computed', async ({ page }) => {
  await open(page, address('step=0&look=causal.cost_prefix.cost_encoder-decoder.cost'));
  await done(page);
  const at = {};
  for (const step of [0, 1, 3]) {
    for (const name of ['causal', 'prefix', 'encoder-decoder']) {
      const element = machine(page, name);
      const found = await lines(element, 'step');
      const cached = found.find(([line]) => line === 'with the cache');
      const once = step === 0 ? found.find(([line]) => line === 'source, once') : undefined;
      const computed = await told(element);
      const rows = sumOf(computed, 'rows_computed');
      expect(computed.map((one) => one.rows_computed), `${name} at ${step}`).toEqual([cached, once].flatMap((line) => (line ? [Number(line[3])] : [])));
      await expect(said(element, 'measured')).toHaveText(new RegExp(`^Measured here: rows ${rows} · .* ms · ops ${sumOf(computed, 'dispatches')}$`));
      const milliseconds = await page.evaluate(async (sum) => (await import('/views/stats.js')).timeOf(sum), sumOf(computed, 'milliseconds'));
      await expect(element.locator('.stats')).toHaveText(new RegExp(`rows ${rows} · ops ${sumOf(computed, 'dispatches')} · ${milliseconds} ms$`));
      at[`${name} ${step}`] = found.map(([line, number, , rows]) => [line, number, Number(rows)]);
    }
    await page.keyboard.press('n');
    if (step === 1) await page.keyboard.press('n');
    await drawn(page);
  }
  // 6 layers of 160 columns: matrices, then a score and a sum a key; 3312 tokens.
  const rows = (count, cells) => 6 * (count * 307_200 + 320 * cells);
  const table = 3312 * 160;
  expect(at['causal 0']).toEqual([['with the cache', rows(9, 45) + table, 9], ['without it', rows(9, 45) + table, 9]]);
  expect(at['causal 1']).toEqual([['with the cache', rows(1, 10) + table, 1], ['without it', rows(10, 55) + table, 10]]);
  expect(at['causal 3']).toEqual([['with the cache', rows(1, 12) + table, 1], ['without it', rows(12, 78) + table, 12]]);
  expect(at['prefix 0'][0]).toEqual(['with the cache', rows(9, 81) + table, 9]);
  expect(at['prefix 3'][1]).toEqual(['without it', rows(12, 81 + 10 + 11 + 12) + table, 12]);
  // Half of the layers read, the others write: what is read once does not grow.
  const once = rows(9, 81) / 2 + 3 * 9 * 160 * 320;
  const across = (cells) => 3 * (307_200 + 2 * 160 * 160 + 320 * cells);
  expect(at['encoder-decoder 0']).toEqual([['source, once', once, 9], ['with the cache', across(1 + 9) + table, 1], ['without it', once + across(1 + 9) + table, 10]]);
  expect(at['encoder-decoder 3'].slice(0, 2)).toEqual([['source, once', once, 9], ['with the cache', across(4 + 9) + table, 1]]);
  await expect(said(machine(page, 'causal'), 'held')).toHaveText(/^Keys and values held: 100 kB \(rows: 13\)\. Each row is held from the start/);
});

test('a rule that looks ahead holds nothing, as the engine finds, too; an encoder has one pass', async ({ page }) => {
  await open(page, address('step=2&on=encoder,causal&mask=causal.full&look=encoder.cost_causal.cost'));
  await done(page);
  const causal = machine(page, 'causal');
  const [[, cached, , rows], [, again]] = await lines(causal, 'step');
  expect([Number(rows), cached]).toEqual([sumOf(await told(causal), 'rows_computed'), again]);
  expect(cached).toBe(6 * (11 * 307_200 + 320 * 121) + 3312 * 160);
  await expect(said(causal, 'held')).toHaveText('Keys and values held: 84 kB (rows: 11).');
  const encoder = machine(page, 'encoder');
  expect(await lines(encoder, 'step')).toEqual([['every row', 6 * (9 * 307_200 + 320 * 81) + 3312 * 160, '17.3 M', '9']]);
  await expect(said(encoder, 'held')).toHaveText(/^No cache helps/);
  // Two blanks, two rows that go through the output table; then none.
  await encoder.locator('.chip', { hasText: /^doctor$/ }).click();
  await done(page);
  expect((await lines(encoder, 'step'))[0][1]).toBe(6 * (9 * 307_200 + 320 * 81) + 2 * 3312 * 160);
});

test('each machine says from how many of the shown tokens it learns, and marks them', async ({ page }) => {
  await open(page, address('step=3&look=encoder.cost_causal.cost_prefix.cost_encoder-decoder.cost'));
  await done(page);
  const expected = {
    encoder: [/^It learns from about 1 of these 9 tokens: 15% of the 7 /, 'nmmmmmmmn'],
    causal: [/^It learns from 11 of these 12 tokens: all but the first/, 'nyyyyyyyyyyy'],
    prefix: [/^It learns from 3 of these 12 tokens: those of the answer\.$/, 'nnnnnnnnnyyy'],
    'encoder-decoder': [/^It learns from 3 of these 13 tokens: those of the target\.$/, 'nnnnnnnnnnyyy'],
  };
  for (const [name, [words, marks]] of Object.entries(expected)) {
    const element = machine(page, name);
    await expect(said(element, 'learns').locator('p')).toHaveText(words);
    expect(await said(element, 'marks').evaluate((strip) => [...strip.children].map(({ dataset }) => dataset.learnt[0]).join(''))).toBe(marks);
  }
  await look(machine(page, 'prefix'));
  await expect(machine(page, 'prefix').locator('.cost')).toBeHidden();
  await expect(machine(page, 'prefix').locator('.mask')).toBeVisible();
});

test('a model from elsewhere whose heads share keys says what that saves; of what its files do not tell nothing is said', async ({ page }) => {
  const folder = (name) => fileURLToPath(new URL(`../../golden/families/${name}`, import.meta.url));
  await page.goto(`/open.html#lang=en&device=cpu&on=none&text=${encodeURIComponent('w5 w7 w9')}`);
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  for (const [name, place] of [['llama', 'causal'], ['electra-discriminator', 'encoder']]) {
    await page.locator('#open [data-choose="folder"]').setInputFiles(folder(name));
    await expect(page.locator('#open .told')).toContainText(`from the folder “${name}”.`);
    await done(page);
    await look(opened(page, place), 'cost');
  }
  const llama = opened(page, 'causal');
  const { rows, bytes } = await llama.evaluate((demo) => {
    const { rows: count } = demo.timeline.frame(demo.position).blocks[0];
    const [{ keys, cache_bytes: held }] = demo.description.cost;
    return { rows: count, bytes: held / keys * count };
  });
  const kilo = (number) => (number < 1000 ? `${number} B` : `${(number / 1000).toFixed(1)} kB`);
  await expect(said(llama, 'held')).toHaveText(new RegExp(`^Keys and values held: ${kilo(bytes)} \\(rows: ${rows}\\)\\. K/V heads: 3 for 6 heads; one for each would be ${kilo(2 * bytes)}\\.`));
  await expect(said(llama, 'learns').locator('p')).toHaveText(new RegExp(`^It learns from ${rows - 1} of these ${rows} tokens`));
  const electra = opened(page, 'encoder');
  await expect(said(electra, 'learns')).toBeHidden();
  await expect(said(electra, 'shape')).toHaveText('Layers: 2, in one stack.');
});

test('no number of its tables is wider than its place', async ({ page }) => {
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    await open(page, address('on=encoder&look=encoder.cost'));
    await done(page);
    await expect(machine(page, 'encoder').locator('.cost td').first()).toBeVisible();
    const wide = await machine(page, 'encoder').locator('.cost td').evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map(({ textContent }) => textContent));
    expect(wide, `at ${width}`).toEqual([]);
  }
});
