/** Silenced heads: what the engine makes of them, how they are shown and heard again. */
import { expect, test } from '@playwright/test';
import { answer, done, machine, open } from '../machines.js';
import { TEXT, address, press, words } from '../masks.js';

const button = (element, at = 0) => element.locator('[data-action="silence"]').nth(at);
const silenced = (element) => element.evaluate((demo) => demo.getAttribute('silenced') ?? '');
const hash = (page) => page.evaluate(() => location.hash);
/** The first step's candidates, as the page has them. */
const first = (element) => element.evaluate((demo) => demo.timeline.steps[0].candidates.map(({ id, probability }) => [id, probability]));

test('a silenced head is the gate of a request: the answer is the engine\'s, and the mark says what it was before', async ({ page }) => {
  await open(page, address('on=causal&layer=2&head=3'));
  await done(page);
  const element = machine(page, 'causal');
  const before = await first(element);
  await press(element, 'paint');
  await expect(button(element)).toHaveText('silence head 3 of layer 2');
  await button(element).click();
  await done(page);
  expect(await silenced(element)).toBe('d2.3');
  await expect(button(element)).toHaveAttribute('aria-pressed', 'true');
  await expect(element.locator('.matrix')).toHaveAttribute('data-silent', '');
  await expect(words(element)).toContainText('Heads silenced: 1. Before: “');
  await expect(words(element)).not.toContainText('never trained');
  const after = await first(element);
  expect(after).not.toEqual(before);
  const alone = await page.evaluate(async (text) => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
    const { layers, heads } = engine.describe();
    const decoder = Array.from({ length: layers.decoder }, (_, layer) => Array.from({ length: heads }, (_2, head) => (layer === 1 && head === 2 ? 0 : 1)));
    const steps = [];
    for await (const step of engine.generate({ text, maxNewTokens: 40, candidates: 10, gates: { decoder } })) steps.push(step);
    engine.free();
    return { chosen: steps.map((step) => step.chosen), first: steps[0].candidates.map(({ id, probability }) => [id, probability]) };
  }, TEXT);
  expect(after).toEqual(alone.first);
  expect(await answer(element)).toEqual(alone.chosen);
  // Another head is shown: it is not silent.
  await element.evaluate((demo) => { demo.head = 4; });
  await expect(button(element)).toHaveAttribute('aria-pressed', 'false');
  await expect(element.locator('.matrix')).not.toHaveAttribute('data-silent', '');

  await expect.poll(() => hash(page)).toContain('silenced=causal.d2.3');
  await page.reload();
  await done(page);
  expect(await first(element)).toEqual(after);
  await expect(words(element)).toContainText('Heads silenced: 1. Before: “');
  await press(element, 'reset');
  await done(page);
  expect(await first(element)).toEqual(before);
  await press(element, 'undo');
  await done(page);
  expect(await first(element)).toEqual(after);
});

test('all heads of a layer go together, and another sentence keeps them while another quartet does not', async ({ page }) => {
  await open(page, address('on=encoder&layer=1&head=all'));
  await done(page);
  const element = machine(page, 'encoder');
  await press(element, 'paint');
  await expect(button(element)).toHaveText('silence all heads of layer 1');
  await button(element).click();
  await done(page);
  const count = await element.locator('.matrix').count();
  expect(await silenced(element)).toBe(Array.from({ length: count }, (_, at) => `e1.${at + 1}`).join(''));
  await expect(element.locator('.matrix[data-silent]')).toHaveCount(count);
  await page.locator('#sentence').fill('Thank you very much!');
  await done(page);
  expect(await silenced(element)).not.toBe('');
  await button(element).click();
  expect(await silenced(element)).toBe('');
  await button(element).click();
  await page.locator('[data-setting="family"]').selectOption('zh-en');
  await done(page);
  expect(await silenced(element)).toBe('');
});

test('an encoder-decoder has three attentions, each silenced by itself', async ({ page }) => {
  await open(page, address('on=encoder-decoder&silenced=encoder-decoder.d1.1_causal.d0.1'));
  await done(page);
  const element = machine(page, 'encoder-decoder');
  expect(await silenced(element)).toBe('d1.1');
  await press(element, 'paint');
  await expect(element.locator('[data-action="silence"]')).toHaveText(['encoder', 'cross-attention', 'decoder']);
  await button(element, 1).click();
  await done(page);
  expect(await silenced(element)).toBe('d1.1c3.1');
  await expect(words(element)).toContainText('Heads silenced: 2.');
  // Only some of what is shown is silent: nothing of it is drawn as if all were.
  await expect(element.locator('.matrix')).not.toHaveAttribute('data-silent', '');
  // Where it is silent it is faint, and that attention's name is struck through: of layer 3 across, of layer 1 back.
  const faint = () => element.locator('.mask').evaluate((mask) => {
    const [all, silent] = ['.edge', '.silent'].map((name) => (mask.querySelector(name).getAttribute('d').match(/M[^M]+/g) ?? []));
    return [silent.map((one) => all.indexOf(one)), [...mask.querySelectorAll('.block-names [data-silent]')].map(({ textContent }) => textContent)];
  });
  await expect.poll(faint).toEqual([[1], ['cross-attention']]);
  const drawing = await element.evaluate((demo) => demo.figure());
  expect(drawing).toContain('text-decoration="line-through"');
  await page.locator('[data-setting="layer"]').selectOption('1');
  await expect.poll(faint).toEqual([[2], ['decoder']]);
  await page.locator('[data-setting="layer"]').selectOption('2');
  await expect.poll(faint).toEqual([[], []]);
  expect(await element.evaluate((demo) => demo.figure())).not.toContain('text-decoration="line-through"');
});
