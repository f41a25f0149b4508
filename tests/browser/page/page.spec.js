/** The page as a person finds it. */
import { expect, test } from '@playwright/test';
import { foreign, watch } from '../watch.js';

const ready = (page) => expect(page.locator('html')).toHaveAttribute('data-ready', /.*/, { timeout: 60_000 });

test('opens without an error', async ({ page }) => {
  const seen = await watch(page);
  await page.goto('/');
  await ready(page);
  await expect(page).toHaveTitle(/Unmasked/);
  await expect(page.locator('h1')).toHaveCount(1);
  expect(seen.errors).toEqual([]);
});

test('a whole run asks nobody else for anything', async ({ page, baseURL }) => {
  const seen = await watch(page);
  await page.goto('/');
  await ready(page);
  await page.locator('body').press('g');
  await expect.poll(() => seen.requests.filter((url) => url.endsWith('model.safetensors')).length).toBeGreaterThan(0);
  await page.waitForTimeout(5_000);
  expect(foreign(seen.requests, new URL(baseURL).origin)).toEqual([]);
  expect(seen.errors).toEqual([]);
});
