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
  expect(await downloaded()).toBeGreaterThan(3e6);
  bodies = [];
  await page.reload();
  await done(page);
  expect(bodies.length).toBeGreaterThan(10);
  expect(await downloaded()).toBeLessThan(5e4);
});

for (const [path, script] of [['index.html', 'app.js'], ['open.html', 'open.js']]) {
  test(`${path} asks for all its modules at once`, async ({ page }) => {
    await page.goto(`/${path}`);
    await done(page);
    const { used, named } = await page.evaluate(() => {
      const own = (url) => new URL(url).pathname.slice(1);
      const scripts = performance.getEntriesByType('resource').map(({ name }) => own(name)).filter((name) => name.endsWith('.js'));
      const links = /** @type {HTMLLinkElement[]} */ ([...document.querySelectorAll('link[rel=modulepreload]')]);
      return { used: [...new Set(scripts)].sort(), named: links.map(({ href }) => own(href)).sort() };
    });
    const workers = ['worker.js', 'program.js'];
    expect([...named, script, 'warm.js', ...workers].sort()).toEqual(used);
  });
}
