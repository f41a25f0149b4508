/**
 * Uses the page for minutes as a restless person would, and watches its memory: `cargo xtask soak MINUTES`.
 *
 * A lap is a dozen actions in an order that a seed decides; after it the page comes to rest in the same two states,
 * where everything is counted: on WebGPU with two machines, and on the CPU with all four. From lap to lap nothing may
 * grow, and nothing may fail.
 */
import { chromium } from '@playwright/test';
import { ARCHITECTURES, done, open } from './machines.js';
import { stroke } from './masks.js';
import { watch } from './watch.js';

const [minutes = 5, seed = 1] = process.argv.slice(2).map(Number);
const { UNMASKED_URL: baseURL, UNMASKED_CHROMIUM: executablePath } = process.env;
const ACTIONS = 12;
/** Laps until caches, compiled code and the allocators' own reserves have their size. */
const WARM_UP = 2;
const LEAST_LAPS = 6;

const REST = {
  gpu: 'lang=en&device=webgpu&on=encoder,causal&text=The+cat+is+hungry.',
  cpu: 'lang=en&device=cpu&text=My+sister+wants+to+learn+English.',
};
const SENTENCES = ['Where is the cat?', 'I.', '', 'He forgot to close the window.', '你好，世界', '\u202eabc 👩\u200d🔬', 'word '.repeat(60),
  'Pneumonoultramicroscopicsilicovolcanoconiosis.', 'We will eat when you come home.'];

/** What may be counted, with how far above its first value the last may lie. */
const COUNTED = {
  'JS heap, MB': { of: ({ heap }) => heap / 1e6, slack: (first) => 0.05 * first + 0.5 },
  // What a view has drawn stays, hidden, as long as its element: laps end with more of it and with less. What leaks is there in every lap.
  'DOM nodes': { of: ({ nodes }) => nodes, slack: (first) => 0.02 * first + 20, least: true },
  listeners: { of: ({ listeners }) => listeners, slack: (first) => 0.02 * first + 10 },
  // Of each byte-pair model 56 bytes stay (tokenizer.rs), in a table that doubles: some 0.05 MB in a thousand models.
  'wasm in use, MB': { of: ({ heap_bytes: bytes }) => bytes / 1e6, slack: (first) => 0.01 * first + 0.1 },
  // A program's memory never shrinks: it follows the most that was ever in use, when old and new models met.
  'wasm at most in use, MB': { of: ({ heap_peak: bytes }) => bytes / 1e6, slack: (first) => 0.5 * first },
  'wasm beside that, MB': { of: ({ wasm_bytes: bytes, heap_peak: peak }) => (bytes - peak) / 1e6, slack: () => 1 },
  'GPU buffers': { of: ({ buffers }) => buffers, slack: () => 0 },
  'GPU, MB': { of: ({ bytes }) => bytes / 1e6, slack: () => 0 },
  engines: { of: ({ engines }) => engines, slack: () => 0 },
  runs: { of: ({ runs }) => runs, slack: () => 0 },
};

/** Numbers that are the same for a seed (mulberry32). */
function numbers(state) {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
});
const page = await (await browser.newContext({ baseURL, viewport: { width: 1400, height: 1000 } })).newPage();
const seen = await watch(page);
const cdp = await page.context().newCDPSession(page);
const below = numbers(seed);
const pick = (list) => list[below(list.length)];
const errors = [];

const hide = (hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);
/** A state of the address, every machine as it was trained, with its matrix in its place. */
const go = (state) => page.evaluate((state) => {
  for (const demo of document.querySelectorAll('unmasked-demo')) for (const name of ['mask', 'edits', 'silenced', 'look']) demo.removeAttribute(name);
  location.hash = state;
}, state);
/** Changes an attribute of a machine that is there. */
const set = (name, value) => page.evaluate(([at, name, value]) => {
  const demos = document.querySelectorAll('unmasked-demo');
  if (demos.length) demos[at % demos.length].setAttribute(name, value);
}, [below(4), name, value]);
/** Presses what is there; that it is there at this moment is left to chance. */
const press = (selector) => page.locator(selector).nth(below(3)).click({ timeout: 1000 }).catch(() => {});

