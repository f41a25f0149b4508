/** Two blanks, apart and together: each number is the engine's, whoever asks it. */
import { expect, test } from '@playwright/test';
import { done, machine, open } from '../machines.js';
import { look } from '../masks.js';

const TEXT = 'She is taller than her mother.';
/** "She" and "her". */
const address = (settings, text = TEXT) => `lang=en&device=cpu&on=encoder&text=${encodeURIComponent(text)}&blanks=0.4&${settings}`;
const LOOK = 'look=encoder.blanks';
const words = (element) => element.locator('.blanks-words');
const settled = async (element) => {
  await expect(element.locator('.blanks')).not.toHaveAttribute('data-waiting', /.*/);
  await expect(element.locator('.blanks table')).toHaveCount(1);
};
/** The table's numbers: the columns' heads, then a row a guess of the first blank. */
const cells = (element) => element.locator('.blanks table').evaluate((table) => [...table.querySelectorAll('tr')].map((line) => [...line.children]
  .map((cell) => [...cell.querySelectorAll('span[dir], button, b, small')].map((node) => node.textContent).join(' '))).map((line, at) => (at ? line : line.slice(1))));
const turns = (element) => element.locator('.blanks tbody').evaluate((body) => [...body.querySelectorAll('td')].map((cell) => cell.dataset.turn ?? ''));

/**
 * The same table by passes made alone, an engine each: the text with both blanks, then with the first one filled in.
 * The probabilities are reckoned here.
 */
const alone = (page) => page.evaluate(async () => {
  const demo = /** @type {any} */ (document.querySelector('unmasked-demo[architecture="encoder"]'));
  const { loadEngine } = await import('/engine.js');
  const { readRule } = await import('/rules.js');
  const { readSilenced, gatesOf } = await import('/gates.js');
  const pass = async (row, of) => {
    const engine = await loadEngine('/models/en-fr-encoder-int8/', { device: 'cpu' });
    const { tokens } = await engine.tokenize(demo.text, demo.pair || undefined);
    const mask = engine.describe().special.mask;
    const ids = of(demo.timeline.header.tokens.map(({ id }) => id));
    // The second sentence begins behind the first separator.
    const sourceLength = demo.pair ? tokens.findIndex(({ id, special }, at) => special && at > 0 && id !== mask) + 1 : undefined;
    const { forward } = await engine.forward({
      ids, ...sourceLength ? { sourceLength } : {}, ...readRule(demo.mask) ? { mask: { encoder: { rule: demo.mask } } } : {},
      gates: gatesOf(readSilenced(demo.silenced ?? ''), engine.describe()), watch: { layers: [0], heads: [0], rows: [row], what: ['logits'] },
    });
    const rows = ids.flatMap((id, at) => (id === mask ? [at] : []));
    engine.free();
    const warm = forward.logits[0].map((logit) => logit / (Number(demo.temperature) || 1));
    const whole = warm.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return { rows, shares: warm.map((logit) => Math.exp(logit) / whole) };
  };
  const { rows: [first, second] } = await pass(0, (ids) => ids);
  const [a, b] = [(await pass(first, (ids) => ids)).shares, (await pass(second, (ids) => ids)).shares];
  const best = (shares) => shares.map((share, id) => ({ share, id })).sort((one, two) => two.share - one.share).slice(0, 4);
  const given = [];
  for (const { id, share } of best(a)) {
    const { shares } = await pass(second, (ids) => ids.map((own, at) => (at === first ? id : own)));
    const bits = shares.reduce((sum, after, at) => sum + (after > 0 ? after * Math.log2(after / b[at]) : 0), 0);
    given.push({ p: share, together: best(b).map((one) => share * shares[one.id]), apart: best(b).map((one) => share * one.share), bits, whole: shares.reduce((sum, after) => sum + share * after, 0) });
  }
  const weight = given.reduce((sum, { p }) => sum + p, 0);
  return { seconds: best(b).map(({ share }) => share), given, mean: given.reduce((sum, { p, bits }) => sum + p * bits, 0) / weight };
});

