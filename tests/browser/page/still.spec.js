/** The page stands still while it comes: nothing unstyled, nothing that jumps, however late a file is. */
import { expect, test } from '@playwright/test';
import { done, drawn } from '../machines.js';
import { watch } from '../watch.js';

/** What the Web Vitals call good is below 0.1. */
const MOST_SHIFT = 0.1;
const SIZES = [[1920, 1080], [1280, 720], [1024, 768], [390, 844]];

for (const [width, height] of SIZES) {
  for (const lang of ['en', 'zh']) {
    test(`nothing jumps while the page loads: ${width}x${height}, ${lang}`, async ({ page }) => {
      await page.setViewportSize({ width, height });
      await page.addInitScript(() => {
        const shifts = Object.assign(window, { shifts: [] }).shifts;
        new PerformanceObserver((list) => { for (const { value } of /** @type {any} */ (list.getEntries())) shifts.push(value); })
          .observe({ type: 'layout-shift', buffered: true });
      });
      await page.goto(`/#lang=${lang}&device=cpu`);
      await done(page);
      await drawn(page);
      const shift = await page.evaluate(() => /** @type {any} */ (window).shifts.reduce((sum, value) => sum + value, 0));
      expect(shift).toBeLessThan(MOST_SHIFT);
    });
  }
}

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
});
