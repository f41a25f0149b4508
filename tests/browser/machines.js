/** The page's machines, as a test waits for them and reads them. */
import { expect } from '@playwright/test';

export const ARCHITECTURES = ['encoder', 'causal', 'prefix', 'encoder-decoder'];

/** Opens the page; `state` is what stands in its address. */
export async function open(page, state = '') {
  await page.goto(`/${state && `#${state}`}`);
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
}

/** The element of one architecture: the page's own machine. */
export const machine = (page, architecture) => page.locator(`unmasked-demo[architecture="${architecture}"]:not([data-place^="opened"])`);

/** The element of a model from elsewhere, which stands beside that machine. */
export const opened = (page, architecture) => page.locator(`unmasked-demo[data-place="opened ${architecture}"]`);

/** What a machine is at: idle, loading, empty, running, done, error. */
export const phase = (element) => element.evaluate((demo) => demo.phase);

/** Waits until every machine of the page has computed the run that is asked of it, and shows it. One that gave up will not go on: that ends the wait. */
export async function done(page) {
  const settled = await page.waitForFunction(() => {
    const demos = [...document.querySelectorAll('unmasked-demo')];
    const over = demos.some((demo) => demo.phase === 'error') || (demos.length > 0 && demos.every((demo) => demo.phase === 'done' && !demo.renewed));
    return over && demos.map((demo) => demo.error?.message ?? demo.phase);
  }, undefined, { timeout: 90_000 });
  const phases = await settled.jsonValue();
  expect(phases).toEqual(phases.map(() => 'done'));
  await drawn(page);
}

/**
 * Waits until what has changed is drawn. A frame draws one machine at least, or the page around them, and what is drawn
 * may ask for one more.
 */
export const drawn = (page) => page.evaluate(async () => {
  const frames = 2 * (document.querySelectorAll('unmasked-demo').length + 1);
  for (let frame = 0; frame < frames; frame += 1) await new Promise((resolve) => { requestAnimationFrame(resolve); });
});

/** The chips of a machine as they stand on the page. */
export const chips = (element) => element.locator('.chip .piece').allTextContents();

/** The pieces that the machine wrote or filled in. */
export const answer = (element) => element.evaluate((demo) => demo.timeline.steps.map((step) => step.chosen));

/** A page of somebody else with such elements in it. */
export async function host(page, markup) {
  await page.route('**/host.html', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><html lang="en"><title>A host</title><link rel="icon" href="/icon.svg"><script type="module" src="/define.js"></script><body>${markup}</body></html>`,
  }));
  await page.goto('/host.html');
}
