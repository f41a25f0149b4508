/** dist/ in Firefox: the single file and the site with the network cut, and what opens by double click. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { certain, golden } from '../browser/golden.js';
import { DIST, siteFiles, startHost } from '../browser/host.js';
import { answer, done, inside, launch, tab, until } from './browser.js';

const WRITERS = ['causal', 'prefix', 'encoder-decoder'];
const { text } = golden('en-fr-causal-int8').cases[0];
const state = (more = '') => `#lang=en&device=cpu&text=${encodeURIComponent(text)}${more}`;

/** The reference's answers, as far as they are certain. */
async function answersAreRight(page) {
  for (const architecture of WRITERS) {
    const { greedy, greedy_margin: margins } = golden(`en-fr-${architecture}-int8`).cases[0];
    const sure = certain(margins);
    assert.deepEqual((await answer(page, architecture)).slice(0, sure), greedy.slice(0, sure), architecture);
  }
}

test('one file holds the page, the engine and the quartet', async () => {
  const browser = await launch({ offline: true });
  try {
    const { page, seen } = await tab(browser);
    await page.goto(pathToFileURL(join(DIST, 'unmasked-offline.html')).href + state());
    await done(page);
    await answersAreRight(page);
    await (await inside(page, 'prefix', '.candidate:not([data-chosen])')).click();
    await done(page);
    assert.deepEqual(seen.requests.filter((url) => !/^(blob|data|file):/.test(url)), []);
    assert.deepEqual(seen.errors, []);
  } finally {
    await browser.close();
  }
});

test('after one visit the site works with its host gone', async () => {
  const [host, browser] = [await startHost(siteFiles()), await launch()];
  try {
    const { page, seen } = await tab(browser);
    await page.goto(host.url + state('&on=causal'));
    await done(page);
    const kept = () => page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      return navigator.serviceWorker.controller !== null;
    });
    await until(kept, Boolean, 'not kept', 60_000);
    await host.close();
    const asked = host.asked.length;
    await page.goto(`${host.url}?again${state()}`);
    await done(page);
    await answersAreRight(page);
    await page.goto(`${host.url}embed.html?architecture=prefix&lang=en&device=cpu`);
    await done(page);
    assert.equal(host.asked.length, asked);
    assert.deepEqual(seen.errors, []);
  } finally {
    await browser.close();
    await host.close();
  }
});

test('what cannot run by double click says what to do', async () => {
  const browser = await launch({ offline: true });
  try {
    for (const place of ['www/index.html', 'dist/site/index.html']) {
      const { page } = await tab(browser);
      await page.goto(pathToFileURL(join(DIST, '..', place)).href);
      const shown = () => page.$eval('#static', (node) => node.checkVisibility({ visibilityProperty: true }) && node.textContent);
      assert.match(await until(shown, Boolean, place), /cargo xtask serve[^]*unmasked-offline\.html/);
      await page.close();
    }
  } finally {
    await browser.close();
  }
});
