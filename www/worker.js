/**
 * The worker: holds every engine of the page and is the only one that imports the compiled engine.
 * Each engine does one thing at a time, in the order it was asked; a run is pulled step by step.
 *
 * Messages in:  { call, method, engine, ...arguments } | { abort: call }
 * Messages out: { call, result } | { call, error } | { call, progress } | { fatal }
 */

import { readFiles, readFolder } from './files.js';
import { openProgram } from './program.js';

/** @type {Map<number, { wasm: any, tail: Promise<any>, run: Run|null }>} */
const engines = new Map();
/** @type {Map<number, AbortController>} downloads under way, by call */
const downloads = new Map();
/** @type {Promise<any>|undefined} */
let program;
/** The compiled engine, opened once. */
const compiled = () => (program ??= openProgram());

/** Engines that load at once share one GPU device: it is opened once. */
let opening = Promise.resolve();
const oneByOne = (work) => (opening = opening.then(work, work));

/** While the weights are on their way, the GPU compiles what `config.json` says that it will need. */
async function warm({ name, bytes }, options) {
  if (name !== 'config.json') return;
  // What is wrong here is wrong when the model is loaded, and told then.
  const { WasmEngine } = await compiled().catch(() => ({}));
  await oneByOne(() => WasmEngine?.warm(bytes, options)).catch(() => {});
}

/** One begun run of an engine. Steps wait in `ready` when another request needed the engine before they were pulled. */
class Run {
  constructor(id) {
    this.id = id;
    this.ready = [];
    this.ended = false;
    this.error = null;
  }
}

const methods = {
  async load({ engine, url, files, sizes, device }, call) {
    const abort = new AbortController();
    downloads.set(call, abort);
    const onProgress = (progress) => postMessage({ call, progress });
    try {
      const [{ WasmEngine }, read] = await Promise.all([
        compiled(),
        files ? readFiles(files, { onProgress })
          : readFolder(url, { sizes, onProgress, onFile: (file) => warm(file, { device }), signal: abort.signal }),
      ]);
      abort.signal.throwIfAborted();
      const wasm = await oneByOne(() => WasmEngine.load(read, { device }));
      if (abort.signal.aborted) wasm.free();
      abort.signal.throwIfAborted();
      engines.set(engine, { wasm, tail: Promise.resolve(), run: null });
      return { device: await named(wasm.device()), description: wasm.describe() };
    } finally {
      downloads.delete(call);
    }
  },
  free({ engine }) {
    const slot = engines.get(engine);
    engines.delete(engine);
    return slot?.tail.then(() => slot.wasm.free());
  },
  device: ({ engine }) => slotOf(engine).wasm.device(),
  describe: ({ engine }) => slotOf(engine).wasm.describe(),
  tokenize: ({ engine, text, pair }) => inTurn(engine, ({ wasm }) => wasm.tokenize(text, pair)),
  maskPicture: ({ engine, request }) => inTurn(engine, ({ wasm }) => wasm.maskPicture(request)),
  forward: ({ engine, request }) => inTurn(engine, async (slot) => {
    await drain(slot);
    return slot.wasm.forward(request);
  }),
  sweep: ({ engine, request, variants }) => inTurn(engine, async (slot) => {
    await drain(slot);
    return slot.wasm.sweep(request, variants);
  }),
  begin: ({ engine, run, request }) => inTurn(engine, async (slot) => {
    await drain(slot);
    slot.run = null;
    if (stopped.delete(run)) return undefined;
    const header = await slot.wasm.begin(request);
    if (stopped.delete(run)) return header;
    slot.run = new Run(run);
    runs.set(run, slot.run);
    return header;
  }),
  next: ({ engine, run }) => inTurn(engine, async (slot) => {
    const own = runs.get(run);
    if (!own) throw new Error('this run is over');
    if (own.ready.length) return own.ready.shift();
    if (own.error) throw own.error;
    const step = own.ended || slot.run !== own ? undefined : await slot.wasm.next();
    if (step === undefined) finish(slot, own);
    return step;
  }),
  stop({ engine, run }) {
    const own = runs.get(run);
    if (!own) {
      if (engines.has(engine)) stopped.add(run);
      return;
    }
    own.ended = true;
    finish(engines.get(engine), own);
  },
};

/** @type {Map<number, Run>} runs somebody may still pull from */
const runs = new Map();
/** @type {Set<number>} runs cancelled before their turn to begin came */
const stopped = new Set();

function finish(slot, run) {
  run.ended = true;
  runs.delete(run.id);
  if (slot?.run === run) slot.run = null;
}

/** Another request wants the engine: what the unfinished run still has to say is computed now and kept for its reader. */
async function drain(slot) {
  const { run } = slot;
  try {
    while (run && !run.ended) {
      const step = await slot.wasm.next();
      if (step === undefined) run.ended = true;
      else run.ready.push(step);
    }
  } catch (error) {
    run.error = error;
    run.ended = true;
  }
}

/** The compiled engine is not told an adapter's maker by every browser; JavaScript is. */
async function named(device) {
  const unnamed = 'unnamed adapter';
  if (![device.adapter, device.reason].some((text) => text?.includes(unnamed))) return device;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const { description, vendor, architecture } = adapter?.info ?? {};
  const name = description || [vendor, architecture].filter(Boolean).join(' ');
  if (!name) return device;
  return { ...device, adapter: device.adapter?.replace(unnamed, name), reason: device.reason?.replace(unnamed, name) };
}

function slotOf(engine) {
  const slot = engines.get(engine);
  if (!slot) throw new Error('this engine was freed');
  return slot;
}

/** Queues work of one engine behind what it is doing. */
function inTurn(engine, work) {
  const slot = slotOf(engine);
  const turn = slot.tail.then(() => work(slot));
  slot.tail = turn.catch(() => {});
  return turn;
}

function plainError(error) {
  return {
    name: error?.name ?? 'Error',
    message: String(error?.message ?? error).split('\n')[0] || 'the engine gave no reason',
    what: error?.what, expected: error?.expected, got: error?.got,
  };
}

/** A trap leaves the engine's memory in an unknown state: the page starts a new worker. */
function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError || error?.fatal === true;
}

addEventListener('message', async ({ data }) => {
  if (data.abort !== undefined) {
    downloads.get(data.abort)?.abort();
    return;
  }
  const { call, method } = data;
  try {
    const result = await methods[method](data, call);
    postMessage({ call, result });
  } catch (error) {
    if (isTrap(error)) postMessage({ fatal: plainError(error) });
    else postMessage({ call, error: plainError(error) });
  }
});

addEventListener('unhandledrejection', (event) => {
  if (isTrap(event.reason)) postMessage({ fatal: plainError(event.reason) });
});
addEventListener('error', (event) => {
  if (isTrap(event.error)) postMessage({ fatal: plainError(event.error) });
});
