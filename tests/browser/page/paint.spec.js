/** A mask painted by hand: by mouse, finger and keyboard; what the engine makes of it; how it is taken back. */
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { answer, done, drawn, host, machine, open, opened } from '../machines.js';
import { TEXT, address, edits, press, spot, stroke, visible, words } from '../masks.js';

test('a pressed cell is hidden from the model, whose answer is the one that the engine gives under that mask', async ({ page }) => {
  await open(page, address('on=causal&step=4'));
  await done(page);
  const element = machine(page, 'causal');
  const before = await answer(element);
  await press(element, 'paint');
  await expect(words(element)).toHaveText('Press cells, or drag over them, to hide or show them.');
  await stroke(page, element, [[12, 1], [12, 6]]);
  await done(page);
  expect(await edits(element)).toBe('d12.1h12.2h12.3h12.4h12.5h12.6h');
  expect(await visible(element, 'decoder', 12, 3)).toBe(false);
  await expect(words(element)).toContainText('Cells painted: 6. It was never trained with this mask. Before: “fatigué”');
  const after = await answer(element);
  expect(after).not.toEqual(before);
  const alone = await page.evaluate(async (text) => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-causal-int8/', { device: 'cpu' });
    const painted = [1, 2, 3, 4, 5, 6].map((key) => ({ row: 12, key, visible: false }));
    const chosen = [];
    for await (const step of engine.generate({ text, maxNewTokens: 40, mask: { decoder: { rule: 'causal', edits: painted } } })) chosen.push(step.chosen);
    engine.free();
    return chosen;
  }, TEXT);
  expect(after).toEqual(alone);

  // A link shows the same; nothing of it needs the brush.
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('edits=causal.d12.1h');
  await page.reload();
  await done(page);
  expect(await answer(element)).toEqual(after);
  await expect(words(element)).toContainText('Cells painted: 6.');

  await press(element, 'reset');
  await done(page);
  expect(await answer(element)).toEqual(before);
  await expect.poll(() => page.evaluate(() => location.hash)).not.toContain('edits');
  await press(element, 'undo');
  await done(page);
  expect(await answer(element)).toEqual(after);
});

test('hidden cells are opened, too: an encoder and a causal decoder look where they never looked', async ({ page }) => {
  await open(page, address('on=causal,encoder'));
  await done(page);
  const causal = machine(page, 'causal');
  await press(causal, 'paint');
  await stroke(page, causal, [[1, 3]]);
  await done(page);
  expect(await edits(causal)).toBe('d1.3s');
  await expect(causal.locator('.about dd').first()).toHaveText('Nobody looks ahead. Except where painted.');
  expect(await visible(causal, 'decoder', 1, 3)).toBe(true);
  const seen = await causal.evaluate((demo) => demo.timeline.frame(0).blocks[0].attention(0, 0, 1)[3]);
  expect(seen).toBeGreaterThan(0);
  // The other machine keeps its own mask, and its own brush.
  expect(await edits(machine(page, 'encoder'))).toBe('');
  const encoder = machine(page, 'encoder');
  await press(encoder, 'paint');
  await stroke(page, encoder, [[6, 2], [6, 4]]);
  await done(page);
  expect(await edits(encoder)).toBe('e6.2h6.3h6.4h');
  await expect(encoder.locator('.candidate .bar s:not([hidden])').first()).toBeVisible();
});

test('a row that sees nothing says so, and cross-attention is painted by itself', async ({ page }) => {
  await open(page, address('on=encoder-decoder&step=2'));
  await done(page);
  const element = machine(page, 'encoder-decoder');
  const keys = await element.evaluate((demo) => demo.timeline.frame(demo.position).blocks[1].keys);
  await press(element, 'paint');
  await stroke(page, element, [[2, 0], [2, keys - 1]], 1);
  await done(page);
  expect(await edits(element)).toBe(`c${Array.from({ length: keys }, (_, key) => `2.${key}h`).join('')}`);
  await expect(words(element)).toContainText('sees nothing of the source: that attention is 0.');
  expect(await element.evaluate((demo) => demo.timeline.frame(demo.position).blocks[1].attention(0, 0, 2).every((weight) => weight === 0))).toBe(true);
  expect(await visible(element, 'decoder', 2, 0)).toBe(true);
});

