/** Widgets in pages of others: three in running text, one in a frame. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { startHost } from '../host.js';
import { answer, done } from '../machines.js';
import { foreign, watch } from '../watch.js';

const device = () => (test.info().project.name === 'webgpu' ? 'webgpu' : 'cpu');

/** Counts what the worker asks the browser's graphics for; it says so on the console. */
const COUNTED = `
  const own = globalThis.GPUAdapter?.prototype.requestDevice;
  if (own) GPUAdapter.prototype.requestDevice = function (...wanted) { console.debug('a device is asked for'); return own.apply(this, wanted); };
`;

test('three widgets in running text share one download, one worker and one device', { tag: '@gpu' }, async ({ page, baseURL }) => {
  const seen = await watch(page);
  const devices = [];
  page.context().on('console', (message) => { if (message.text() === 'a device is asked for') devices.push(message.text()); });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${await response.text()}\n${COUNTED}` });
  });
  await page.route('**/examples/lesson.html', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replaceAll('<unmasked-demo ', `<unmasked-demo device="${device()}" `) });
  });
  await page.goto('/examples/lesson.html');
  const demos = page.locator('unmasked-demo');
  await expect(demos).toHaveCount(3);
  for (const demo of await demos.all()) await demo.scrollIntoViewIfNeeded();
  await done(page);

  expect(seen.requests.filter((url) => url.endsWith('model.safetensors'))).toHaveLength(1);
  expect(page.workers()).toHaveLength(1);
  expect(devices).toHaveLength(device() === 'webgpu' ? 1 : 0);
  const [mask, choice, whole] = await demos.all();
  await expect(mask.locator('figure')).not.toHaveCount(1);
  await expect(mask.locator('.candidates')).toBeHidden();
  await expect(choice.locator('.mask')).toBeHidden();
  await expect(whole.getByRole('heading')).toBeVisible();
  expect(await answer(choice), 'drawn and greedy').not.toEqual(await answer(whole));
  const before = await answer(mask);
  await choice.locator('.action-step').click();
  await choice.locator('.candidate:not([data-chosen])').first().click();
  await done(page);
  expect(await answer(mask), 'one widget leaves the others alone').toEqual(before);
  expect(foreign(seen.requests, new URL(baseURL).origin)).toEqual([]);
  expect(seen.errors).toEqual([]);
});

test('embed.html stands in a frame of another origin, with its settings from the address', async ({ page, baseURL }) => {
  const seen = await watch(page);
  const query = new URLSearchParams({
    architecture: 'prefix', text: 'Where is the cat?', view: 'tokens candidates', controls: 'step play', lang: 'zh', theme: 'dark', step: '2', device: 'cpu',
  });
  const course = await startHost(new Map([['index.html', Buffer.from(`<!doctype html><html lang="en"><title>A course</title>
    <link rel="icon" href="data:,"><iframe title="A machine" src="${baseURL}/embed.html?${query}" width="720" height="600"></iframe>`)]]));
  await page.goto(course.url);
  const frame = page.frameLocator('iframe');
  const demo = frame.locator('unmasked-demo');
  await expect.poll(() => demo.evaluate((element) => element.phase), { timeout: 60_000 }).toBe('done');
  expect(await demo.evaluate((element) => [element.architecture, element.text, element.position, element.lang])).toEqual(['prefix', 'Where is the cat?', 2, 'zh']);
  await expect(frame.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(frame.locator('html')).toHaveAttribute('lang', 'zh-Hans');
  await expect(demo.locator('.mask')).toBeHidden();
  await expect(demo.locator('.action-step')).toBeVisible();
  await demo.locator('.candidate').first().focus();
  await page.keyboard.press('n');
  expect(await demo.evaluate((element) => element.position)).toBe(3);
  expect(foreign(seen.requests, new URL(baseURL).origin)).toEqual([course.url]);
  expect(seen.errors).toEqual([]);
  await course.close();
});

/** www/ and examples/ as a host has them, each file read when it is asked for. */
const files = { get(path) {
  const file = new URL(`../../../${path.startsWith('examples/') ? '' : 'www/'}${path}`, import.meta.url);
  return existsSync(file) ? readFileSync(file) : undefined;
} };

for (const [place, start] of [['this server', null], ['a plain host, deep in its paths', () => startHost(files)]]) {
  test(`the example with a frame works on ${place}`, async ({ page, baseURL }) => {
    const seen = await watch(page);
    const host = await start?.();
    const root = host?.url ?? `${baseURL}/`;
    await page.goto(`${root}examples/frame.html`);
    await page.locator('iframe').scrollIntoViewIfNeeded();
    const frame = page.frameLocator('iframe');
    const demo = frame.locator('unmasked-demo');
    await expect.poll(() => demo.evaluate((element) => element.phase), { timeout: 60_000 }).toBe('done');
    expect(await demo.evaluate((element) => [element.architecture, element.text, element.position])).toEqual(['causal', 'Where is the cat?', 0]);
    for (const shown of ['.mask', '.candidates', '.action-step']) await expect(demo.locator(shown)).toBeVisible();
    await expect(demo.locator('.action-end')).toBeHidden();
    await demo.locator('.action-step').click();
    expect(await demo.evaluate((element) => element.position)).toBe(1);
    // Nothing of it is cut off, nothing scrolls within.
    expect(await frame.locator('html').evaluate((html) => [html.scrollWidth <= html.clientWidth, html.scrollHeight <= html.clientHeight])).toEqual([true, true]);
    expect(await page.locator('script, [style], style').count(), 'it needs no policy of its own').toBe(0);
    expect(seen.requests.filter((url) => !url.startsWith(root) && !/^(blob|data):/.test(url))).toEqual([]);
    expect(seen.errors).toEqual([]);
    await host?.close();
  });
}

for (const [path, script] of [['embed.html?device=cpu&text=Thank+you!', 'element.js'], ['#device=cpu&on=causal', 'app.js'], ['open.html#device=cpu&on=causal', 'app.js']]) {
  test(`an element's style is asked for with the scripts, once: /${path.split(/[?#]/)[0]}`, async ({ page }) => {
    // Of what a link of the page's own style asks for, nothing is given to who fetches: it would have to be asked for anew.
    const sheets = [];
    page.on('request', (request) => { if (/\/(tokens|element)\.css$/.test(request.url()) && request.resourceType() !== 'stylesheet') sheets.push(new URL(request.url()).pathname); });
    let give = () => {};
    const held = new Promise((resolve) => { give = () => resolve(undefined); });
    await page.route(`**/${script}`, async (route) => { await held; await route.continue(); });
    await page.goto(`/${path}`, { waitUntil: 'commit' });
    await expect.poll(() => sheets.sort(), 'before the element is there').toEqual(['/element.css', '/tokens.css']);
    give();
    await done(page);
    expect(sheets).toHaveLength(2);
  });
}

test('no address makes embed.html load from elsewhere', async ({ page, baseURL }) => {
  const seen = await watch(page);
  await page.goto('/embed.html?model=https://elsewhere.example/m/&trace=https://elsewhere.example/t.json&scene=//elsewhere.example/s.json&architecture=encoder&device=cpu&text=%3Cimg%20src%3Dx%3E');
  await done(page);
  expect(foreign(seen.requests, new URL(baseURL).origin)).toEqual([]);
  expect(seen.errors).toEqual([]);
});

test('every page of the site carries the policy that the server sends', async ({ page }) => {
  for (const path of ['/', '/open.html', '/embed.html']) {
    const response = await page.goto(path);
    expect(await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content'), path)
      .toBe(response.headers()['content-security-policy']);
  }
});
