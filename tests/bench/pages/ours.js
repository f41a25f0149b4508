/** The engine as a page uses it, through its worker, with a stamp when each step reaches its reader: several come together. */
import { loadEngine, usage } from '/engine.js';
import { compileProgram } from '/place.js';
import { openProgram } from '/program.js';

/** Nothing is watched: how a page runs that only wants the text. */
const NOTHING = { what: [] };
const ALL = { layers: 'all', heads: 'all', rows: 'all', what: ['attention'] };

const engines = new Map();

async function engineOf(model, device) {
  const key = `${model} ${device}`;
  if (!engines.has(key)) engines.set(key, await loadEngine(model, { device }));
  return engines.get(key);
}

/** How long a model takes from its address to an engine that can be asked. */
async function load({ model, device }) {
  const start = performance.now();
  await engineOf(model, device);
  return { load_ms: performance.now() - start };
}

/** What the engines hold: of the page's memory, which never shrinks, and on the GPU. */
async function memory() {
  const { wasm_bytes, bytes } = await usage();
  return { memory_bytes: wasm_bytes, gpu_bytes: bytes || null };
}

async function steps(engine, request, most = Infinity) {
  const start = performance.now();
  const run = engine.generate(request);
  await run.header;
  const stamps = [];
  const found = [];
  for await (const step of run) {
    stamps.push(performance.now() - start);
    found.push(step);
    if (found.length === most) break;
  }
  return { stamps, found };
}

const average = (steps, field) => steps.reduce((sum, step) => sum + step.stats[field], 0) / steps.length;

/** One run from nothing: `{ text | ids, tokens, watch }`. */
async function sample({ model, device, text, ids, tokens, watch }) {
  const engine = await engineOf(model, device);
  const description = engine.describe();
  const { architecture, special } = description;
  // Another beginning makes every row of the cache stale.
  await steps(engine, { ids: [11, 11], maxNewTokens: 1, candidates: 1, watch: NOTHING }, 1);
  const request = { maxNewTokens: tokens, candidates: watch ? 10 : 1, watch: watch ? ALL : NOTHING };
  if (architecture === 'encoder') {
    // An encoder says something of every row where every row is a blank.
    const rows = ids ?? (await engine.tokenize(text)).tokens.map((token) => token.id);
    request.ids = rows.map((id) => special.mask ?? id);
  } else if (ids) request.ids = ids;
  else request.text = text;
  const { stamps, found } = await steps(engine, request);
  const [first, ...later] = found;
  const record = {
    adapter: engine.device.adapter, first_ms: stamps[0], tokens: found.length, ids: found.map((step) => step.chosen),
    first_dispatches: first.stats.dispatches,
  };
  if (architecture !== 'encoder' && later.length) {
    record.tokens_per_s = later.length / (stamps.at(-1) - stamps[0]) * 1e3;
    for (const field of ['dispatches', 'submits', 'readbacks']) record[field] = average(later, field);
  }
  return record;
}

/** Milliseconds of a sample at least, as in peers.js; one play, where it takes longer. */
const SAMPLE = 100;
const matmuls = new Map();
/** The compiled engine, here without its worker. */
let program;

async function matmul({ shape, format, device }) {
  const key = `${shape} ${format} ${device}`;
  const { MatmulSpeed } = await (program ??= compileProgram().then(openProgram));
  if (!matmuls.has(key)) {
    const made = await MatmulSpeed.ready(shape, format, { device });
    await made.measure();
    matmuls.set(key, made);
  }
  const made = matmuls.get(key);
  // Whoever was measured before has left the caches and the other cores to itself: the first measurement is not told.
  await made.measure();
  const start = performance.now();
  let [count, inverse] = [0, 0];
  do {
    inverse += 1 / (await made.measure());
    count += 1;
  } while (performance.now() - start < SAMPLE);
  return { gflops: count / inverse };
}

window.bench = { load, memory, sample, matmul, free: () => { for (const made of matmuls.values()) made.free(); matmuls.clear(); } };
document.documentElement.dataset.ready = 'true';
