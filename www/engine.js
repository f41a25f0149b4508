/**
 * The engine, as a page uses it. It lives in a worker; nothing here computes a model.
 *
 *   const engine = await loadEngine('models/en-fr-causal/', { onProgress });
 *   const run = engine.generate({ text: 'Where is the cat?', maxNewTokens: 20 });
 *   const header = await run.header;
 *   for await (const step of run) console.log(step.piece);
 *   engine.free();
 *
 * Engines of one source and device are shared: each handle is freed on its own, the last one frees the engine.
 */

import { EngineError, aborted, call, currentLife } from './worker-client.js';

export { EngineError };

/**
 * @typedef {object} Request
 * @property {string} [text] goes through the model's template
 * @property {number[]} [ids] as they are, no special tokens added
 * @property {string} [pair]
 * @property {number[]} [targetIds] the answer so far
 * @property {number} [sourceLength]
 * @property {number} [maxNewTokens]
 * @property {'parallel'|'confidence'} [fill]
 * @property {{ temperature?: number, topK?: number, topP?: number, seed?: number }} [sampling]
 * @property {number} [candidates]
 * @property {object} [mask]
 * @property {number[][]} [gates]
 * @property {{ layers?: 'all'|number[], heads?: 'all'|number[], rows?: 'all'|number[], what: string[] }} [watch]
 * @property {AbortSignal} [signal]
 */

/** @type {Map<string, Shared>} */
const shared = new Map();
let lastEngine = 0;
let lastRun = 0;

/**
 * @param {string|File[]} source URL of a model folder, or its files
 * @param {object} [options]
 * @param {'auto'|'webgpu'|'cpu'} [options.device]
 * @param {(progress: { loaded: number, total: number, file: string }) => void} [options.onProgress]
 * @param {(device: object) => void} [options.onDevice] told of the choice, and of loss and recovery
 * @param {AbortSignal} [options.signal]
 * @param {Record<string, number>} [options.sizes] bytes of each file, where known (progress, and a check that all came)
 * @returns {Promise<Engine>}
 */
export async function loadEngine(source, { device = 'auto', onProgress, onDevice, signal, sizes } = {}) {
  signal?.throwIfAborted();
  checkSource(source, device);
  const key = typeof source === 'string' ? `${device} ${new URL(source, document.baseURI).href}` : null;
  const held = (key !== null && shared.get(key)) || new Shared(source, device, key, sizes);
  if (key !== null) shared.set(key, held);
  held.handles += 1;
  try {
    await held.open(onProgress, signal);
  } catch (error) {
    held.release();
    throw error;
  }
  onDevice?.({ event: 'chosen', ...held.device });
  return new Engine(held, onDevice);
}

function checkSource(source, device) {
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new EngineError({ message: `unknown device \`${device}\``, what: 'device', expected: 'auto, webgpu or cpu', got: String(device) });
  }
  if (Array.isArray(source)) {
    if (source.length) return;
    throw new EngineError({ message: 'no model files were given', what: 'source', expected: 'config.json, model.safetensors, tokenizer.json', got: 'nothing' });
  }
  if (typeof source !== 'string' || source === '') {
    throw new EngineError({ message: 'the model source is not an address', what: 'source', expected: 'URL of a model folder or an array of files', got: typeof source });
  }
  if (source.startsWith('hub:')) {
    throw new EngineError({ message: `\`${source}\`: loading from a hub is not available yet`, what: 'source', expected: 'URL of a model folder or an array of files', got: source });
  }
}

/** One engine in the worker and how many handles hold it. */
class Shared {
  constructor(source, device, key, sizes) {
    this.source = source;
    this.wanted = device;
    this.key = key;
    this.sizes = sizes;
    this.handles = 0;
    this.listeners = new Set();
    this.loading = null;
    this.life = -1;
    this.id = 0;
    this.device = null;
    this.description = null;
  }

  get isOpen() { return this.id > 0 && this.life === currentLife(); }

  /** Loads once for everybody who waits; loads again where the worker has died since. */
  async open(onProgress, signal) {
    if (this.isOpen) return;
    if (onProgress) this.listeners.add(onProgress);
    this.loading ??= this.#load().finally(() => { this.loading = null; });
    try {
      await withSignal(this.loading, signal);
    } finally {
      if (onProgress) this.listeners.delete(onProgress);
    }
  }

