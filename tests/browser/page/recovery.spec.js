/** What a person sees when a device is lost, or is not to be had; and a tab that nobody looks at. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import en from '../../../www/i18n/en.js';
import zh from '../../../www/i18n/zh.js';
import { answer, done, machine, open, phase } from '../machines.js';
import { watch } from '../watch.js';
import { ADAPTERS, crash, keeping, loseDevice } from '../worker.js';

const TEXT = encodeURIComponent('The old man reads a book in the garden.');

/** The page believes that its tab is in the background, or no more. */
const hide = (page, hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

test('a run waits in the background, outlives its worker, and says so in both languages', async ({ page }) => {
  const seen = await watch(page);
  await open(page, `lang=en&on=causal&device=cpu&text=${TEXT}`);
  await done(page);
  const element = machine(page, 'causal');
  const whole = await answer(element);
  expect(whole.length).toBeGreaterThan(4);
  await expect(element.locator('.notice')).toBeHidden();

  // What is pulled behind the first step is under way until the worker is gone: otherwise all of so short an answer would be here.
  await page.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
    const post = Worker.prototype.postMessage;
    let pulls = 0;
    Worker.prototype.postMessage = function postMessage(...message) {
      if (message[0]?.method === 'next' && (pulls += 1) > 1 && !window.goesOn) return;
      post.apply(this, message);
    };
  });
  await page.reload();
  const steps = () => element.evaluate((demo) => demo.timeline?.steps.length ?? 0);
  await expect.poll(steps).toBe(1);
  await page.waitForTimeout(1000);
  expect(await steps(), 'nothing is shown to nobody').toBe(1);
  expect(await phase(element)).toBe('running');

  await page.evaluate(() => { window.goesOn = true; });
  await crash(page.workers()[0]);
  await hide(page, false);
  await done(page);
  expect(await answer(element), 'the same tokens').toEqual(whole);
  await expect(element.locator('.notice')).toHaveText(en['notice.recovered']);
  await page.keyboard.press('l');
  await expect(element.locator('.notice')).toHaveText(zh['notice.recovered']);
  await page.locator('#sentence').fill('Thank you!');
  await expect(element.locator('.notice')).toBeHidden();
  expect(seen.errors.filter((text) => !text.includes('made up by a test'))).toEqual([]);
});

// The first worker is begun before there is anybody to listen to it.
test('a first worker that never came is begun again', async ({ page }) => {
  let asked = 0;
  await page.route('**/worker.js', (route) => { asked += 1; return asked === 1 ? route.abort() : route.continue(); });
  await open(page, `lang=en&on=causal&device=cpu&text=${TEXT}`);
  await done(page);
  expect((await answer(machine(page, 'causal'))).length).toBeGreaterThan(4);
  expect(asked).toBe(2);
});

test('a page that shows no machine starts no worker and asks for no engine', async ({ page }) => {
  const { requests } = await watch(page);
  await open(page, 'lang=en&on=none');
  await page.waitForTimeout(500);
  expect(requests.filter((url) => /worker\.js|\.wasm/.test(url))).toEqual([]);
});

/** The page's worker with code of a test's own behind its own. */
const inWorker = (page, code) => page.route('**/worker.js', (route) => route.fulfill({ contentType: 'text/javascript',
  body: `${readFileSync(new URL('../../../www/worker.js', import.meta.url), 'utf8')}\n(${code})();\n` }));

// Without a GPU there is none to lose.
test('a GPU lost thrice in one run: each loss is told while the model loads, then what became of it, in both languages', { tag: '@gpu-only' }, async ({ page }) => {
  const seen = await watch(page);
  await inWorker(page, keeping);
  await open(page, `lang=en&on=causal&device=webgpu&text=${TEXT}`);
  await done(page);
  const element = machine(page, 'causal');
  const [notice, badge] = [element.locator('.notice'), page.locator('.badge')];
  const whole = await answer(element);
  await expect(badge).toHaveAttribute('data-backend', 'gpu');

  // The second, fourth and sixth pull wait for the test, which loses the GPU before they go on; so does what is loaded then.
  await page.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    let pulls = 0;
    window.stops = 0;
    Worker.prototype.postMessage = function postMessage(...message) {
      if (message[0]?.method !== 'next' || ![2, 4, 6].includes(pulls += 1)) { post.apply(this, message); return; }
      window.stops += 1;
      window.goOn = () => post.apply(this, message);
    };
  });
  let [holds, load] = [false, () => {}];
  await page.route('**/en-fr-causal*/model.safetensors', async (route) => {
    if (holds) await new Promise((resolve) => { load = () => resolve(undefined); });
    await route.continue();
  });
  await page.reload();
  for (let loss = 1; loss <= 3; loss += 1) {
    await expect.poll(() => page.evaluate(() => window.stops)).toBe(loss);
    if (loss > 1) await expect(notice).toHaveText(en['notice.recovered']);
    else await expect(notice).toBeHidden();
    holds = true;
    await loseDevice(page.workers()[0]);
    await page.evaluate(() => window.goOn());
    await expect(notice, `loss ${loss}`).toHaveText(en['notice.lost']);
    await page.keyboard.press('l');
    await expect(notice).toHaveText(zh['notice.lost']);
    await page.keyboard.press('l');
    holds = false;
    load();
  }
  await done(page);
  await expect(notice).toHaveText(en['notice.cpu']);
  await expect(badge).toHaveAttribute('data-backend', 'cpu');
  await expect(badge).toContainText(en['device.lost']);
  expect(await answer(element), 'the same tokens').toEqual(whole);
  await page.keyboard.press('l');
  await expect(notice).toHaveText(zh['notice.cpu']);
  await expect(badge).toContainText(zh['device.lost']);
  await page.locator('#sentence').fill('Thank you!');
  await expect(notice, 'of another run it is not said').toBeHidden();
  await expect(badge).toContainText(zh['device.lost']);
  expect(seen.errors).toEqual([]);
});

/** Why it is the CPU, each as the page comes by it. */
const CAUSES = {
  // The fakes are made from a real adapter.
  'no-adapter': { fake: ADAPTERS['no-adapter'] },
  refused: { fake: ADAPTERS.refused },
  limits: { fake: ADAPTERS.limits },
  'window-only': { fake: ADAPTERS['no-webgpu'] },
  // Here the adapter is one. Where it is asked for by name it is used.
  'software-adapter': { device: 'auto' },
  // The name belongs to nobody; what it serves comes from the server of the tests.
  insecure: { origin: 'http://lan.test' },
};
for (const [cause, { fake, device = 'webgpu', origin = '' }] of Object.entries(CAUSES)) {
  test(`${cause}: the page says why it is the CPU, in both languages`, { tag: '@gpu-only' }, async ({ page, baseURL }) => {
    if (fake) await inWorker(page, fake);
    if (origin) {
      await page.route(`${origin}/**`, async (route) => {
        const { pathname, search } = new URL(route.request().url());
        await route.fulfill({ response: await route.fetch({ url: new URL(pathname + search, baseURL).href }) });
      });
    }
    await page.goto(`${origin}/#lang=en&on=causal&device=${device}&text=Thank+you!`);
    await done(page);
    const badge = page.locator('.badge');
    await expect(badge).toHaveAttribute('data-backend', 'cpu');
    await expect(badge).toContainText(en[`device.${cause}`]);
    await page.keyboard.press('l');
    await expect(badge).toContainText(zh[`device.${cause}`]);
  });
}