const ACTS = {
  type: async () => { await page.locator('#sentence').fill(pick(SENTENCES)); },
  typeOn: async () => { await page.locator('#sentence').pressSequentially(' and', { delay: 20 }); },
  toggle: () => page.locator(`.toggle[data-architecture="${pick(ARCHITECTURES)}"]`).click(),
  blank: () => press('unmasked-demo[architecture="encoder"] .chip'),
  force: () => press('unmasked-demo .candidate'),
  device: () => page.evaluate((device) => { location.hash = `${location.hash.replace(/&?device=\w+/, '')}&device=${device}`; }, pick(['cpu', 'webgpu', 'auto'])),
  sample: () => page.evaluate((seed) => { location.hash = `${location.hash.replace(/&?(temperature|seed)=[\d.]+/g, '')}&temperature=1.2&seed=${seed}`; }, below(100)),
  hide: async () => { await hide(true); await page.waitForTimeout(400); await hide(false); },
  keys: async () => { for (const key of ['g', 'ArrowLeft', 'r', ' ', 'l', 'l']) await page.keyboard.press(key); },
  layer: () => page.evaluate((head) => { location.hash = `${location.hash.replace(/&?head=\w+/, '')}&head=${head}`; }, pick(['all', '1', '3'])),
  // Its run begins anew under the other mask, or under its own again.
  mask: () => set('mask', pick(['full', 'causal', 'prefix', 'window:2', 'source:1', 'none'])),
  silence: () => set('silenced', pick(['d1.1', 'e2.1', 'd1.2d2.1', ''])),
  // Two strokes of which one is taken back; each begins its run anew. Whether there is a matrix, and in sight, is left to chance.
  paint: async () => {
    const element = page.locator('unmasked-demo').nth(below(2));
    const row = 1 + below(3);
    const cells = [[[row, 0], [row, 1]], [[row + 1, below(row + 1)]]];
    const brush = element.locator('[data-action="paint"]');
    if (!await brush.isVisible()) return;
    await brush.click({ timeout: 1000 }).catch(() => {});
    for (const strokes of cells) await stroke(page, element, strokes).catch(() => {});
    await element.locator('[data-action="undo"]').click({ timeout: 1000 }).catch(() => {});
    if (await brush.getAttribute('data-on', { timeout: 1000 }).catch(() => null) !== null) await brush.click({ timeout: 1000 }).catch(() => {});
  },
  // What it asks an engine for beside its run.
  place: () => set('look', pick(['table', 'reach', 'leak', 'blanks', 'cost', 'objective', 'none'])),
  lesson: () => page.evaluate(async (at) => {
    const { LESSONS } = await import('/page/lessons.js');
    const { id, state } = LESSONS[at % LESSONS.length];
    location.hash = `lang=en&device=cpu&lesson=${id}&${state}`;
  }, below(100)),
  present: async () => { for (const key of ['p', 'c', 'a', 'c', 'Escape']) await page.keyboard.press(key); },
  wait: () => page.waitForTimeout(300),
};

async function count(state) {
  await go(state);
  // The address is read in a task of its own; what it asks for begins after the typing's pause.
  await page.waitForTimeout(600);
  await done(page);
  // A browser keeps what was under the pointer, and pressed, until something else is.
  await page.mouse.click(5, 5);
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize: heap } = await cdp.send('Runtime.getHeapUsage');
  const { jsEventListeners: listeners } = await cdp.send('Memory.getDOMCounters');
  // That call's own count of nodes has those that the browser keeps to undo what was typed.
  await cdp.send('DOM.enable');
  const { detachedNodes } = await cdp.send('DOM.getDetachedDomNodes');
  // What the inspector has told of it keeps.
  await cdp.send('DOM.disable');
  const nodes = detachedNodes.length + await page.evaluate(() => {
    const all = (root) => [...root.childNodes].reduce((sum, node) => sum + 1 + all(node) + (node.shadowRoot ? all(node.shadowRoot) : 0), 0);
    return all(document);
  });
  const held = await page.evaluate(async () => (await import('/engine.js')).usage());
  return { heap, nodes, listeners, ...held };
}

const laps = [];
const until = Date.now() + minutes * 60_000;
let acts = 0;
await open(page, REST.cpu);
try {
  while (Date.now() < until || laps.length < 1) {
    for (let act = 0; act < ACTIONS; act += 1) {
      const name = pick(Object.keys(ACTS));
      await page.locator('body').evaluate(() => document.activeElement?.blur());
      await ACTS[name]();
      acts += 1;
      await page.waitForTimeout(below(500));
      const failed = await page.evaluate(() => [...document.querySelectorAll('unmasked-demo')].map((demo) => demo.error?.message).filter(Boolean));
      errors.push(...failed.map((message) => `after \`${name}\`: ${message}`));
    }
    laps.push({ gpu: await count(REST.gpu), cpu: await count(REST.cpu) });
    console.log(`lap ${laps.length}: ${Object.entries(laps.at(-1).cpu).map(([name, value]) => `${name} ${value}`).join(', ')}`);
  }
} catch (error) {
  errors.push(String(error));
}
errors.push(...seen.errors);
await browser.close();

/** The median of some laps: what a garbage collector has not come to yet must not decide. */
const middle = (some) => [...some].sort((a, b) => a - b)[Math.floor(some.length / 2)];
const rows = [];
const grown = [];
const steady = laps.slice(WARM_UP);
const third = Math.max(1, Math.floor(steady.length / 3));
for (const rest of Object.keys(REST)) {
  for (const [name, { of, slack, least = false }] of Object.entries(COUNTED)) {
    const told = least ? (some) => Math.min(...some) : middle;
    const values = steady.map((lap) => of(lap[rest]));
    if (!values.length) continue;
    const [first, last] = [told(values.slice(0, third)), told(values.slice(-third))];
    const fits = last <= first + slack(first);
    if (!fits) grown.push(`${name} at rest on the ${rest}`);
    const show = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(2));
    rows.push({ at: rest, what: name, 'first lap of all': show(of(laps[0][rest])), 'first third': show(first), 'last third': show(last), flat: fits ? 'yes' : 'NO' });
  }
}
console.table(rows);
console.log(`${laps.length} laps, ${acts} actions in ${minutes} minutes, seed ${seed}; ${errors.length} errors`);
for (const error of new Set(errors)) console.log(`error: ${error}`);
if (grown.length) console.log(`grown: ${grown.join(', ')}`);
if (steady.length < LEAST_LAPS) console.log(`only ${steady.length} laps after the warm-up: too few to tell growth from chance`);
process.exitCode = errors.length || (grown.length && steady.length >= LEAST_LAPS) || !steady.length ? 1 : 0;
