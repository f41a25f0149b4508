/** A second sentence, for an encoder: a field that comes when it is asked for, and goes when it is wanted no more. */
import { expect, test } from '@playwright/test';
import { done, machine, open } from '../machines.js';

const TEXT = 'The old doctor is tired tonight.';
const address = (rest) => `lang=en&device=cpu&text=${encodeURIComponent(TEXT)}&${rest}`;
const field = (page) => page.locator('#second-text');
const held = (page, name) => page.evaluate((key) => new URLSearchParams(location.hash.slice(1)).get(key), name);
const hint = (page) => machine(page, 'encoder').locator('.hint');

test('it is asked for among the examples, judged as it is written, held by a link, and left', async ({ page }) => {
  await open(page, address('on=causal'));
  await done(page);
  await expect(field(page)).toBeHidden();
  await page.locator('#examples').selectOption('own');
  // The encoder that reads it comes with it, and one that nobody wrote is none.
  await expect(field(page)).toBeFocused();
  await expect(page.locator('unmasked-demo')).toHaveCount(2);
  await done(page);
  expect(await held(page, 'pair')).toBe(null);
  await page.keyboard.type('Le vieux médecin est fatigué ce soir.');
  await expect(hint(page)).toHaveText(/^The pair head: they belong together/);
  await expect.poll(() => held(page, 'pair')).toBe('Le vieux médecin est fatigué ce soir.');
  // What is judged is what the engine says of these two.
  const logits = await page.evaluate(async (text) => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-encoder-int8/', { device: 'cpu' });
    const { forward } = await engine.forward({ text, pair: 'Le vieux médecin est fatigué ce soir.', watch: { layers: [0], heads: [0], rows: [0], what: ['attention'] } });
    engine.free();
    return forward.heads.pair.map((logit) => logit.toFixed(1));
  }, TEXT);
  await expect(hint(page)).toContainText(`(logits: yes ${logits[1]}, no ${logits[0]})`);
  // Another first sentence leaves it, and so does a link.
  await page.locator('#sentence').fill('The dog is sleeping.');
  await expect(hint(page)).toHaveText(/do not belong together/);
  await expect(field(page)).toHaveValue('Le vieux médecin est fatigué ce soir.');
  await expect.poll(() => held(page, 'text')).toBe('The dog is sleeping.');
  await page.reload();
  await done(page);
  await expect(field(page)).toHaveValue('Le vieux médecin est fatigué ce soir.');
  await expect(hint(page)).toHaveText(/do not belong together/);
  await page.getByRole('button', { name: 'no second sentence' }).click();
  await expect(field(page)).toBeHidden();
  await expect(page.locator('#sentence')).toBeFocused();
  await expect.poll(() => held(page, 'pair')).toBe(null);
  await done(page);
  // The encoder fills a blank again.
  await expect(machine(page, 'encoder').locator('.candidate').first()).toBeVisible();
});

test('an empty one goes with the pen and changes nothing; a machine that is off asks for none', async ({ page }) => {
  await open(page, address('on=encoder&blanks=1.2'));
  await done(page);
  const chips = () => machine(page, 'encoder').evaluate((demo) => demo.timeline.header.tokens.map(({ piece }) => piece));
  const before = await chips();
  await page.locator('#examples').selectOption('own');
  await expect(field(page)).toBeFocused();
  await page.keyboard.type('  ');
  await page.keyboard.press('Tab');
  // By keyboard its own button is in the way.
  await expect(page.getByRole('button', { name: 'no second sentence' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(field(page)).toBeHidden();
  await expect(page.locator('#sentence')).toBeFocused();
  await page.locator('#examples').selectOption('own');
  await page.locator('#sentence').focus();
  await expect(field(page)).toBeHidden();
  expect(await held(page, 'blanks')).toBe('1.2');
  expect(await chips()).toEqual(before);
  await page.evaluate(() => { location.hash += '&pair=Merci.'; });
  await expect(field(page)).toHaveValue('Merci.');
  await page.locator('.toggle', { hasText: 'Causal' }).click();
  await page.locator('.toggle', { hasText: 'Encoder-only' }).click();
  await expect(field(page)).toBeHidden();
  await page.locator('.toggle', { hasText: 'Encoder-only' }).click();
  await expect(field(page)).toHaveValue('Merci.');
});

test('painted cells and a rule that names a place go with it, those of the other machines stay', async ({ page }) => {
  await open(page, address('on=encoder,causal&pair=Merci.&mask=encoder.documents%3A9_causal.documents%3A4&edits=causal.d5.3h'));
  await done(page);
  await expect(machine(page, 'encoder')).toHaveAttribute('mask', 'documents:9');
  await field(page).fill('Merci beaucoup.');
  await expect(machine(page, 'encoder')).not.toHaveAttribute('mask', /.*/);
  await expect.poll(() => held(page, 'mask')).toBe('causal.documents:4');
  await expect.poll(() => held(page, 'edits')).toBe('causal.d5.3h');
});
