/** For a class: the presenter's view and covered candidates, by key, by remote, by menu and by link. */
import { expect, test } from '@playwright/test';
import { chips, done, drawn, host, machine, open } from '../machines.js';
import { TEXT, address } from '../masks.js';

const hash = (page) => page.evaluate(() => location.hash);
const position = (page) => page.evaluate(() => /** @type {any} */ (document.querySelector('unmasked-demo')).position);
const candidates = (element) => element.locator('.candidate .piece').allTextContents();

test('nothing but the stage is there, larger, and a remote steps through it', async ({ page }) => {
  await open(page, address('step=1'));
  await done(page);
  const size = () => page.evaluate(() => parseFloat(getComputedStyle(document.documentElement).fontSize));
  const before = await size();
  await page.keyboard.press('PageDown');
  expect(await position(page), 'it scrolls').toBe(1);
  await page.keyboard.press('p');
  await expect(page.locator('#sentence')).toBeHidden();
  await expect(page.locator('#bar')).toBeHidden();
  await expect(machine(page, 'causal').locator('.about')).toBeHidden();
  await expect(machine(page, 'causal').locator('.mask')).toBeVisible();
  expect(await size()).toBeGreaterThan(before * 1.1);
  for (const key of ['PageDown', 'PageDown', 'PageUp', 'PageDown']) await page.keyboard.press(key);
  expect(await position(page)).toBe(3);
  await expect.poll(() => hash(page)).toContain('present=1');
  await page.reload();
  await done(page);
  await expect(page.locator('#bar')).toBeHidden();
  // What is large goes first, then the view.
  await machine(page, 'prefix').locator('[data-action="enlarge"]').click();
  await expect(machine(page, 'causal')).toBeHidden();
  await page.keyboard.press('Escape');
  await expect(machine(page, 'causal')).toBeVisible();
  await expect(page.locator('#bar')).toBeHidden();
  await page.keyboard.press('Escape');
  await expect(page.locator('#bar')).toBeVisible();
  await expect.poll(() => hash(page)).not.toContain('present');
});

test('the menu turns it on with the whole screen, and leaving that leaves it', async ({ page }) => {
  await open(page, address('on=causal,prefix'));
  await done(page);
  await page.locator('#present summary').click();
  await page.getByRole('button', { name: 'Presenter’s view' }).click();
  await expect(page.locator('#bar')).toBeHidden();
  await expect(page.locator('#machines')).toBeFocused();
  await expect.poll(() => page.evaluate(() => document.fullscreenElement !== null)).toBe(true);
  await page.evaluate(() => document.exitFullscreen());
  await expect(page.locator('#bar')).toBeVisible();
  await page.keyboard.press('p');
  await expect(page.locator('#bar')).toBeHidden();
  await page.locator('#dock .leave').click();
  await expect(page.locator('#bar')).toBeVisible();
  await expect.poll(() => page.evaluate(() => document.fullscreenElement)).toBe(null);
});

test('covered candidates are nowhere in the page until they are asked for, step by step', async ({ page }) => {
  await open(page, address('on=causal,prefix&step=1&cover=1'));
  await done(page);
  const [causal, prefix] = ['causal', 'prefix'].map((name) => machine(page, name));
  for (const element of [causal, prefix]) {
    await expect(element.locator('.cover')).toHaveText('What comes next? Guess first, then press.');
    expect(await candidates(element)).toEqual([]);
    await expect(element.locator('.rest')).toBeHidden();
  }
  // One by a press, with the focus among what was under it; the others stay.
  await causal.locator('.cover').focus();
  await page.keyboard.press('Enter');
  await expect(causal.locator('.cover')).toBeHidden();
  await expect(causal.locator('.candidate').first()).toBeFocused();
  expect((await candidates(causal)).length).toBe(5);
  expect(await candidates(prefix)).toEqual([]);
  // All by a key; the next step is covered again, and the one before is known by now.
  await page.keyboard.press('a');
  await expect(prefix.locator('.cover')).toBeHidden();
  await page.keyboard.press('n');
  for (const element of [causal, prefix]) await expect(element.locator('.cover')).toBeVisible();
  await page.keyboard.press('ArrowLeft');
  await expect(causal.locator('.cover')).toBeHidden();
  await page.keyboard.press('ArrowLeft');
  await expect(causal.locator('.cover')).toBeVisible();
  // At the end of a run nothing is left to be guessed.
  await page.keyboard.press('g');
  await expect(causal.locator('.cover')).toBeHidden();
  await page.keyboard.press('c');
  await page.keyboard.press('ArrowLeft');
  await expect(causal.locator('.candidate').first()).toBeVisible();
  await expect.poll(() => hash(page)).not.toContain('cover');
});

