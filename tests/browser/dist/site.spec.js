/** The static site: from a sub-path, with no help of its host, and without any network after one visit. */
import { expect, test } from '@playwright/test';
import { answer, done, machine } from '../machines.js';
import { foreign, watch } from '../watch.js';
import { changed, siteFiles, startHost } from '../host.js';

const TEXT = 'The old doctor is tired tonight.';
const device = () => (test.info().project.name === 'webgpu' ? 'webgpu' : 'cpu');
const address = (host, state) => `${host.url}#lang=en&device=${device()}&text=${encodeURIComponent(TEXT)}&${state}`;
const kept = (page) => page.evaluate(async () => {
  await navigator.serviceWorker.ready;
  return navigator.serviceWorker.controller !== null;
});
const tagline = (page) => page.locator('.brand small');

let host;
test.beforeEach(async () => { host = await startHost(siteFiles()); });
test.afterEach(() => host.close());

test('after one visit everything works with the network cut', { tag: '@gpu' }, async ({ page, context }) => {
  const seen = await watch(page);
  await page.goto(address(host, 'on=causal'));
  await done(page);
  const first = await answer(machine(page, 'causal'));
  await expect.poll(() => kept(page), { timeout: 60_000 }).toBe(true);
  expect(host.asked.filter((path) => !path.startsWith(new URL(host.url).pathname)), 'asked outside its own path').toEqual([]);
  const { origin } = new URL(host.url);

  await host.close();
  await context.setOffline(true);
  const asked = host.asked.length;
  await page.goto(address(host, 'on=encoder,causal,prefix,encoder-decoder').replace('#', '?again#'));
  await done(page);
  await expect(page.locator('unmasked-demo')).toHaveCount(4);
  expect(await answer(machine(page, 'causal'))).toEqual(first);
  const backends = await page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.deviceInfo.backend));
  expect(new Set(backends)).toEqual(new Set([device() === 'webgpu' ? 'gpu' : 'cpu']));

  // Lessons are a script of their own, which nobody asked for until now.
  await page.locator('#lessons summary').click();
  await page.locator('#lessons li button').nth(2).click();
  await expect(page.locator('#lesson h2')).toBeVisible();
  await done(page);
  await expect(machine(page, 'causal').locator('.reach-words')).toHaveText(/./);

  await page.goto(`${host.url}embed.html?architecture=prefix&lang=en&device=${device()}`);
  await done(page);
  await page.goto(`${host.url}examples/lesson.html`);
  await page.locator('unmasked-demo').first().scrollIntoViewIfNeeded();
  await expect.poll(() => page.locator('unmasked-demo').first().evaluate((demo) => demo.phase)).toBe('done');
  expect(host.asked.length).toBe(asked);
  expect(foreign(seen.requests, origin)).toEqual([]);
  expect(seen.errors).toEqual([]);
});

// A lesson or an address with a model may be all that somebody ever opens.
for (const first of ['open.html#lang=en&on=causal&device=cpu', 'embed.html?architecture=causal&lang=en&device=cpu', 'examples/plain.html', 'examples/lesson.html']) {
  test(`a first visit to ${first.split(/[#?]/)[0]} keeps the site as well`, async ({ page, context }) => {
    const seen = await watch(page);
    const firstDone = async () => {
      const element = page.locator('unmasked-demo').first();
      await element.scrollIntoViewIfNeeded();
      await expect.poll(() => element.evaluate((demo) => demo.phase), { timeout: 60_000 }).toBe('done');
    };
    await page.goto(host.url + first);
    await firstDone();
    await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length)).toBe(1);
    await expect.poll(() => kept(page), { timeout: 60_000 }).toBe(true);
    await host.close();
    await context.setOffline(true);
    await page.reload();
    await firstDone();
    await page.goto(address(host, 'on=prefix'));
    await done(page);
    expect(seen.errors).toEqual([]);
  });
}

test('a frame in a page of another site keeps nothing there', async ({ page }) => {
  // The same host under its other name is another site to a browser.
  const elsewhere = new URL(host.url.replace('127.0.0.1', 'localhost'));
  host.files = new Map(host.files).set('course.html', Buffer.from(`<!doctype html><title>A course</title><iframe title="A machine" width="720" height="520" src="${host.url}embed.html?architecture=causal&device=cpu"></iframe>`));
  // Some browsers refuse it themselves: what counts is that nobody asks.
  await page.addInitScript(() => {
    window.registered = 0;
    navigator.serviceWorker.register = async () => { window.registered += 1; };
  });
  await page.goto(`${elsewhere.href}course.html`);
  const frame = await (await page.locator('iframe').elementHandle()).contentFrame();
  await expect.poll(() => frame.evaluate(() => document.querySelector('unmasked-demo')?.phase), { timeout: 60_000 }).toBe('done');
  await page.waitForTimeout(2000);
  expect(await frame.evaluate(() => window.registered)).toBe(0);
  expect(host.asked.some((path) => path.endsWith('/keep.js')), 'the frame has the script that keeps').toBe(true);
});

