/** The page that holds the engine alone, for every test of a file: opened before each, and no rule broken after it. */
import { readdirSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { watch } from '../watch.js';

/** A model folder's files in the page as a person chooses them, on disk until they are read: `#files`. */
export async function chooseFiles(page, folder) {
  await page.evaluate(() => {
    document.querySelector('#files')?.remove();
    const input = document.createElement('input');
    Object.assign(input, { type: 'file', multiple: true, id: 'files' });
    document.body.append(input);
  });
  await page.locator('#files').setInputFiles(readdirSync(folder).filter((name) => name !== 'golden.json').map((name) => `${folder}/${name}`));
}

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