/** All that anybody could read or hear of a page. */
const everything = (page) => page.evaluate(() => {
  const textOf = (root) => [...root.querySelectorAll('*')].filter(({ tagName }) => !['STYLE', 'SCRIPT', 'OPTION'].includes(tagName))
    .flatMap((node) => [...node.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ textContent }) => textContent)
      .concat(['title', 'aria-label'].map((name) => node.getAttribute(name) ?? ''), node.shadowRoot ? [textOf(node.shadowRoot)] : [])).join('\n');
  return textOf(document);
});

test('nothing tells what is covered: no voice, no mark of before, no other place', async ({ page }) => {
  // Under a rule that changes nothing here what it was before is what comes.
  await open(page, address(`on=causal,encoder&cover=1&mask=causal.${encodeURIComponent('causal+window:20')}&look=encoder.blanks&blanks=1.2`));
  await done(page);
  await page.keyboard.press('n');
  await page.keyboard.press('r');
  // Politely, a while later.
  await expect(page.locator('#say')).toContainText('Step 0', { timeout: 5_000 });
  await expect(machine(page, 'causal').locator('.cover')).toBeVisible();
  await expect(machine(page, 'encoder').locator('.cover')).toBeVisible();
  const answers = await machine(page, 'causal').evaluate((demo) => demo.timeline.steps[0].chosen && demo.timeline.steps[0].piece);
  expect(answers).toBe('Le');
  const text = await everything(page);
  expect(text).not.toMatch(/\bLe\b|Before:/);
  expect(text).toContain('What comes next?');
  await expect(machine(page, 'encoder').locator('.blanks')).toBeHidden();
  // That it is covered is said, and nothing else, also where it is chosen by a script: by hand it cannot be.
  const encoder = machine(page, 'encoder');
  const veiled = '“two blanks” tells the answers: uncover them first.';
  await expect(encoder.locator('.hint')).toHaveText(veiled);
  await expect(encoder.locator('.unseen[role="status"]')).toHaveText(veiled);
  const off = (element) => element.locator('[data-action="look"] option:disabled');
  await expect(off(encoder)).toHaveText(['two blanks (covered)', 'training (covered)']);
  await expect(off(machine(page, 'causal'))).toHaveText(['training (covered)']);
  await expect(machine(page, 'causal').locator('.hint')).toHaveText('');
  const choose = (name) => encoder.evaluate((demo, look) => {
    const select = demo.shadowRoot.querySelector('[data-action="look"]');
    select.value = look;
    select.dispatchEvent(new Event('change', { bubbles: true }));
  }, name);
  for (const name of ['', 'blanks']) await choose(name);
  await page.waitForTimeout(2_500);
  await expect(encoder.locator('.unseen[role="status"]')).toHaveText(veiled);
  await page.keyboard.press('a');
  await expect(encoder.locator('.hint')).not.toContainText('uncover');
  await expect(off(encoder)).toHaveCount(0);
  await expect(machine(page, 'encoder').locator('.blanks table')).toBeVisible();
  expect(await everything(page)).toMatch(/\bLe\b/);
  // Covered again, it is to be guessed again.
  for (const key of ['c', 'c']) await page.keyboard.press(key);
  await expect(machine(page, 'causal').locator('.cover')).toBeVisible();
});

