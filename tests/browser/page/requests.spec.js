/** Nothing leaves the machine: every request of a whole run, worker included. */
import { expect, test } from '@playwright/test';
import { done, machine, open } from '../machines.js';
import { foreign, watch } from '../watch.js';

test('a whole run asks nobody else for anything and breaks no rule', { tag: '@gpu' }, async ({ page, baseURL }) => {
  const seen = await watch(page);
  await open(page, 'lang=en');
  await done(page);
  await page.keyboard.press(' ');
  await page.waitForTimeout(1_500);
  await page.keyboard.press('g');
  await machine(page, 'causal').locator('.candidate').last().click();
  await done(page);
  for (const key of ['l', 'h', 'Escape', 'r', 'g']) await page.keyboard.press(key);
  await page.locator('#theme').click();
  await page.locator('#sentence').fill('My sister wants to learn English.');
  await page.waitForTimeout(500);
  await done(page);
  const origin = new URL(baseURL).origin;
  expect(seen.requests.filter((url) => url.endsWith('model.safetensors'))).toHaveLength(4);
  expect(foreign(seen.requests, origin)).toEqual([]);
  expect(seen.errors).toEqual([]);
});

test('a second visit downloads nothing twice', async ({ page }) => {
  let bodies = [];
  page.context().on('requestfinished', (request) => bodies.push(request.sizes().then((sizes) => sizes.responseBodySize)));
  const downloaded = async () => (await Promise.all(bodies)).reduce((sum, size) => sum + size, 0);
  await open(page, 'lang=en&on=causal&device=cpu');
  await done(page);
  expect(await downloaded()).toBeGreaterThan(5e6);
  bodies = [];
  await page.reload();
  await done(page);
  expect(bodies.length).toBeGreaterThan(10);
  expect(await downloaded()).toBeLessThan(5e4);
});