test('by keyboard: arrows and Enter paint, Ctrl+Z takes it back, and a press without the brush paints nothing', async ({ page }) => {
  await open(page, address('on=prefix&step=3'));
  await done(page);
  const element = machine(page, 'prefix');
  await stroke(page, element, [[3, 1]]);
  await element.locator('.mask').focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  expect(await edits(element)).toBe('');
  await element.locator('[data-action="paint"]').focus();
  await page.keyboard.press('Enter');
  await expect(element.locator('.mask')).toHaveAttribute('aria-label', /Enter paints a cell\./);
  await element.locator('.mask').focus();
  for (const key of ['ArrowUp', 'ArrowRight', 'Enter']) await page.keyboard.press(key);
  await done(page);
  const [painted] = [await edits(element)];
  expect(painted).toMatch(/^d\d+\.\d+h$/);
  // What comes of it is said once the model has run, never the number of the run before.
  await expect(element.locator('.unseen[role="status"]')).toHaveText(/^“.+” may not see “.+”: painted$|^Cells painted: 1\. It was never trained with this mask\./);
  await expect(element.locator('.unseen[role="status"]')).toContainText('Cells painted: 1.');
  // The page's own keys still are: a space that paints does not play.
  await page.keyboard.press(' ');
  expect(await edits(element)).toBe('');
  // A key that is held down paints once. (A row that is being computed cannot be painted.)
  await done(page);
  await page.keyboard.down('Enter');
  const held = await edits(element);
  for (let repeat = 0; repeat < 3; repeat += 1) await page.keyboard.down('Enter');
  await page.keyboard.up('Enter');
  expect(await edits(element)).toBe(held);
  await page.keyboard.press('Control+z');
  expect(await page.evaluate(() => document.querySelector('unmasked-demo').playing)).toBe(false);
  await page.keyboard.press('Control+z');
  expect(await edits(element)).toBe(painted);
  await page.keyboard.press('Control+z');
  expect(await edits(element)).toBe('');
  // Nothing is left to take back: the line goes, and the focus with it to the brush.
  await done(page);
  await page.keyboard.press('Enter');
  await press(element, 'paint');
  await done(page);
  await element.locator('[data-action="undo"]').focus();
  await page.keyboard.press('Enter');
  await expect(element.locator('.painting')).toBeHidden();
  expect(await element.evaluate((demo) => demo.shadowRoot.activeElement?.dataset.action)).toBe('paint');
});

test('another sentence has a mask of its own, and an address that paints nonsense paints nothing', async ({ page }) => {
  await open(page, address('on=causal&edits=causal.d3.1h900.2h_encoder.e1.1h'));
  await done(page);
  const element = machine(page, 'causal');
  expect(await visible(element, 'decoder', 3, 1)).toBe(false);
  await page.locator('#sentence').fill('Thank you!');
  await expect.poll(() => edits(element)).toBe('');
  await done(page);
  expect(await visible(element, 'decoder', 3, 1)).toBe(true);
  await expect(element.locator('.painting')).toBeHidden();
  // Nor does undo bring back what was painted on the sentence before.
  await press(element, 'paint');
  await stroke(page, element, [[2, 1]]);
  await press(element, 'reset');
  await page.locator('#sentence').fill('Where is the cat?');
  await done(page);
  await expect(element.locator('[data-action="undo"]')).toHaveAttribute('aria-disabled', 'true');
  await open(page, address('on=causal&edits=causal.d3.1q_prefix.d<b>'));
  await page.reload();
  await done(page);
  expect(await edits(element)).toBe('');
});

test('an element of its own keeps its place and what was forced while it is painted', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}" start="2" controls="step play"></unmasked-demo>`);
  await done(page);
  const element = page.locator('unmasked-demo');
  await expect.poll(() => element.evaluate((demo) => demo.position)).toBe(2);
  await element.locator('.candidate').nth(3).click();
  await done(page);
  const { choices, position } = await element.evaluate((demo) => ({ choices: demo.choices, position: demo.position }));
  expect(choices).toMatch(/^2\.\d+$/);
  await press(element, 'paint');
  // Of a row that chooses after it: what is before stays as it was.
  await stroke(page, element, [[11, 1]]);
  await done(page);
  expect(await edits(element)).toBe('d11.1h');
  expect(await element.evaluate((demo) => ({ choices: demo.choices, position: demo.position }))).toEqual({ choices, position });
  // Where the answer becomes shorter, it ends there.
  await element.evaluate((demo) => { demo.end(); demo.max = 3; });
  await done(page);
  expect(await element.evaluate((demo) => [demo.position, demo.available])).toEqual([3, 3]);
});

