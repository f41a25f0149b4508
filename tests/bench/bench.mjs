/**
 * The browser's half of `cargo xtask bench`: drives Chromium and writes a line of JSON a sample. What is compared is
 * measured in turn, so that a ratio holds on a machine whose speed changes from minute to minute.
 *
 *   node tests/bench/bench.mjs '{ "url", "chromium", "repeats", "tokens", "shipped", "text", "peers", "shapes", .. }'
 */
import { readFileSync, readdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const tell = (record) => console.log(JSON.stringify(record));
const note = (text) => console.error(`    ${text}`);

const flags = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--enable-unsafe-webgpu'];
// Where there is no graphics card Chromium's own software adapter stands in.
if (plan.software) flags.push('--use-webgpu-adapter=swiftshader');
const browser = await chromium.launch({ executablePath: plan.chromium, args: flags });

/** The ids of `unmasked::speed::prompt`. */
const prompt = (length, vocabulary) => Array.from({ length }, (_, place) => 10 + place * 37 % (vocabulary - 10));

async function open(path) {
  // The peers need an import map in their page, which the page's own policy has no room for.
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  page.on('pageerror', (error) => note(`${path}: ${error.message}`));
  await page.goto(`${plan.url}${path}`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true', null, { timeout: 120_000 });
  return page;
}

const ours = await open('/__bench__/ours.html');
const peers = plan.peers ? await open('/__bench__/peers.html') : null;
const candle = plan.peers ? await open('/__bench__/candle.html') : null;
const wllama = plan.peers ? await open('/__bench__/wllama.html') : null;

const OURS = [['Chromium wasm', ours, 'cpu'], ['Chromium WebGPU', ours, 'webgpu']];
const PEERS = plan.peers
  ? [['transformers.js wasm', peers, 'wasm'], ['transformers.js WebGPU', peers, 'webgpu'], ['candle wasm', candle, 'wasm']]
  : [];
/** Only GPT-2 is written as GGUF, and products alone it offers none. */
const GPT2_PEERS = plan.peers ? [['wllama wasm', wllama, 'wasm']] : [];
const call = (page, method, details) => page.evaluate(([method, details]) => window.bench[method](details), [method, details]);

/** Milliseconds of processor time that the browser's processes took so far; null where the system does not say. */
function processorTime() {
  const processes = new Map();
  try {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        processes.set(Number(pid), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
      } catch { /* it ended meanwhile */ }
    }
  } catch {
    return null;
  }
  const isOurs = (pid) => { while (pid > 1 && pid !== process.pid) pid = processes.get(pid)?.parent ?? 0; return pid === process.pid; };
  let ticks = 0;
  for (const [pid, one] of processes) if (pid !== process.pid && isOurs(pid)) ticks += one.ticks;
  return ticks * 10;
}

/**
 * Waits until the browser has nothing to do. A new window loads pages of its own (that of its address bar among them), for a
 * second and more of processor time, which a visitor's window has long behind it. Less time than before is that of a process
 * that ended meanwhile.
 */
async function settle() {
  let before = processorTime();
  for (let wait = 0; wait < 30; wait += 1) {
    await new Promise((done) => { setTimeout(done, 500); });
    const now = processorTime();
    if (now === null ? wait === 5 : now >= before && now - before <= 20) return;
    before = now;
  }
  note('the browser did not come to rest within 15 s');
}

/** Samples of several competitors, in turn. Of one that has none it is told why. */
async function inTurn(what, places, repeats, measure) {
  const reasons = new Map(places.map(([place]) => [place, '']));
  for (let repeat = 0; repeat <= repeats; repeat += 1) {
    for (const [place, page, device, most] of places) {
      if (most !== undefined && repeat > most) continue;
      try {
        const before = processorTime();
        const record = await measure(page, device);
        const after = processorTime();
        if (after !== null && record.case === 'model') record.cpu_ms = after - before;
        // The first run compiles, allocates and warms.
        if (repeat > 0) { tell({ place, ...record }); reasons.delete(place); }
      } catch (error) {
        const [message] = String(error.message).split('\n');
        note(`${place}: ${message}`);
        if (reasons.has(place)) reasons.set(place, message);
      }
    }
  }
  for (const [place, message] of reasons) if (message) tell({ place, case: 'failed', of: what, message });
}

async function models() {
  for (const model of plan.shipped) {
    for (const watch of [false, true]) {
      const name = watch ? `${model}, watched` : model;
      note(name);
      await inTurn(name, OURS, plan.repeats, async (page, device) => ({
        case: 'model', model: name,
        ...await call(page, 'sample', { model: `/models/${model}/`, device, text: plan.text, tokens: plan.tokens, watch }),
      }));
    }
  }
  for (const model of plan.checkpoints) await checkpoint(model);
  if (!plan.random) return;
  // The WebGPU peer takes seconds a token on a software adapter: fewer samples, fewer tokens.
  const places = [...OURS, ...PEERS].map((place) => (place[0] === 'transformers.js WebGPU' ? [...place, Math.min(2, plan.repeats)] : place));
  for (const [model, length] of [['gpt2', 32], ['gpt2', 128], ['bert', 64], ['t5', 32]]) {
    const name = `${model}, ${length} ids`;
    note(name);
    const ids = model === 'bert' ? Array(length).fill(4) : prompt(length, 4096);
    await inTurn(name, model === 'gpt2' ? [...places, ...GPT2_PEERS] : places, plan.repeats, async (page, device) => ({
      case: 'model', model: name,
      ...await call(page, 'sample', {
        model: page === ours ? `/__bench_models__/${model}/` : model, device, ids,
        tokens: page === peers && device === 'webgpu' ? Math.min(plan.tokens, 6) : plan.tokens,
      }),
    }));
  }
}

/** A checkpoint of a real size: each sample in a page of its own, since memory that was taken once is not given back. */
async function checkpoint(model) {
  note(model);
  const ids = prompt(plan.prompt, 30_000);
  await inTurn(model, OURS, plan.repeats, async (_, device) => {
    const page = await open('/__bench__/ours.html');
    try {
      const source = `/__bench_models__/${model}/`;
      const load = await call(page, 'load', { model: source, device });
      return { case: 'checkpoint', model, ...load, ...await call(page, 'sample', { model: source, device, ids, tokens: plan.tokens }), ...await call(page, 'memory') };
    } finally {
      await page.context().close();
    }
  });
}

async function matmuls() {
  for (const { shape, count } of plan.shapes) {
    const name = `matmul ${shape.join('x')}`;
    note(name);
    for (const format of plan.formats) {
      const places = format === 'f32' ? [...OURS, ...PEERS] : OURS;
      await inTurn(`${name}, ${format}`, places, plan.repeats, async (page, device) => ({
        case: 'matmul', shape: shape.join('x'), format, ...await call(page, 'matmul', { shape, format, device, count }),
      }));
    }
    for (const page of [ours, candle]) if (page) await call(page, 'free');
  }
}

/**
 * From navigation to the first token, in a window that is there, one machine on; then the same again, from the cache. On the
 * page as it is served here, and in turn on the site that `cargo xtask dist` made, where there is one.
 */
async function colds() {
  const site = await fetch(`${plan.url}/__site__/index.html`).then(({ ok }) => ok);
  const pages = [['', '/'], ...(site ? [[', dist/site', '/__site__/']] : [])];
  const places = pages.flatMap(([which, path]) => [[`Chromium wasm${which}`, 'cpu', path], [`Chromium WebGPU${which}`, 'webgpu', path]]);
  for (let repeat = 0; repeat < Math.max(3, plan.repeats); repeat += 1) {
    for (const [place, device, path] of places) {
      const context = await browser.newContext();
      await context.addInitScript(() => {
        addEventListener('unmasked-step', () => { window.firstToken ??= performance.now(); }, true);
      });
      for (const visit of ['first', 'second']) {
        const page = await context.newPage();
        const sizes = [];
        page.on('requestfinished', (request) => sizes.push(request.sizes().catch(() => null)));
        await settle();
        await page.goto(`${plan.url}${path}#on=causal&device=${device}`);
        const token = await page.waitForFunction(() => window.firstToken, null, { timeout: 120_000 });
        const milliseconds = await token.jsonValue();
        const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + (size?.responseBodySize ?? 0), 0);
        tell({ case: 'cold', place, model: `en-fr-causal, ${visit} visit`, first_ms: milliseconds, bytes, requests: sizes.length });
        await page.close();
      }
      await context.close();
    }
  }
}

try {
  for (const part of plan.parts) await { models, matmuls, colds }[part]();
} finally {
  await browser.close();
}
