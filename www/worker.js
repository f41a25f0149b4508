/**
 * The worker: holds every engine of the page and is the only one that imports the compiled engine.
 * Each engine does one thing at a time, in the order it was asked; a run is pulled some milliseconds of steps at a time.
 *
 * Messages in:  { program } first of all | { call, method, engine, ...arguments } | { abort: call }
 * Messages out: { call, result } | { call, error } | { call, progress } | { fatal }
 *
 * An error of kind `lost` says that the engine's GPU is gone; its `loss` is one number for all engines that were there.
 * The page then loads the engine again (engine.js).
 */

import { readFiles, readFolder } from './files.js';
import { openProgram } from './program.js';

/**
 * An engine: what it does last, its unfinished run, the number of the last one whose turn to begin came, and those that were
 * cancelled before. `wasm` is null once it is freed, `lost` stays true once its GPU was found gone.
 * @typedef {{ wasm: any, tail: Promise<any>, busy: boolean, run: Run|null, begun: number, stopped: Set<number>, lost: boolean, gpu: number, used: number }} Slot
 */
/** @type {Map<number, Slot>} */
const engines = new Map();
/** @type {Map<number, AbortController>} downloads under way, by call */
const downloads = new Map();
/** The page's message that hands the compiled engine over. @type {(module: WebAssembly.Module|null) => void} */
let hand = () => {};
const program = new Promise((resolve) => { hand = resolve; }).then(openProgram);
program.catch(() => {});
/** The compiled engine, opened once. */
const compiled = () => program;
/** Numbers the GPU devices that this worker had, one after the other. */
let gpu = 0;

/** Bytes that all engines hold together before those that idle give back what they can make again. */
const BUDGET = 2 ** 30 * Math.min(2, Math.max(0.5, (/** @type {any} */ (navigator).deviceMemory ?? 4) / 4));

/** Engines that load at once share one GPU device: it is opened once. */
let opening = Promise.resolve();
/** @type {(work: () => Promise<any>) => Promise<any>} */
const oneByOne = (work) => (opening = opening.then(work, work));

/**
 * Opens the device, and while the weights are on their way has the GPU compile what `config.json` says that it will need.
 * What is wrong here is wrong when the model is loaded, and told then.
 */
async function warm(config, options) {
  try {
    const [{ WasmEngine }, bytes] = await Promise.all([compiled(), config.read(0, config.size)]);
    await oneByOne(() => WasmEngine.warm(bytes, options));
  } catch { /* see above */ }
}

/**
 * Milliseconds of steps that cross to the page in one message, a frame: what comes within it is seen at once, and with one
 * message a step short steps took a sixth longer and more. The first goes alone, since it is waited for.
 */
const BATCH_MILLISECONDS = 16;
/** Of those that wait in `ready` at most so many. */
const MOST_READY = 16;

/** One begun run of an engine. Steps wait in `ready` when another request needed the engine before they were pulled. */
class Run {
  constructor(id, engine) {
    this.id = id;
    this.engine = engine;
    this.ready = [];
    this.pulled = false;
    this.ended = false;
    this.error = null;
  }
}

const methods = {
  async load({ engine, url, files, sizes, options, again }, call) {
    const abort = new AbortController();
    downloads.set(call, abort);
    const { signal } = abort;
    const onProgress = (progress) => postMessage({ call, progress });
    const cache = again ? 'force-cache' : 'default';
    let warmed;
    const onFile = (file) => { if (file.name === 'config.json') warmed = warm(file, options); };
    try {
      const [{ WasmEngine }, read] = await Promise.all([
        compiled(),
        files ? readFiles(files, { onProgress, signal }) : readFolder(url, { sizes, onProgress, onFile, signal, cache }),
      ]);
      signal.throwIfAborted();
      await makeRoom(read.reduce((sum, { size }) => sum + size, 0));
      if (files) read.forEach(onFile);
      await warmed;
      const wasm = await withRoom(() => WasmEngine.load(read, options)).catch((error) => {
        // What did not come is the reason, whatever the engine says of its absence.
        throw read.find(({ failure }) => failure)?.failure ?? error;
      });
      try {
        await Promise.all(read.map(({ whole }) => whole));
        signal.throwIfAborted();
      } catch (error) {
        wasm.free();
        throw error;
      }
      const told = await Promise.resolve().then(async () => ({ device: await named(wasm.device()), description: wasm.describe() }))
        // Given up while the adapter was asked for its name: nobody will free it.
        .then((answer) => { signal.throwIfAborted(); return answer; })
        .catch((error) => { wasm.free(); throw error; });
      engines.set(engine, { wasm, tail: Promise.resolve(), busy: false, run: null, begun: 0, stopped: new Set(), lost: false, gpu, used: performance.now() });
      return told;
    } catch (error) {
      signal.throwIfAborted();
      // The rest of the files is of no use.
      abort.abort();
      throw error;
    } finally {
      downloads.delete(call);
    }
  },
  free({ engine }) {
    const slot = engines.get(engine);
    engines.delete(engine);
    for (const [id, run] of runs) if (run.engine === engine) runs.delete(id);
    return slot?.tail.then(() => {
      isLost(slot);
      slot.wasm.free();
      slot.wasm = null;
    });
  },
  usage: async () => ({ engines: engines.size, runs: runs.size, ...(await compiled()).usage() }),
  tokenize: ({ engine, text, pair }) => inTurn(engine, ({ wasm }) => wasm.tokenize(text, pair)),
  maskPicture: ({ engine, request }) => inTurn(engine, ({ wasm }) => wasm.maskPicture(request)),
  reach: ({ engine, request }) => inTurn(engine, ({ wasm }) => wasm.reach(request)),
  forward: ({ engine, request }) => inTurn(engine, async (slot) => {
    await drain(slot);
    return withRoom(() => slot.wasm.forward(request), slot);
  }),
  sweep: ({ engine, request, variants }) => inTurn(engine, async (slot) => {
    await drain(slot);
    return withRoom(() => slot.wasm.sweep(request, variants), slot);
  }),
  begin: ({ engine, run, request, taken }) => inTurn(engine, async (slot) => {
    await drain(slot);
    slot.run = null;
    try {
      if (slot.stopped.has(run)) return undefined;
      const header = await withRoom(() => (taken?.length ? slot.wasm.resume(request, taken) : slot.wasm.begin(request)), slot);
      // Cancelled, or the engine freed, while it began.
      if (slot.stopped.has(run) || engines.get(engine) !== slot) return header;
      slot.run = new Run(run, engine);
      runs.set(run, slot.run);
      return header;
    } finally {
      slot.begun = run;
      slot.stopped.delete(run);
    }
  }),
  next: ({ engine, run }) => inTurn(engine, async (slot) => {
    const own = runs.get(run);
    if (!own) throw new Error('this run is over');
    if (own.ready.length) return own.ready.splice(0, MOST_READY);
    if (own.error) throw own.error;
    if (own.ended || slot.run !== own) return finish(slot, own);
    const milliseconds = own.pulled ? BATCH_MILLISECONDS : 0;
    own.pulled = true;
    const steps = await withRoom(() => slot.wasm.next(milliseconds), slot);
    return steps.length ? steps : finish(slot, own);
  }),
  stop({ engine, run }) {
    const [own, slot] = [runs.get(run), engines.get(engine)];
    if (own) finish(slot, own);
    else if (slot && slot.begun < run) slot.stopped.add(run);
  },
};

