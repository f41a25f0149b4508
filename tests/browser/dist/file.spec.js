/** The single file, opened by double click with the network off. */
import { expect, test } from '@playwright/test';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { answer, done, machine } from '../machines.js';
import { watch } from '../watch.js';
import { DIST, siteFiles, startHost } from '../host.js';

const FILE = join(DIST, 'unmasked-offline.html');
const TEXT = 'My sister wants to learn English.';
const device = () => (test.info().project.name === 'webgpu' ? 'webgpu' : 'cpu');
const state = () => `#lang=en&device=${device()}&text=${encodeURIComponent(TEXT)}`;

/** What a machine's first choice was, and how sure it was. */
const firstSteps = (page) => page.locator('unmasked-demo').evaluateAll((demos) => demos.map(({ timeline }) => (
  { chosen: timeline.steps[0].chosen, probability: timeline.steps[0].candidates[0].probability })));

test('one file holds the page, the engine and the quartet', { tag: '@gpu' }, async ({ page, context }) => {
  expect(statSync(FILE).size).toBeLessThanOrEqual(18e6);
  await context.setOffline(true);
  const seen = await watch(page);
  await page.goto(pathToFileURL(FILE) + state());
  await done(page);
  await expect(page.locator('unmasked-demo')).toHaveCount(4);
  const backends = await page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.deviceInfo.backend));
  expect(new Set(backends)).toEqual(new Set([device() === 'webgpu' ? 'gpu' : 'cpu']));

  await page.keyboard.press('g');
  const element = machine(page, 'prefix');
  await element.locator('.candidate').last().click();
  await done(page);
  await page.locator('#sentence').fill('Where is the cat?');
  await page.waitForTimeout(500);
  await done(page);
  expect(await answer(element)).not.toHaveLength(0);
  // What is saved is made here, too.
  for (const what of ['svg', 'png', 'csv', 'run']) {
    await element.locator('.save > button').click();
    const [file] = await Promise.all([page.waitForEvent('download'), element.locator(`[data-action="save"][data-value="${what}"]`).click()]);
    expect(file.suggestedFilename()).toBe(`unmasked-prefix-${what === 'run' ? 'run.json' : `layer6-head1.${what}`}`);
  }
  await page.locator('#lang').click();
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-Hans');
  // Lessons are a script of their own, which nobody asked for until now.
  await page.locator('#lessons summary').click();
  await page.locator('#lessons li button').nth(2).click();
  await expect(page.locator('#lesson h2')).toBeVisible();
  await done(page);
  await expect(machine(page, 'causal').locator('.reach-words')).toHaveText(/./);
  const asked = seen.requests.filter((url) => !/^(blob|data):/.test(url)).map((url) => url.split('#')[0]);
  expect([...new Set(asked)]).toEqual([pathToFileURL(FILE).href]);
  expect(seen.errors).toEqual([]);
});

test('its packed weights say what the served ones say', async ({ page }) => {
  const host = await startHost(siteFiles());
  try {
    await page.goto(host.url + state());
    await done(page);
    const served = await firstSteps(page);
    await page.goto(pathToFileURL(FILE) + state());
    await done(page);
    const packed = await firstSteps(page);
    expect(packed.map(({ chosen }) => chosen)).toEqual(served.map(({ chosen }) => chosen));
    packed.forEach(({ probability }, at) => expect(Math.abs(probability - served[at].probability)).toBeLessThan(1e-4));
  } finally {
    await host.close();
  }
});

test('its policy lets nothing else run or be asked', async ({ page }) => {
  await page.goto(pathToFileURL(FILE) + state());
  const tried = await page.evaluate(async () => {
    const refused = [];
    addEventListener('securitypolicyviolation', ({ effectiveDirective }) => refused.push(effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
    const style = document.createElement('style');
    style.textContent = 'body { display: none }';
    document.body.append(style);
    const fetched = await fetch('https://elsewhere.example/').then(() => true, () => false);
    await new Promise((later) => { setTimeout(later, 100); });
    return { ran: window.ran === true, shown: getComputedStyle(document.body).display !== 'none', fetched, refused: refused.sort() };
  });
  expect(tried).toEqual({ ran: false, shown: true, fetched: false, refused: ['connect-src', 'script-src-elem', 'style-src-elem'] });
});

for (const place of ['www/index.html', 'dist/site/index.html']) {
  test(`${place} opened by double click says what to do`, async ({ page }) => {
    await page.goto(pathToFileURL(join(DIST, '..', place)).href);
    await expect(page.locator('#static')).toBeVisible();
    await expect(page.locator('#static')).toContainText('cargo xtask serve');
    await expect(page.locator('#static')).toContainText('unmasked-offline.html');
    await expect(page.locator('#static [lang="zh-Hans"]')).toBeVisible();
  });
}