/** The script that holds the page's own line: what modules are bundled into is named by its content. */
const holder = (files) => [...files].find(([path, body]) => path.endsWith('.js') && body.includes('One Transformer, four masks'))?.[0];

test('a new version takes over whole', async ({ page, context }) => {
  await page.goto(address(host, 'on=causal'));
  await done(page);
  await expect.poll(() => kept(page), { timeout: 60_000 }).toBe(true);
  host.files = changed(host.files, holder(host.files), (text) => text.replace('One Transformer, four masks', 'A newer page'));
  host.asked.length = 0;
  await page.reload();
  await done(page);
  await expect(tagline(page), 'what is kept comes first').toHaveText('One Transformer, four masks');
  await expect.poll(() => page.evaluate(async () => Boolean((await navigator.serviceWorker.getRegistration()).waiting)), { timeout: 60_000 }).toBe(true);
  const models = () => host.asked.filter((path) => path.endsWith('.safetensors'));
  expect(models(), 'unchanged files are not fetched again').toEqual([]);
  // The new worker takes over when the old one rests; a browser that is watched by a test never lets one rest by itself.
  const browser = await context.newCDPSession(page);
  await browser.send('ServiceWorker.enable');
  await expect(async () => {
    await page.reload();
    await done(page);
    await browser.send('ServiceWorker.stopAllWorkers');
    await expect(tagline(page)).toHaveText('A newer page', { timeout: 3000 });
  }).toPass({ timeout: 60_000 });
  await done(page);
  expect(await page.evaluate(async () => (await caches.keys()).length), 'old versions are thrown away').toBe(1);
});

test('a page that has begun ends with the version that it began with', async ({ page, context }) => {
  await page.goto(address(host, 'on=causal'));
  await done(page);
  await expect.poll(() => kept(page), { timeout: 60_000 }).toBe(true);
  host.files = changed(host.files, holder(host.files), (text) => text.replace('One Transformer, four masks', 'A newer page'));
  await page.reload();
  await done(page);
  const waits = (other) => other.evaluate(async () => Boolean((await navigator.serviceWorker.getRegistration()).waiting));
  await expect.poll(() => waits(page), { timeout: 60_000 }).toBe(true);

  // Another page comes meanwhile, is alone later, and only then has something to keep.
  const other = await context.newPage();
  await other.goto(address(host, 'on=none'));
  await expect(other.locator('html')).toHaveAttribute('data-ready', 'true');
  await page.close();
  await other.locator('.toggle[data-architecture="causal"]').click();
  await done(other);
  const browser = await context.newCDPSession(other);
  await browser.send('ServiceWorker.enable');
  for (let times = 0; times < 3; times += 1) {
    await other.waitForTimeout(1000);
    await browser.send('ServiceWorker.stopAllWorkers');
  }
  expect(await waits(other)).toBe(true);
  expect(await other.evaluate(async () => (await caches.keys()).length), 'its files are still kept').toBe(2);

  // When it comes again it asks for the newer one: that may be slow, and the person quick.
  await other.reload();
  await done(other);
  await other.locator('.brand').click();
  await expect(async () => {
    await browser.send('ServiceWorker.stopAllWorkers');
    await expect(tagline(other)).toHaveText('A newer page', { timeout: 3000 });
  }).toPass({ timeout: 60_000 });
  await done(other);
});

test('a version that does not come whole never takes over', async ({ page, context }) => {
  await page.goto(address(host, 'on=causal'));
  await done(page);
  await expect.poll(() => kept(page), { timeout: 60_000 }).toBe(true);
  const next = changed(host.files, holder(host.files), (text) => text.replace('One Transformer, four masks', 'A newer page'));
  // Published halfway: one file of the new version is not yet what its list says.
  next.set('page.css', Buffer.from('body { display: none }'));
  const list = next.get('service-worker.js').toString();
  next.set('service-worker.js', Buffer.from(list.replace(/("page\.css": ")[^"]+/, '$1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=')));
  host.files = next;
  host.asked.length = 0;
  await page.reload();
  await done(page);
  await expect.poll(() => host.asked.some((path) => path.endsWith('/page.css')), { timeout: 60_000 }).toBe(true);
  await expect.poll(() => page.evaluate(async () => {
    const { installing, waiting } = await navigator.serviceWorker.getRegistration();
    return [installing, waiting].map(Boolean);
  }), { timeout: 60_000 }).toEqual([false, false]);
  await host.close();
  await context.setOffline(true);
  await page.reload();
  await done(page);
  await expect(tagline(page)).toHaveText('One Transformer, four masks');
});
