/**
 * Firefox, driven over WebDriver BiDi, and what a test asks of a page in it. Playwright drives a Firefox of its own making
 * only; this is the one that people have.
 *
 * `cargo xtask test` names the server and the browser in the environment. Run by hand
 * (`node --test --test-concurrency 1 tests/firefox/*.test.js`), the page is served as it lies in www/.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { DIST, filesOf, startHost } from '../browser/host.js';

const { UNMASKED_FIREFOX, UNMASKED_URL } = process.env;
const browsers = ['/usr/bin/firefox-esr', '/usr/bin/firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'];

/** Nobody answers at this port: what is asked of the network fails. */
const NOWHERE = { 'network.proxy.type': 1, 'network.proxy.http': '127.0.0.1', 'network.proxy.http_port': 9, 'network.proxy.ssl': '127.0.0.1', 'network.proxy.ssl_port': 9, 'network.proxy.allow_hijacking_localhost': true };

/** @param {{ offline?: boolean }} [options] */
export function launch({ offline = false } = {}) {
  return puppeteer.launch({
    browser: 'firefox', headless: true, executablePath: UNMASKED_FIREFOX ?? browsers.find(existsSync),
    // Drivers let files read each other; a person's Firefox does not.
    extraPrefsFirefox: { 'security.fileuri.strict_origin_policy': true, ...offline ? NOWHERE : {} },
  });
}

/** The page's address, and how its server ends. */
export async function serve() {
  if (UNMASKED_URL) return { url: `${UNMASKED_URL}/`, close: () => {} };
  return startHost(filesOf(join(DIST, '../www')));
}

/** A new tab. `seen` grows while it lives: all that went wrong, and every address that was asked for. */
export async function tab(browser, { width = 1440, height = 900 } = {}) {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  const seen = { errors: [], requests: [] };
  page.on('console', (message) => { if (message.type() === 'error') seen.errors.push(message.text()); });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('requestfailed', (request) => seen.errors.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.evaluateOnNewDocument(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`the policy's ${event.effectiveDirective} refused ${event.blockedURI || 'inline code'}`));
    addEventListener('unhandledrejection', (event) => console.error(`nobody caught: ${event.reason}`));
  });
  return { page, seen };
}

const DONE_MILLISECONDS = 90_000;

/** Waits until every machine of the page has computed its run, or one gave up. */
export async function done(page) {
  const settled = await page.waitForFunction(() => {
    const demos = [...document.querySelectorAll('unmasked-demo')];
    const over = demos.some(({ phase }) => phase === 'error') || (demos.length > 0 && demos.every(({ phase }) => phase === 'done'));
    return over && demos.map(({ error, phase }) => error?.message ?? phase);
  }, { timeout: DONE_MILLISECONDS, polling: 100 });
  const phases = await settled.jsonValue();
  assert.deepEqual(phases, phases.map(() => 'done'));
}

/** Waits until something is so. @param {() => Promise<any>} get */
export async function until(get, wanted, what, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const got = await get();
    if (wanted(got)) return got;
    if (Date.now() > end) assert.fail(`${what}: it stayed ${JSON.stringify(got)}`);
    await new Promise((later) => { setTimeout(later, 50); });
  }
}

export const machine = (architecture) => `unmasked-demo[architecture="${architecture}"]:not([data-place^="opened"])`;

/** Something of a machine, asked for inside the page. @param {(demo: any) => any} ask */
export const of = (page, architecture, ask) => page.$eval(machine(architecture), ask);

/** Something inside a machine, to be pointed at or pressed. */
export const inside = async (page, architecture, selector, at = 0) => (await page.$$(`${machine(architecture)} >>> ${selector}`))[at];

/** The ids that a machine wrote or filled in. */
export const answer = (page, architecture) => of(page, architecture, ({ timeline }) => timeline.steps.map(({ chosen }) => chosen));
