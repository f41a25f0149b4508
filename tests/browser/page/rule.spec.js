/** Another rule chosen for a machine's mask: what the engine makes of it, how far it reaches, how it is taken back. */
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import en from '../../../www/i18n/en.js';
import { answer, done, machine, open, opened } from '../machines.js';
import { TEXT, address, edits, look, press, spot, stroke, visible, words } from '../masks.js';

const select = (element) => element.locator('[data-action="rule"]');
const dial = (element) => element.locator('[data-action="dial"]');
const rule = (element) => element.evaluate((demo) => demo.getAttribute('mask') ?? '');
const hash = (page) => page.evaluate(() => location.hash);

/** What the engine alone answers under a rule. */
const alone = (page, model, mask) => page.evaluate(async ({ text, model: name, mask: under }) => {
  const { loadEngine } = await import('/engine.js');
  const engine = await loadEngine(`/models/${name}-int8/`, { device: 'cpu' });
  const chosen = [];
  for await (const step of engine.generate({ text, maxNewTokens: 40, mask: under })) chosen.push(step.chosen);
  engine.free();
  return chosen;
}, { text: TEXT, model, mask });

async function choose(page, element, name) {
  await select(element).selectOption(name);
  await done(page);
}

test('a causal decoder that sees everyone answers as the engine does under that mask, and gets its own back', async ({ page }) => {
  await open(page, address('on=causal&step=1'));
  await done(page);
  const element = machine(page, 'causal');
  const before = await answer(element);
  await expect(select(element)).toBeHidden();
  await press(element, 'paint');
  await expect(select(element).locator('option')).toHaveText(
    ['Its own mask.', 'Everyone sees everyone.', 'Beginning open, rest looks back.', 'Only near neighbours.', 'Two texts, each for itself.']);
  await choose(page, element, 'full');
  const after = await answer(element);
  expect(after).not.toEqual(before);
  expect(after).toEqual(await alone(page, 'en-fr-causal', { decoder: { rule: 'full' } }));
  expect(await visible(element, 'decoder', 1, 4)).toBe(true);
  await expect(element.locator('.about dd').first()).toHaveText('Everyone sees everyone.');
  await expect(words(element)).toContainText('It was never trained with this mask. Before: “');
  await expect(element.locator('.candidate .bar s:not([hidden])').first()).toBeVisible();

  await expect.poll(() => hash(page)).toContain('mask=causal.full');
  await page.reload();
  await done(page);
  expect(await answer(element)).toEqual(after);
  await expect(words(element)).toContainText('It was never trained with this mask. Before: “');
  await press(element, 'reset');
  await done(page);
  expect(await answer(element)).toEqual(before);
  await expect.poll(() => hash(page)).not.toContain('mask=');
  await press(element, 'undo');
  await done(page);
  expect(await answer(element)).toEqual(after);
});

test('where a prefix ends is turned by key: at the end of the source it is the mask that the model was trained with', async ({ page }) => {
  await open(page, address('on=prefix'));
  await done(page);
  const element = machine(page, 'prefix');
  const own = await answer(element);
  await press(element, 'paint');
  await expect(dial(element)).toBeHidden();
  await choose(page, element, 'prefix');
  expect(await rule(element)).toBe('prefix:9');
  expect(await answer(element)).toEqual(own);
  await expect(dial(element)).toHaveAttribute('aria-valuetext', 'open up to “[SEP]”');
  await expect(words(element)).not.toContainText('never trained');
  await dial(element).focus();
  for (let turn = 0; turn < 6; turn += 1) await page.keyboard.press('ArrowLeft');
  await done(page);
  expect(await rule(element)).toBe('prefix:3');
  await expect(dial(element)).toHaveAttribute('aria-valuetext', 'open up to “old”');
  await expect(words(element)).toContainText('never trained');
  expect(await visible(element, 'decoder', 0, 2)).toBe(true);
  expect(await visible(element, 'decoder', 0, 3)).toBe(false);
  expect(await answer(element)).toEqual(await alone(page, 'en-fr-prefix', { decoder: { rule: 'prefix:3' } }));
  // The clock's own keys are not meant where a dial is turned.
  expect(await page.evaluate(() => document.querySelector('unmasked-demo').position)).toBe(0);
});