test('who uncovers by key and steps on stays at the cover', async ({ page }) => {
  await open(page, address('on=causal&cover=1'));
  await done(page);
  const element = machine(page, 'causal');
  await element.locator('.cover').focus();
  await page.keyboard.press('Enter');
  await expect(element.locator('.candidate').first()).toBeFocused();
  await page.keyboard.press('n');
  await expect(element.locator('.cover')).toBeFocused();
});

test('an encoder’s blank is covered before it is filled; the element and a frame can cover, too', async ({ page }) => {
  await open(page, address('on=encoder&cover=1'));
  await done(page);
  const encoder = machine(page, 'encoder');
  await expect(encoder.locator('.cover')).toBeVisible();
  const before = await chips(encoder);
  await page.keyboard.press('n');
  await expect.poll(() => chips(encoder)).not.toEqual(before);
  await host(page, `<unmasked-demo architecture="causal" device="cpu" lang="en" covered text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  await expect(demo.locator('.cover')).toBeVisible();
  await demo.evaluate((element) => /** @type {any} */ (element).reveal());
  await expect(demo.locator('.candidate')).toHaveCount(5);
  await page.goto(`/embed.html?architecture=prefix&device=cpu&lang=en&cover=1&text=${encodeURIComponent(TEXT)}`);
  await done(page);
  await expect(page.locator('unmasked-demo .cover')).toBeVisible();
  await page.keyboard.press('a');
  await expect(page.locator('unmasked-demo .cover')).toBeHidden();
});

test('its letters are never smaller than the page’s own, and the matrix’s grow with them', async ({ page }) => {
  const size = () => page.evaluate(() => parseFloat(getComputedStyle(document.documentElement).fontSize));
  const label = () => machine(page, 'causal').locator('.row-labels text').first().evaluate((node) => parseFloat(node.getAttribute('font-size')));
  await open(page, address('on=causal,prefix&step=1'));
  await done(page);
  for (const width of [390, 960, 1024, 1920]) {
    await page.setViewportSize({ width, height: 1080 });
    await drawn(page);
    const [own, ownLabel] = [await size(), await label()];
    expect(ownLabel).toBeLessThanOrEqual(13.5);
    await page.keyboard.press('p');
    await expect(page.locator('#bar')).toBeHidden();
    await drawn(page);
    expect(await size(), `at ${width}`).toBeGreaterThan(own);
    if (width >= 960) expect(await label(), `at ${width}`).toBeGreaterThan(ownLabel);
    await page.keyboard.press('p');
    await expect(page.locator('#bar')).toBeVisible();
  }
});

test('the focus is never lost, and a menu that was used keeps neither the remote nor the way out', async ({ page }) => {
  await open(page, address('on=causal,prefix&step=1'));
  await done(page);
  const summary = page.locator('#present summary');
  await summary.press('Enter');
  await page.getByRole('button', { name: 'Cover the candidates' }).press('Enter');
  await expect(summary).toBeFocused();
  await page.keyboard.press('p');
  await expect(page.locator('#machines')).toBeFocused();
  const chip = machine(page, 'causal').locator('.chip').first();
  await chip.focus();
  await page.keyboard.press('c');
  await expect(chip).toBeFocused();
  const speed = page.locator('#dock [data-action="speed"]');
  await speed.selectOption('2');
  await speed.focus();
  for (const key of ['PageDown', 'PageDown', 'PageUp']) await page.keyboard.press(key);
  await expect(speed).toHaveValue('2');
  expect(await position(page)).toBe(2);
  await page.keyboard.press('Escape');
  await expect(page.locator('#bar')).toBeVisible();
  await page.keyboard.press('p');
  await expect(page.locator('#bar'), 'outside the view a menu keeps its keys').toBeVisible();
  await page.locator('#machines').focus();
  await page.keyboard.press('p');
  await expect(page.locator('#bar')).toBeHidden();
  await page.locator('#dock .leave').press('Enter');
  await expect(page.locator('#bar')).toBeVisible();
  await expect(summary).toBeFocused();
});

test('the view and the whole screen stay together', async ({ page }) => {
  const isFull = () => page.evaluate(() => document.fullscreenElement !== null);
  await open(page, address('on=causal&step=1'));
  await done(page);
  const bar = page.locator('#bar');
  // Held down it is one press.
  for (let at = 0; at < 4; at += 1) await page.keyboard.down('p');
  await page.keyboard.up('p');
  await expect(bar).toBeHidden();
  await expect.poll(isFull).toBe(true);
  await page.evaluate(() => document.exitFullscreen());
  await expect(bar).toBeVisible();
  await expect(page.locator('#say')).toHaveText('The whole page again.');
  // Left before the browser has given the screen.
  await page.evaluate(() => { for (let at = 0; at < 2; at += 1) document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'p', bubbles: true, composed: true })); });
  await drawn(page);
  await page.waitForTimeout(500);
  await expect(bar).toBeVisible();
  expect(await isFull()).toBe(false);
  await page.keyboard.press('p');
  await expect.poll(isFull).toBe(true);
  // A link that knows of no view; and what plays stops there.
  await page.keyboard.press(' ');
  await page.evaluate(() => { location.hash = '#lang=en&device=cpu&on=causal&step=0'; });
  await expect(bar).toBeVisible();
  await expect.poll(isFull).toBe(false);
  await page.waitForTimeout(1300);
  expect(await position(page)).toBe(0);
  await page.goto('/open.html#lang=en&device=cpu&on=causal&present=1');
  await expect(page.locator('html')).toHaveAttribute('data-present', '');
  await expect(page.locator('#open')).toBeHidden();
});

test('a lesson keeps what it may ask for, below the edge of the screen, and no more', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await open(page, 'lang=en&device=cpu&lesson=window');
  await done(page);
  await page.keyboard.press('p');
  for (const name of ['layer', 'head']) await expect(page.locator(`[data-setting="${name}"]`)).toBeVisible();
  await expect(page.locator('.sampling > summary')).toBeVisible();
  for (const name of ['#toggles', '.badge', '[data-setting="family"]']) await expect(page.locator(name)).toBeHidden();
  const [top, bottom, lesson] = await page.evaluate(() => [document.querySelector('[data-setting="layer"]').getBoundingClientRect().top, document.querySelector('#bar').getBoundingClientRect().bottom, document.querySelector('#lesson').getBoundingClientRect().top]);
  expect(top).toBeGreaterThan(8);
  expect(lesson - bottom, 'no empty line').toBeLessThan(24);
});

test('four machines in a row have whole names, whole words and all candidates, on a small projector too', async ({ page }) => {
  for (const [width, height, lang] of [[1280, 720, 'en'], [1280, 720, 'zh'], [1366, 768, 'en'], [1440, 900, 'en'], [1920, 1080, 'zh']]) {
    await page.setViewportSize({ width, height });
    await open(page, address('on=encoder,causal,prefix,encoder-decoder&present=1').replace('lang=en', `lang=${lang}`));
    await done(page);
    for (const demo of await page.locator('unmasked-demo').all()) {
      const { cut, past, last } = await demo.evaluate(({ shadowRoot }) => {
        const all = (/** @type {string} */ selector) => /** @type {HTMLElement[]} */ ([.../** @type {ShadowRoot} */ (shadowRoot).querySelectorAll(selector)]);
        const [card] = all('.machine');
        const inner = card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingInlineEnd);
        return {
          cut: all('.name, .candidate .piece').filter((word) => word.scrollWidth > word.clientWidth + 1).map(({ textContent }) => textContent),
          past: all('.under > *').filter((one) => one.getBoundingClientRect().right > inner + 1).map(({ textContent }) => textContent),
          last: all('.candidate')[4].getBoundingClientRect().bottom,
        };
      });
      expect([cut, past], `at ${width}, ${lang}`).toEqual([[], []]);
      expect(last, `at ${width}, ${lang}`).toBeLessThan(await page.locator('#dock').evaluate((dock) => dock.getBoundingClientRect().top));
    }
  }
});