/** As far as what is written tells. */
const fits = (written, number) => {
  const digits = /^<?(\d*)\.?(\d*)%$/.exec(written);
  expect(digits, written).not.toBeNull();
  if (written.startsWith('<')) return expect(number).toBeLessThan(0.00005);
  const step = 10 ** -(digits?.[2].length ?? 0) / 100;
  return expect(Math.abs(Number(written.slice(0, -1)) / 100 - number), `${written} for ${number}`).toBeLessThan(step * 0.51);
};

for (const [name, settings, text] of [
  ['as it is', '', TEXT],
  ['at a temperature', 'temperature=2&seed=3', TEXT],
  ['of two sentences, in a window, with a head silenced', 'pair=Elle+est+plus+grande.&mask=encoder.window:4&silenced=encoder.e5.2', TEXT],
]) {
  test(`each number is what passes made alone give: ${name}`, async ({ page }) => {
    await open(page, address(`${LOOK}&${settings}`, text));
    await done(page);
    const element = machine(page, 'encoder');
    await settled(element);
    const [heads, ...lines] = await cells(element);
    const expected = await alone(page);
    expect([heads.length, lines.length]).toEqual([4, 4]);
    const candidates = await element.locator('.candidate').evaluateAll((rows) => rows.slice(0, 4).map((row) => `${row.querySelector('.piece').textContent} ${row.querySelector('.percent').textContent}`));
    expect(lines.map(([head]) => head), 'beside it stand the same numbers').toEqual(candidates);
    heads.forEach((head, at) => fits(head.split(' ').at(-1), expected.seconds[at]));
    lines.forEach(([head, ...row], at) => {
      const { p, together, apart, whole } = expected.given[at];
      fits(head.split(' ').at(-1), p);
      // Over the whole vocabulary a row is the first blank's own probability; four words are no more than that.
      expect(Math.abs(whole - p)).toBeLessThan(1e-9);
      expect(together.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(p + 1e-9);
      row.forEach((cell, column) => {
        fits(cell.split(' ')[0], together[column]);
        fits(cell.split(' ')[1], apart[column]);
      });
    });
    for (const [at, { bits }] of expected.given.entries()) {
      await element.locator('[data-action="given"]').nth(at).click();
      await expect(words(element)).toContainText(` by ${bits.toFixed(2)} bits. The mean of those shown: ${expected.mean.toFixed(2)}.`);
    }
  });
}

test('apart “She” goes with “his”, together with “her”; the candidates are those of the run', async ({ page }) => {
  await open(page, address(''));
  await done(page);
  const element = machine(page, 'encoder');
  await look(element, 'blanks');
  await settled(element);
  await expect(page).toHaveURL(/look=encoder\.blanks/);
  await expect(words(element)).toHaveText(/^Apart, each blank’s own best: “She” and “his”, [\d.]+% × [\d.]+% = [\d.]+%; together [\d.]+%\.Together the likeliest pair shown: “She” and “her”/);
  const [, ...lines] = await cells(element);
  const candidates = await element.locator('.candidate').evaluateAll((rows) => rows.slice(0, 4).map((row) => `${row.querySelector('.piece').textContent} ${row.querySelector('.percent').textContent}`));
  expect(lines.map(([head]) => head)).toEqual(candidates);
  expect((await turns(element)).slice(0, 2)).toEqual(['less', 'more']);
  expect(await element.locator('.save-choices button:not([aria-disabled])').evaluateAll((buttons) => buttons.map(({ dataset }) => dataset.value))).toEqual(['csv', 'run']);
  await element.locator('.save > button').click();
  const [file] = await Promise.all([page.waitForEvent('download'), element.locator('[data-action="save"][data-value="csv"]').click()]);
  expect(file.suggestedFilename()).toBe('unmasked-encoder-blanks.csv');
  // By keyboard, and said.
  const tom = element.locator('[data-action="given"]', { hasText: /^Tom$/ });
  await tom.focus();
  await page.keyboard.press('Enter');
  await expect(tom).toHaveAttribute('aria-pressed', 'true');
  await expect(tom).toBeFocused();
  await expect(element.locator('.unseen[role="status"]').last()).toHaveText(/^“Tom” in the first blank makes “his” the second’s likeliest/);
  await expect(element.locator('.exchange[aria-pressed="true"]')).toHaveCount(1);
  // The link brings it, in both languages.
  const hash = new URL(page.url()).hash;
  await page.goto('about:blank');
  await open(page, hash.slice(1).replace('lang=en', 'lang=zh'));
  await settled(element);
  await expect(words(element)).toHaveText(/^分开猜，各取最可能的：“She” 和 “his”/);
  await expect(element.locator('[data-action="look"]')).toHaveValue('blanks');
});

test('where nobody may see the first blank, together is apart; where the second alone may not, others still tell it', async ({ page }) => {
  // Rows 0 .. 10, the first blank in row 1: hidden from all others, from the second alone.
  const count = 11;
  const hidden = Array.from({ length: count }, (_, row) => row).filter((row) => row !== 1);
  await open(page, address(`${LOOK}&edits=encoder.e${hidden.map((row) => `${row}.1h`).join('')}`));
  await done(page);
  const element = machine(page, 'encoder');
  await settled(element);
  await expect(words(element)).toContainText('by 0.00 bits. The mean of those shown: 0.00.');
  for (const [, ...row] of (await cells(element)).slice(1)) for (const cell of row) expect(new Set(cell.split(' ')).size).toBe(1);
  expect(new Set(await turns(element))).toEqual(new Set(['']));
  const second = await element.evaluate((demo) => demo.timeline.steps[1].row);
  await element.evaluate((demo, edit) => { demo.edits = edit; }, `e${second}.1h`);
  await done(page);
  await settled(element);
  await expect(words(element)).not.toContainText('0.00');
});

test('fewer than two blanks: it says what to press; of three it shows the one at which the clock is and the next', async ({ page }) => {
  await open(page, address(LOOK).replace('blanks=0.4', 'blanks='));
  await done(page);
  const element = machine(page, 'encoder');
  const chip = (piece) => element.locator('.chip', { hasText: new RegExp(`^${piece}$`) });
  await expect(words(element)).toHaveText('No blank is in the text: press two words in it to blank them.');
  await chip('She').click();
  await expect(words(element)).toHaveText('One blank is in the text: press a second word in it to blank it, too.');
  await expect(element.locator('.blanks table')).toHaveCount(0);
  await chip('her').click();
  await settled(element);
  await expect(words(element)).toHaveText(/^Apart, each blank’s own best: “She” and “his”/);
  const two = await cells(element);
  // What is filled in by now changes nothing.
  await page.keyboard.press('g');
  await expect(chip('She')).toHaveAttribute('data-state', 'filled');
  await settled(element);
  expect(await cells(element)).toEqual(two);
  await page.keyboard.press('r');
  await chip('than').click();
  await expect(words(element)).toHaveText(/^Of 3 blanks, number 1 and number 2; the others stay blank\./);
  await settled(element);
  for (const step of [1, 2]) {
    await page.keyboard.press('n');
    await expect(words(element), `step ${step}`).toHaveText(/^Of 3 blanks, number 2 and number 3/);
  }
  await settled(element);
  const last = await cells(element);
  expect(last).not.toEqual(two);
});

test('it is an encoder’s alone: another machine that is named with it shows its matrix', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder,causal&text=${encodeURIComponent(TEXT)}&look=causal.blanks_encoder.blanks`);
  await done(page);
  const offered = (name) => machine(page, name).locator('[data-action="look"] option').evaluateAll((options) => options.map(({ value }) => value));
  expect(await offered('encoder')).toContain('blanks');
  expect(await offered('causal')).not.toContain('blanks');
  await expect(machine(page, 'causal').locator('.mask')).toBeVisible();
  await expect(machine(page, 'encoder').locator('.mask')).toBeHidden();
});