test('a window and two texts say why a cell is hidden, and what names a place goes with its sentence', async ({ page }) => {
  await open(page, address('on=encoder,causal'));
  await done(page);
  const [encoder, causal] = ['encoder', 'causal'].map((name) => machine(page, name));
  await press(encoder, 'paint');
  await choose(page, encoder, 'window');
  expect(await rule(encoder)).toBe('window:3');
  expect(await visible(encoder, 'encoder', 4, 6)).toBe(true);
  expect(await visible(encoder, 'encoder', 4, 7)).toBe(false);
  const far = await spot(encoder, 4, 7);
  await page.mouse.move(far.x, far.y);
  await expect(encoder.locator('.tooltip .words')).toHaveText('“is” may not see “.”: it is too far away');
  await press(causal, 'paint');
  await choose(page, causal, 'documents');
  expect(await rule(causal)).toBe('causal+documents:4');
  const other = await spot(causal, 6, 2);
  await page.mouse.move(other.x, other.y);
  await expect(causal.locator('.tooltip .words')).toHaveText('“tonight” may not see “old”: it is of the other text');
  const ahead = await spot(causal, 4, 6);
  await page.mouse.move(ahead.x, ahead.y);
  await expect(causal.locator('.tooltip .words')).toHaveText('“is” may not see “tonight”: it comes later');
  await page.locator('#sentence').fill('Thank you!');
  await expect.poll(() => rule(causal)).toBe('');
  expect(await rule(encoder)).toBe('window:3');
});

test('cells are painted on a rule, and another rule begins without them', async ({ page }) => {
  await open(page, address('on=causal&mask=causal.full'));
  await done(page);
  const element = machine(page, 'causal');
  await press(element, 'paint');
  await stroke(page, element, [[2, 4]]);
  await done(page);
  expect(await edits(element)).toBe('d2.4h');
  expect(await answer(element)).toEqual(await alone(page, 'en-fr-causal', { decoder: { rule: 'full', edits: [{ row: 2, key: 4, visible: false }] } }));
  await choose(page, element, 'window');
  expect(await edits(element)).toBe('');
  await press(element, 'undo');
  await done(page);
  expect([await rule(element), await edits(element)]).toEqual(['full', 'd2.4h']);
  // Another quartet begins with its own masks.
  await page.locator('[data-setting="family"]').selectOption('zh-en');
  await done(page);
  expect([await rule(element), await edits(element)]).toEqual(['', '']);
});

test('an encoder-decoder has no source to end at in its target; an address that asks for no rule is given none', async ({ page }) => {
  await open(page, address('on=encoder-decoder&mask=encoder-decoder.window_causal.prefix:0'));
  await done(page);
  const element = machine(page, 'encoder-decoder');
  expect(await rule(element)).toBe('');
  await press(element, 'paint');
  await expect(select(element).locator('option')).toHaveText(['Its own mask.', 'Everyone sees everyone.', 'Only near neighbours.']);
  await choose(page, element, 'window');
  expect(await answer(element)).toEqual(await alone(page, 'en-fr-encoder-decoder', { decoder: { rule: 'causal+window:3' } }));
  await expect(element.locator('.about dd').first()).toHaveText('Source open. Target: Only near neighbours.');
});

test('of a model from elsewhere the card and the machine name one rule', async ({ page }) => {
  await page.goto('/open.html#lang=en&device=cpu&on=none&text=w5+w7+w9');
  await page.locator('[data-choose="folder"]').setInputFiles(fileURLToPath(new URL('../../golden/families/gpt2', import.meta.url)));
  await expect(page.locator('#open .told')).toContainText('from the folder “gpt2”.');
  await done(page);
  const element = opened(page, 'causal');
  const card = page.locator('.card [data-choice="rule"]');
  await press(element, 'paint');
  await choose(page, element, 'window');
  await expect(card).toHaveValue('causal+window:3');
  await expect(page.locator('.card .notes')).toContainText('not trained under this mask');
  await card.selectOption('prefix');
  await done(page);
  expect(await rule(element)).toBe('prefix');
  await expect(select(element)).toHaveValue('prefix');
  await press(element, 'reset');
  await done(page);
  await expect(card).toHaveValue('');
});

