/** The page that holds the engine alone, for every test of a file: opened before each, and no rule broken after it. */
import { expect, test } from '@playwright/test';
import { watch } from '../watch.js';

/** Call once at the top of a file. @returns {() => { requests: string[], errors: string[] }} what the running test's page did */
export function onEnginePage() {
  /** @type {{ requests: string[], errors: string[] }|undefined} */
  let seen;
  test.beforeEach(async ({ page }) => {
    seen = await watch(page);
    await page.goto('/__test__/engine.html');
    await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  });
  test.afterEach(() => {
    expect(seen?.errors ?? []).toEqual([]);
    seen = undefined;
  });
  return () => /** @type {{ requests: string[], errors: string[] }} */ (seen);
}