  async #load() {
    const id = (lastEngine += 1);
    this.abort = new AbortController();
    const where = typeof this.source === 'string'
      ? { url: new URL(this.source, document.baseURI).href } : { files: this.source };
    const life = currentLife();
    const loaded = await call('load', { engine: id, ...where, sizes: this.sizes, device: this.wanted }, {
      signal: this.abort.signal,
      onProgress: (progress) => { for (const tell of this.listeners) tell(progress); },
    });
    this.life = life;
    this.id = id;
    this.device = loaded.device;
    this.description = loaded.description;
  }

  release() {
    this.handles -= 1;
    if (this.handles > 0) return;
    if (this.key !== null && shared.get(this.key) === this) shared.delete(this.key);
    if (this.loading) this.abort.abort();
    else if (this.isOpen) call('free', { engine: this.id }).catch(() => {});
    this.id = 0;
  }
}

/** A handle on an engine. */
export class Engine {
  #held;
  #runs = new Set();
  #freed = false;
  #onDevice;

  constructor(held, onDevice) {
    this.#held = held;
    this.#onDevice = onDevice;
  }

  /** What runs, on which adapter, and why: { backend, adapter, software, reason }. */
  get device() { return this.#held.device; }

  /** What the model is: family, architecture, sizes, heads, masks, ledger. */
  describe() { return this.#held.description; }

  /** { tokens: [{ id, piece, special, start, end }], source_length, truncated }, the template applied. */
  tokenize(text, pair) { return this.#call('tokenize', { text, pair }); }

  /** One forward pass: a trace with `forward` and no steps. */
  forward(request) { return this.#call('forward', { request: plain(request) }, request.signal); }

  /** One forward pass a variant, played as one batch. */
  sweep(request, variants) { return this.#call('sweep', { request: plain(request), variants }, request.signal); }

  /** The mask that a request would run under, as rows of 0 and 1 with its rule. */
  maskPicture(request) { return this.#call('maskPicture', { request: plain(request) }); }

  /** A run to iterate over; `run.header` resolves to the trace's beginning. */
  generate(request) {
    const held = this.#held;
    const run = new Run(request, {
      begin: (details) => this.#call('begin', details),
      next: (details) => this.#call('next', details),
      stop: (details) => { if (held.isOpen) call('stop', { engine: held.id, ...details }).catch(() => {}); },
      life: () => (held.isOpen ? held.life : -1),
      done: () => this.#runs.delete(run),
    });
    this.#runs.add(run);
    return run;
  }

  /** Stops every run of this handle between two steps. */
  cancel() { for (const run of [...this.#runs]) run.cancel(); }

  /** Gives the engine back; the last handle's call frees its memory. */
  free() {
    if (this.#freed) return;
    this.cancel();
    this.#freed = true;
    this.#held.release();
  }

  async #call(method, details, signal) {
    if (this.#freed) throw new EngineError({ message: 'this engine was freed', what: 'engine', expected: 'an engine in use', got: 'a freed one' });
    const before = this.#held.life;
    await this.#held.open();
    if (before !== this.#held.life) this.#onDevice?.({ event: 'restored', ...this.#held.device });
    return call(method, { engine: this.#held.id, ...details }, { signal });
  }
}

/** An async iterable of steps. Pulls one step at a time, so a reader that stops reading stops the engine. */
class Run {
  #engine;
  #id = (lastRun += 1);
  #over = false;
  #life = -1;

  constructor(request, engine) {
    this.#engine = engine;
    this.signal = request.signal;
    this.signal?.addEventListener('abort', () => this.cancel(), { once: true });
    this.header = this.#begin(plain(request));
    this.header.catch(() => this.#finish());
  }

  async #begin(request) {
    const header = await this.#engine.begin({ run: this.#id, request });
    this.#life = this.#engine.life();
    if (this.signal?.aborted) throw aborted();
    return header;
  }

  async* [Symbol.asyncIterator]() {
    await this.header;
    try {
      while (!this.#over) {
        if (this.#life !== this.#engine.life()) {
          throw new EngineError({ message: 'the run was lost when the engine stopped', what: 'run', expected: 'an engine that holds it', got: 'a new one' });
        }
        const step = await this.#engine.next({ run: this.#id });
        if (this.#over) break;
        if (step === undefined) { this.#finish(); break; }
        yield step;
      }
      if (this.signal?.aborted) throw aborted();
    } finally {
      this.cancel();
    }
  }

  cancel() {
    if (this.#over) return;
    this.#finish();
    this.#engine.stop({ run: this.#id });
  }

  #finish() {
    this.#over = true;
    this.#engine.done();
  }
}

/** What may cross to the worker: no signal, no undefined fields. */
function plain({ signal, ...request }) {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

function withSignal(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(aborted()), { once: true });
    promise.then(resolve, reject);
  });
}