test('a model from elsewhere keeps its silenced heads and its look for another sentence, and not a rule that names a place', async ({ page }) => {
  await page.goto('/open.html#lang=en&device=cpu&on=none&text=w5+w7+w9');
  await page.locator('[data-choose="folder"]').setInputFiles(fileURLToPath(new URL('../../golden/families/gpt2', import.meta.url)));
  await expect(page.locator('#open .told')).toContainText('from the folder “gpt2”.');
  await done(page);
  const element = opened(page, 'causal');
  await press(element, 'paint');
  await choose(page, element, 'documents');
  await element.locator('[data-action="silence"]').click();
  await done(page);
  await look(element, 'leak');
  const silenced = () => element.evaluate((demo) => demo.getAttribute('silenced'));
  expect(await silenced()).toMatch(/^d\d+\.1$/);
  const before = await silenced();
  await page.locator('#sentence').fill('w5 w7 w9 w4');
  await done(page);
  expect([await silenced(), await rule(element), await element.getAttribute('look')]).toEqual([before, '', 'leak']);
});

test('a dial at its end is the mask that the model was trained with, and a rule of an address is in the menu', async ({ page }) => {
  await open(page, address('on=causal,encoder-decoder&mask=causal.causal%2Bwindow:99_encoder-decoder.prefix:4'));
  await done(page);
  const causal = machine(page, 'causal');
  await press(causal, 'paint');
  await expect(dial(causal)).toBeVisible();
  await expect(words(causal)).not.toContainText('never trained');
  const wired = machine(page, 'encoder-decoder');
  await press(wired, 'paint');
  await expect(select(wired)).toHaveValue('prefix');
  await expect(dial(wired)).toHaveAttribute('aria-valuetext', 'open up to “#4”');
});

test('a target that may look at less of the source answers as the engine does under that mask, and the dial takes it back', async ({ page }) => {
  await open(page, address('on=causal,encoder-decoder&step=1'));
  await done(page);
  const element = machine(page, 'encoder-decoder');
  const sources = element.locator('[data-action="sources"]');
  const own = await answer(element);
  await press(machine(page, 'causal'), 'paint');
  await expect(machine(page, 'causal').locator('[data-action="sources"]')).toBeHidden();
  await press(element, 'paint');
  await expect(sources).toHaveAttribute('aria-valuetext', 'sees all of the source');
  await sources.focus();
  await page.keyboard.press('Home');
  await done(page);
  expect(await rule(element)).toBe('source:1');
  await expect(sources).toHaveAttribute('aria-valuetext', 'sees 1 of 9 of the source');
  const narrow = await alone(page, 'en-fr-encoder-decoder', { cross: { rule: 'padding:1' } });
  expect(await answer(element)).toEqual(narrow);
  expect(narrow).not.toEqual(own);
  expect([await visible(element, 'cross', 0, 0), await visible(element, 'cross', 0, 1), await visible(element, 'encoder', 0, 1)]).toEqual([true, false, true]);
  await expect(words(element)).toContainText('Of the source it sees 1 alone');
  await expect(words(element)).toContainText('It was never trained with this mask. Before: “');
  // Another rule of the target's own rows leaves the source as it is, and so does a link.
  await choose(page, element, 'window');
  expect(await rule(element)).toBe('causal+window:3+source:1');
  await expect.poll(() => hash(page)).toContain('mask=encoder-decoder.causal%2Bwindow%3A3%2Bsource%3A1');
  await page.reload();
  await done(page);
  expect(await answer(element)).toEqual(await alone(page, 'en-fr-encoder-decoder', { decoder: { rule: 'causal+window:3' }, cross: { rule: 'padding:1' } }));
  await press(element, 'paint');
  await choose(page, element, '');
  expect(await rule(element)).toBe('source:1');
  await sources.focus();
  await page.keyboard.press('End');
  await done(page);
  expect([await rule(element), await answer(element)]).toEqual(['', own]);
  await press(element, 'undo');
  await done(page);
  expect([await rule(element), await answer(element)]).toEqual(['source:1', narrow]);
});