/** @type {Map<number, Run>} runs somebody may still pull from */
const runs = new Map();

/** Of a run that is over come no steps. */
function finish(slot, run) {
  run.ended = true;
  runs.delete(run.id);
  if (slot?.run === run) slot.run = null;
  return [];
}

/** Another request wants the engine: what the unfinished run still has to say is computed now and kept for its reader. */
async function drain(slot) {
  const { run } = slot;
  try {
    while (run && !run.ended) {
      const steps = await withRoom(() => slot.wasm.next(BATCH_MILLISECONDS), slot);
      if (steps.length === 0) run.ended = true;
      else run.ready.push(...steps);
    }
  } catch (error) {
    run.error = error;
    run.ended = true;
  }
}

/** More is about to be held: engines give caches back, those that idle longest first, until it fits the budget. */
async function makeRoom(bytes, besides = null) {
  const { usage } = await compiled();
  const idle = [...engines.values()].filter((slot) => slot !== besides && !slot.busy);
  for (const slot of idle.sort((a, b) => a.used - b.used)) {
    const held = usage();
    if (held.bytes + held.heap_bytes + bytes <= BUDGET) return;
    slot.wasm.rest();
  }
}

/** Does `work`; where the device has no memory left for it, once more after the other engines made room. */
async function withRoom(work, slot = null) {
  try {
    return await work();
  } catch (error) {
    if (error?.kind !== 'memory' || engines.size <= (slot ? 1 : 0)) throw error;
    await makeRoom(Infinity, slot);
    return work();
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
  const turn = slot.tail.then(async () => {
    slot.busy = true;
    try {
      return await work(slot);
    } finally {
      slot.busy = false;
      slot.used = performance.now();
    }
  });
  slot.tail = turn.catch(() => {});
  return turn;
}

/** Milliseconds that a browser may need to tell of a loss after the calls that failed by it. */
const LOSS_IS_TOLD = 50;

/** Whether an engine's GPU is gone; of a freed one, whether it was when it was freed. */
const isLost = (slot) => (slot.lost ||= slot.wasm?.isLost() ?? false);

/** An error as it crosses to the page. What fails on a GPU that is gone is its loss, whatever the error itself says. */
async function plainError(error, slot) {
  const plain = {
    name: error?.name ?? 'Error',
    message: String(error?.message ?? error).split('\n')[0] || 'the engine gave no reason',
    kind: error?.kind, what: error?.what, expected: error?.expected, got: error?.got, trouble: error?.trouble, values: error?.values,
  };
  if (plain.kind === 'device' && slot) await new Promise((resolve) => { setTimeout(resolve, LOSS_IS_TOLD); });
  if (plain.kind !== 'lost' && !(plain.kind === 'device' && slot && isLost(slot))) return plain;
  const loss = slot?.gpu ?? gpu;
  if (loss === gpu) gpu += 1;
  return { ...plain, kind: 'lost', loss };
}

/** A trap leaves the engine's memory in an unknown state: the page starts a new worker. */
function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError || error?.fatal === true;
}

const tellFatal = async (error) => postMessage({ fatal: await plainError(error) });

addEventListener('message', async ({ data }) => {
  if ('program' in data) {
    hand(data.program);
    return;
  }
  if (data.abort !== undefined) {
    downloads.get(data.abort)?.abort();
    return;
  }
  const { call, method, engine } = data;
  // As it is now: it may be freed before this fails.
  const slot = engines.get(engine);
  try {
    const result = await methods[method](data, call);
    postMessage({ call, result });
  } catch (error) {
    if (isTrap(error)) tellFatal(error);
    else postMessage({ call, error: await plainError(error, slot) });
  }
});

addEventListener('unhandledrejection', (event) => { if (isTrap(event.reason)) tellFatal(event.reason); });
addEventListener('error', (event) => { if (isTrap(event.error)) tellFatal(event.error); });
