/** The page, the single file and the site in WebKit: whether all of them compute there, and the right tokens. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { certain, golden } from '../browser/golden.js';
import { DIST, filesOf, siteFiles, startHost } from '../browser/host.js';
import { launch, until } from './browser.js';

/** So often, a tenth of a second apart, something has to be where it was before. */
const STILL = 4;
const WRITERS = ['causal', 'prefix', 'encoder-decoder'];
const { text } = golden('en-fr-causal-int8').cases[0];
const state = (more = '') => `#lang=en&device=cpu&text=${encodeURIComponent(text)}${more}`;

let [host, browser] = [null, null];
before(async () => {
  const { UNMASKED_URL } = process.env;
  host = UNMASKED_URL ? { url: `${UNMASKED_URL}/`, close: () => {} } : await startHost(filesOf(join(DIST, '../www')));
  browser = await launch();
});
after(async () => { await browser?.close(); await host?.close(); });

const answer = (architecture) => browser.evaluate((wanted) => (
  /** @type {any} */ (document.querySelector(`unmasked-demo[architecture="${wanted}"]`)).timeline.steps.map(({ chosen }) => chosen)), architecture);

/** The reference's answers, as far as they are certain. */
async function answersAreRight() {
  for (const architecture of WRITERS) {
    const { greedy, greedy_margin: margins } = golden(`en-fr-${architecture}-int8`).cases[0];
    const sure = certain(margins);
    assert.deepEqual((await answer(architecture)).slice(0, sure), greedy.slice(0, sure), architecture);
  }
}

test('four machines read one sentence and answer it', async () => {
  await browser.goto(host.url + state());
  await browser.evaluate(() => {
    const wrong = Object.assign(window, { wrong: [] }).wrong;
    addEventListener('error', ({ message }) => wrong.push(message));
    addEventListener('unhandledrejection', ({ reason }) => wrong.push(String(reason)));
    addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => wrong.push(`${effectiveDirective} ${blockedURI}`));
  });
  await browser.done();
  await answersAreRight();
  // A cell pointed at, and a candidate pressed.
  // Machines that are ready later have more rows of tokens, and move what is below: what is pointed at stands still.
  const boxOf = async (selector) => {
    let [before, times] = ['', 0];
    return until(() => browser.evaluate((wanted) => {
      const demo = document.querySelector('unmasked-demo[architecture="prefix"]');
      return demo.shadowRoot.querySelector(wanted)?.getBoundingClientRect().toJSON();
    }, selector), (box) => {
      const now = JSON.stringify(box);
      times = box && now === before ? times + 1 : 0;
      before = now;
      return times >= STILL;
    }, selector);
  };
  const cells = await boxOf('.mask svg');
  await browser.point(cells.x + cells.width * 0.4, cells.y + cells.height * 0.4);
  const told = () => browser.evaluate(() => document.querySelector('unmasked-demo[architecture="prefix"]').shadowRoot.querySelector('.tooltip:not([hidden])')?.textContent ?? '');
  await until(told, (words) => /looks at .*\d\.\d{3}$/.test(words), 'the pointed-at cell');
  const other = await boxOf('.candidate:not([data-chosen])');
  await browser.point(other.x + 8, other.y + other.height / 2, 'pointerDown', 'pointerUp');
  const usual = golden('en-fr-prefix-int8').cases[0].greedy[0];
  await until(async () => (await answer('prefix'))[0], (first) => first !== usual, 'the forced choice');
  await browser.done();
  await browser.keys('g');
  await until(() => browser.evaluate(() => location.hash), (hash) => /step=\d/.test(hash), 'the address');
  assert.deepEqual(await browser.evaluate(() => /** @type {any} */ (window).wrong), []);
});

test('one file holds the page, the engine and the quartet', async () => {
  await browser.goto(pathToFileURL(join(DIST, 'unmasked-offline.html')).href + state());
  await browser.done();
  await answersAreRight();
});

test('after one visit the site works with its host gone', async () => {
  const site = await startHost(siteFiles());
  try {
    await browser.goto(site.url + state('&on=causal'));
    await browser.done();
    await until(() => browser.evaluate(() => navigator.serviceWorker.controller !== null), Boolean, 'not kept', 60_000);
  } finally {
    await site.close();
  }
  const asked = site.asked.length;
  await browser.goto(`${site.url}?again${state()}`);
  await browser.done();
  await answersAreRight();
  assert.equal(site.asked.length, asked);
});