test('a rule of a link says what it hides as it does, whichever model it is given to, and its dial keeps it', async ({ page }) => {
  await open(page, address('on=encoder,causal,encoder-decoder&step=4&mask=encoder.causal+window:3_causal.window:3_encoder-decoder.causal+documents:3+source:1'));
  await done(page);
  const [encoder, causal, wired] = ['encoder', 'causal', 'encoder-decoder'].map((name) => machine(page, name));
  const why = async (element, row, key) => {
    const { x, y } = await spot(element, row, key);
    await page.mouse.move(x, y);
    return element.locator('.tooltip .words');
  };
  await expect(await why(encoder, 4, 5)).toHaveText(/it comes later$/);
  await expect(await why(encoder, 6, 2)).toHaveText(/it is too far away$/);
  expect(await visible(causal, 'decoder', 4, 6)).toBe(true);
  await expect(await why(causal, 4, 7)).toHaveText(/it is too far away$/);
  for (const [element, words, after] of /** @type {const} */ ([[encoder, 'itself and 2 before it', 'causal+window:1'], [causal, 'itself and 2 on each side', 'window:1']])) {
    await press(element, 'paint');
    await expect(dial(element)).toHaveAttribute('aria-valuetext', words);
    await dial(element).focus();
    await page.keyboard.press('Home');
    await done(page);
    expect(await rule(element)).toBe(after);
  }
  // What names no place in the sentence stays for another.
  expect(await rule(wired)).toBe('causal+documents:3+source:1');
  await page.locator('#sentence').fill('Thank you!');
  await expect.poll(() => rule(wired)).toBe('source:1');
});

test('a prefix of one sentence hides nothing from an encoder, and is no mask that it was not trained with', async ({ page }) => {
  await open(page, address('on=encoder&mask=encoder.prefix'));
  await done(page);
  const element = machine(page, 'encoder');
  expect([await rule(element), await visible(element, 'encoder', 0, 8)]).toEqual(['prefix', true]);
  await expect(element.locator('.about dd').first()).toHaveText('Everyone sees everyone.');
  await expect(words(element)).not.toContainText('never trained');
});

test('what is told of before is the choice of the model, not what a person forced there', async ({ page }) => {
  await open(page, address('on=causal'));
  await done(page);
  const element = machine(page, 'causal');
  const own = await element.locator('.candidate .piece').first().textContent();
  await expect(element.locator('.candidate .piece').first(), 'a long one is cut').toHaveAttribute('title', String(own));
  await element.locator('.candidate').nth(2).click();
  await done(page);
  await page.keyboard.press('r');
  await press(element, 'paint');
  await choose(page, element, 'window');
  await expect(words(element)).toContainText(`Before: “${own}” `);
  await element.locator('.candidate').first().click();
  await done(page);
  await page.keyboard.press('r');
  await expect(words(element)).toContainText(`Before: “${own}” `);
});

test('a long answer under another rule leaves the matrix no smaller when the mask is put back', async ({ page }) => {
  await open(page, address('on=encoder,causal,prefix,encoder-decoder'));
  await done(page);
  const element = machine(page, 'prefix');
  const cell = () => element.locator('.cells .edge').evaluate((path) => Number(path.getAttribute('d').match(/h([\d.]+)v/)[1]));
  const rows = () => element.evaluate((demo) => demo.timeline.frame(demo.position).blocks[0].rows);
  const before = await cell() / await rows();
  await press(element, 'paint');
  await choose(page, element, 'window');
  await page.keyboard.press('Escape');
  await choose(page, element, '');
  expect(await rule(element)).toBe('');
  expect(await cell() / await rows()).toBe(before);
});

test('a rule that is the model’s own, a source that it has not and cells outside of the matrix change nothing: nothing is said, there is nothing to reset', async ({ page }) => {
  for (const [name, asked] of [['causal', 'mask=causal.causal'], ['prefix', 'mask=prefix.prefix'], ['encoder', 'mask=encoder.full'], ['encoder', 'mask=encoder.source%3A1'],
    ['encoder-decoder', 'mask=encoder-decoder.causal%2Bsource%3A99'], ['causal', 'edits=causal.d1.50s']]) {
    await open(page, address(`on=${name}&${asked}`));
    await page.reload();
    await done(page);
    const element = machine(page, name);
    await expect(element.locator('.candidate').first(), asked).toBeVisible();
    await expect(element.locator('.painting'), asked).toBeHidden();
    await expect(element.locator('.candidate s:not([hidden])'), asked).toHaveCount(0);
    await press(element, 'paint');
    await expect(element.locator('.painting-words'), asked).toHaveText(en['paint.hint']);
    await expect(element.locator('[data-action="reset"]'), asked).toHaveAttribute('aria-disabled', 'true');
    await expect(select(element), asked).toHaveValue('');
  }
});
