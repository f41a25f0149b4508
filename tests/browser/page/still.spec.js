/** The page stands still while it comes: nothing unstyled, nothing that jumps. */
import { expect, test } from '@playwright/test';
import { done, drawn, host, machine, open, phase } from '../machines.js';
import { address } from '../masks.js';
import { watch } from '../watch.js';

/** What the Web Vitals call good is below 0.1. */
const MOST_SHIFT = 0.1;
const SIZES = [[1920, 1080], [1280, 720], [1024, 768], [390, 844]];

for (const [width, height] of SIZES) {
  for (const lang of ['en', 'zh']) {
    test(`nothing jumps while the page loads: ${width}x${height}, ${lang}`, async ({ page }) => {
      await page.setViewportSize({ width, height });
      await page.addInitScript(() => {
        const told = (entries) => { for (const { value } of entries) shifts.push(value); };
        const observer = new PerformanceObserver((list) => told(list.getEntries()));
        const { shifts } = Object.assign(window, { shifts: [], lastShifts: () => { told(observer.takeRecords()); return shifts; } });
        // Where a browser does not know it, nothing would be told.
        if (!PerformanceObserver.supportedEntryTypes.includes('layout-shift')) throw new Error('this browser tells of no shifts');
        observer.observe({ type: 'layout-shift', buffered: true });
      });
      await page.goto(`/#lang=${lang}&device=cpu`);
      await done(page);
      const shift = await page.evaluate(() => /** @type {any} */ (window).lastShifts().reduce((sum, value) => sum + value, 0));
      expect(shift).toBeLessThan(MOST_SHIFT);
    });
  }
}

test('nothing jumps while a run is made anew and one stands further on', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await open(page, address('step=99'));
  await done(page);
  const demos = page.locator('unmasked-demo');
  /** Of each machine: how many tokens, its height, and where its candidates begin. */
  const told = () => demos.evaluateAll((all) => all.map((demo) => {
    const root = /** @type {ShadowRoot} */ (demo.shadowRoot);
    const top = (part) => /** @type {Element} */ (root.querySelector(part)).getBoundingClientRect().top;
    return { tokens: root.querySelectorAll('.chip').length, height: demo.getBoundingClientRect().height, candidates: top('.candidates') - top('.machine') };
  }));
  /** While nobody looks a run waits at its first step. */
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  const before = await told();
  await hide(true);
  await page.locator('[data-setting="temperature"]').first().evaluate((/** @type {HTMLInputElement} */ dial) => {
    dial.value = '0.5';
    for (const name of ['input', 'change']) dial.dispatchEvent(new Event(name, { bubbles: true }));
  });
  const writing = ['causal', 'prefix', 'encoder-decoder'].map((name) => machine(page, name));
  for (const one of writing) await expect.poll(() => one.evaluate((demo) => !demo.renewed && demo.timeline.length)).toBe(1);
  await drawn(page);
  const begun = await told();
  expect(begun.slice(1).every(({ tokens }, at) => tokens < before[at + 1].tokens)).toBe(true);
  begun.forEach(({ height, candidates }, at) => {
    expect(height).toBeCloseTo(before[at].height, 0);
    expect(candidates).toBeCloseTo(before[at].candidates, 0);
  });
  await hide(false);
  await done(page);
  // It has the height that it needs by now.
  for (const one of writing) await expect(one.locator('.read')).toHaveCSS('min-height', 'auto');
});

test('a machine is not seen before it has its style; without one it works all the same', async ({ page }) => {
  const seen = await watch(page);
  let give = () => {};
  const held = new Promise((resolve) => { give = () => resolve(undefined); });
  await page.route('**/element.css', async (route) => { await held; await route.continue(); });
  await page.goto('/#lang=en&device=cpu&on=causal');
  await done(page);
  const card = page.locator('unmasked-demo .machine');
  await expect(card).toBeHidden();
  give();
  await expect(card).toBeVisible();
  await expect(card).toHaveCSS('display', 'grid');
  expect(seen.errors).toEqual([]);

  await page.unroute('**/element.css');
  await page.route('**/element.css', (route) => route.abort());
  await page.goto('/?again#lang=en&device=cpu&on=causal');
  await done(page);
  await expect(card).toBeVisible();
  await expect(card).not.toHaveCSS('display', 'grid');
});

test('a machine whose style never comes is seen all the same; what comes later dresses it', async ({ page }) => {
  let give = () => {};
  const held = new Promise((resolve) => { give = () => resolve(undefined); });
  await page.route('**/element.css', async (route) => { await held; await route.continue(); });
  await page.goto('/#lang=en&device=cpu&on=causal');
  const card = page.locator('unmasked-demo .machine');
  await expect(card).toBeVisible({ timeout: 15_000 });
  await expect(card).not.toHaveCSS('display', 'grid');
  // Only what has a place on the page is seen, and loads.
  await done(page);
  give();
  await expect(card).toHaveCSS('display', 'grid');
});

test('what is not in sight is not downloaded, however late the style is', async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 400 });
  const models = [];
  page.on('request', (request) => { if (request.url().endsWith('model.safetensors')) models.push(request.url()); });
  await page.route('**/element.css', async (route) => { await new Promise((later) => { setTimeout(later, 700); }); await route.continue(); });
  await host(page, ['causal', 'prefix', 'encoder', 'encoder-decoder'].map((name) => `<unmasked-demo architecture="${name}" device="cpu" text="Thank you."></unmasked-demo>`).join(''));
  await expect.poll(() => phase(page.locator('unmasked-demo').first())).toBe('done');
  await page.waitForTimeout(500);
  expect(models.filter((url) => url.includes('encoder-decoder'))).toEqual([]);
  await page.locator('unmasked-demo').last().scrollIntoViewIfNeeded();
  await done(page);
});