test('a cell pressed between another sentence and its run is none of it', async ({ page }) => {
  await open(page, address('on=causal'));
  await done(page);
  const element = machine(page, 'causal');
  await press(element, 'paint');
  const at = await spot(element, 8, 3);
  await page.mouse.move(at.x, at.y);
  await page.evaluate(() => {
    const sentence = document.querySelector('#sentence');
    sentence.value = 'He is tired.';
    sentence.dispatchEvent(new Event('input'));
  });
  await page.mouse.down();
  await page.mouse.up();
  await done(page);
  expect(await edits(element)).toBe('');
});

test('another model from elsewhere has a mask of its own', async ({ page }) => {
  const choose = async (name) => {
    await page.locator('[data-choose="folder"]').setInputFiles(fileURLToPath(new URL(`../../golden/families/${name}`, import.meta.url)));
    await expect(page.locator('#open .told')).toContainText(`from the folder “${name}”.`);
    await done(page);
  };
  await page.goto('/open.html#lang=en&device=cpu&on=none&text=w5+w7+w9');
  await choose('gpt2');
  const element = opened(page, 'causal');
  await press(element, 'paint');
  await stroke(page, element, [[2, 1]]);
  await done(page);
  expect(await edits(element)).toBe('d2.1h');
  await choose('llama');
  expect(await edits(element)).toBe('');
});

test('a stored run cannot be painted', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="Thank you!"></unmasked-demo>`);
  await done(page);
  const element = page.locator('unmasked-demo');
  await expect(element.locator('[data-action="paint"]')).toBeVisible();
  const trace = await element.evaluate((demo) => JSON.stringify({ ...demo.timeline.header, steps: demo.timeline.steps }));
  await page.route('**/run.json', (route) => route.fulfill({ contentType: 'application/json', body: trace }));
  await element.evaluate((demo) => { demo.trace = '/run.json'; });
  await expect(element.locator('[data-action="paint"]')).toBeHidden();
  // Nor does it tell of a mask that it was not computed under.
  await element.evaluate((demo) => Object.assign(demo, { edits: 'd1.0h', mask: 'full', silenced: 'd1.1' }));
  await drawn(page);
  await expect(element.locator('.mask svg')).toBeVisible();
  await expect(element.locator('.painting')).toBeHidden();
  await expect(element.locator('.mask .painted')).toHaveAttribute('d', '');
});

test.describe('with a finger', () => {
  test.use({ hasTouch: true, viewport: { width: 390, height: 844 } });

  test('a tap paints a cell, and a stroke does not scroll the page', async ({ page }) => {
    await open(page, address('on=causal&step=2'));
    await done(page);
    const element = machine(page, 'causal');
    await press(element, 'paint');
    await element.locator('.mask').scrollIntoViewIfNeeded();
    const { x, y } = await spot(element, 6, 1);
    await page.touchscreen.tap(x, y);
    await done(page);
    expect(await edits(element)).toBe('d6.1h');
    const from = await spot(element, 4, 0);
    const to = await spot(element, 9, 0);
    const scrolled = await page.evaluate(() => scrollY);
    const session = await page.context().newCDPSession(page);
    const touch = (type, point) => session.send('Input.dispatchTouchEvent', { type, touchPoints: point ? [point] : [] });
    await touch('touchStart', from);
    for (let at = 1; at <= 5; at += 1) await touch('touchMove', { x: to.x, y: from.y + (at / 5) * (to.y - from.y) });
    await touch('touchEnd');
    await done(page);
    expect(await edits(element)).toBe('d6.1h4.0h5.0h6.0h7.0h8.0h9.0h');
    expect(await page.evaluate(() => scrollY)).toBe(scrolled);
  });
});
