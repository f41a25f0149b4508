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
 * A GPU that is lost, or a worker that dies, costs time and nothing else: the engine is loaded again, what was asked is
 * done again, and runs go on after the steps that came from it, read or not. `onDevice` tells of it.
 */

import { downloadFolder } from './download.js';
import { EngineError } from './error.js';
import { isForeign, placeOf } from './hub.js';
import { Losses, MOST_LOSSES } from './losses.js';
import { aborted, call, currentLife } from './worker-client.js';

export { EngineError };

/** @typedef {{ encoder?: number[][], decoder?: number[][], cross?: number[][] }} Gates `[layer][head]` of each attention */

/**
 * @typedef {object} Request
 * @property {string} [text] goes through the model's template
 * @property {number[]} [ids] as they are, no special tokens added
 * @property {string} [pair]
 * @property {number[]} [targetIds] the answer so far
 * @property {number} [sourceLength]
 * @property {number} [maxNewTokens]
 * @property {number[]} [blanks] rows of an encoder that are to be filled; every one that holds [MASK] where absent
 * @property {'parallel'|'confidence'} [fill]
 * @property {{ temperature?: number, topK?: number, topP?: number, seed?: number }} [sampling]
 * @property {number} [candidates]
 * @property {number} [language] the token of the language to answer in, where the model has such tokens
 * @property {number} [sourceLanguage] the token of the language that the text is in, where the model's source names it
 * @property {object} [mask]
 * @property {Gates} [gates] factors of heads, 1 where nothing is said; 0 silences one
 * @property {{ layers?: 'all'|number[], heads?: 'all'|number[], rows?: 'all'|number[], what: string[] }} [watch]
 * @property {AbortSignal} [signal]
 */

/** @type {Map<string, Shared>} */
const shared = new Map();
let lastEngine = 0;
let lastRun = 0;
const losses = new Losses();

/**
 * @param {string|File[]} source URL of a model folder, `hub:owner/name[@revision]`, or the folder's files
 * @param {object} [options]
 * @param {'auto'|'webgpu'|'cpu'} [options.device]
 * @param {(progress: { loaded: number, total: number, file: string }) => void} [options.onProgress]
 * @param {(device: object) => void} [options.onDevice] told of the device with an `event`: `chosen`, `lost`, `recovered`
 * @param {AbortSignal} [options.signal]
 * @param {string} [options.token] for a private model on the hub; kept in memory only
 * @param {Record<string, number>} [options.sizes] bytes of each file, where known (progress, and a check that all came)
 * @returns {Promise<Engine>}
 */
export async function loadEngine(source, { device = 'auto', onProgress, onDevice, signal, sizes, token } = {}) {
  signal?.throwIfAborted();
  checkSource(source, device);
  const key = `${device} ${typeof source === 'string' ? new URL(source, document.baseURI).href : `files ${numberOf(source)}`}`;
  const held = shared.get(key) ?? new Shared(source, device, key, { sizes, token });
  shared.set(key, held);
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

/** Files are shared by those who hand over the same array. @type {WeakMap<File[], number>} */
const numbers = new WeakMap();
let lastFiles = 0;

function numberOf(files) {
  if (!numbers.has(files)) numbers.set(files, (lastFiles += 1));
  return numbers.get(files);
}

function checkSource(source, device) {
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new EngineError({ message: `unknown device \`${device}\``, kind: 'input', what: 'device', expected: 'auto, webgpu or cpu', got: String(device) });
  }
  if (Array.isArray(source)) {
    if (source.length) return;
    throw new EngineError({ message: 'no model files were given', kind: 'input', what: 'source', expected: 'config.json, model.safetensors (or pytorch_model.bin), tokenizer.json', got: 'nothing' });
  }
  const isText = typeof source === 'string' && source !== '';
  if (isText && isForeign(source)) placeOf(source);
  else if (!isText || !URL.canParse(source, document.baseURI)) {
    throw new EngineError({ message: 'the model source is not an address', kind: 'input', what: 'source', expected: 'URL of a model folder or an array of files', got: isText ? source : typeof source });
  }
}

/** One engine in the worker, how many handles hold it, and how it comes back when its GPU or the worker is lost. */
class Shared {
  /** @type {Promise<void>|null} */
  #loading = null;
  /** @type {AbortController|null} of the load under way */
  #abort = null;
  #life = -1;
  #lost = false;
  /** It stays on the CPU, also when the minute of the losses is over. */
  #fallen = false;
  /** @type {string|undefined} */
  #token;

  constructor(source, device, key, { sizes, token }) {
    /** What the worker reads: its files once they are here, where they came from elsewhere. */
    this.source = source;
    this.#token = token;
    this.wanted = device;
    this.key = key;
    this.sizes = sizes;
    this.handles = 0;
    /** Told of progress while it loads. */
    this.listeners = new Set();
    /** Told of the device: `lost`, `recovered`. */
    this.watchers = new Set();
    /** Counts loads: a run begun in an earlier one is to be begun again. */
    this.epoch = 0;
    this.id = 0;
    this.device = null;
    this.description = null;
  }

  get isOpen() { return this.id > 0 && !this.#lost && this.#life === currentLife(); }

  /** Loads once for everybody who waits; loads again where it was lost since. */
  async open(onProgress, signal) {
    if (this.isOpen) return;
    if (this.id > 0 && !this.#lost) this.#lose(`worker ${this.#life}`, 'the engine stopped');
    if (onProgress) this.listeners.add(onProgress);
    this.#loading ??= this.#load().finally(() => { this.#loading = null; });
    try {
      await withSignal(this.#loading, signal);
    } finally {
      if (onProgress) this.listeners.delete(onProgress);
    }
  }

  /**
   * Does `work`; what is lost while it runs is loaded again, and `work` done again. It must not matter that it was
   * begun before: runs say which steps they have taken.
   * @template T
   * @param {(id: number) => Promise<T>} work
   * @param {() => boolean} [isOver] nobody waits for it any more
   * @returns {Promise<T>}
   */
  async use(work, isOver = () => false) {
    for (let tries = 0; ; tries += 1) {
      let { epoch } = this;
      let isAsked = false;
      try {
        await this.open();
        epoch = this.epoch;
        isAsked = true;
        return await work(this.id);
      } catch (error) {
        // Whatever an engine says that was found lost meanwhile: another takes its place.
        const isGone = error.kind === 'lost' || (isAsked && (epoch !== this.epoch || !this.isOpen));
        if (error.name === 'AbortError' || !isGone || tries === MOST_LOSSES || this.handles === 0 || isOver()) throw error;
        if (error.kind === 'lost' && epoch === this.epoch) this.#lose(error.loss, error.message);
      }
    }
  }

  #lose(loss, reason) {
    // A worker that dies under the CPU says nothing of the GPU.
    if (this.device.backend === 'gpu') losses.note(loss);
    if (!this.#lost) this.#tell({ event: 'lost', ...this.device, reason });
    this.#lost = true;
  }

  #tell(event) {
    for (const tell of [...this.watchers]) tell(event);
  }

  async #load() {
    const again = this.id > 0;
    if (again && this.#life === currentLife()) call('free', { engine: this.id }).catch(() => {});
    const id = (lastEngine += 1);
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const onProgress = (progress) => { for (const tell of this.listeners) tell(progress); };
    if (typeof this.source === 'string' && isForeign(this.source)) {
      this.source = (await downloadFolder(placeOf(this.source), { signal, onProgress, token: this.#token })).files;
    }
    const where = typeof this.source === 'string'
      ? { url: new URL(this.source, document.baseURI).href } : { files: this.source };
    // Also a model that is opened after the losses: the page's GPU is one.
    if (losses.tooMany && this.wanted !== 'cpu') this.#fallen = true;
    const options = { device: this.wanted, windowHasGpu: 'gpu' in navigator && Boolean(navigator.gpu), gpuGivenUp: this.#fallen };
    const life = currentLife();
    try {
      const loaded = await call('load', { engine: id, ...where, sizes: this.sizes, options, again }, { signal, onProgress });
      signal.throwIfAborted();
      Object.assign(this, { id, device: loaded.device, description: loaded.description, epoch: this.epoch + 1 });
    } catch (error) {
      // What was given up may be there all the same, its answer on the way.
      if (signal.aborted && life === currentLife()) call('free', { engine: id }).catch(() => {});
      throw error;
    }
    this.#life = life;
    this.#lost = false;
    if (again) this.#tell({ event: 'recovered', ...this.device });
  }

  release() {
    this.handles -= 1;
    if (this.handles > 0) return;
    if (shared.get(this.key) === this) shared.delete(this.key);
    this.#abort?.abort();
    if (this.id > 0 && this.#life === currentLife()) call('free', { engine: this.id }).catch(() => {});
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
    this.#onDevice = (event) => onDevice?.(event);
    held.watchers.add(this.#onDevice);
  }

  /** What runs, on which adapter, and why: { backend, adapter, software, cause, reason, lacks? }. */
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

  /** What each row can know of each token, a grid each: after how many layers its state can hold something of it; 0 is itself, null never. */
  reach(request) { return this.#call('reach', { request: plain(request) }); }

  /** A run to iterate over; `run.header` resolves to the trace's beginning. A loss does not end it: it goes on. */
  generate(request) {
    const held = this.#held;
    const run = new Run(request, {
      use: (work, isOver) => this.#use(work, isOver),
      epoch: () => held.epoch,
      stop: (details) => { if (held.isOpen) call('stop', { engine: held.id, ...details }).catch(() => {}); },
      done: () => this.#runs.delete(run),
    });
    this.#runs.add(run);
    return run;
  }

  /** Stops every run of this handle: their readers get no further step. */
  cancel() { for (const run of [...this.#runs]) run.cancel(); }

  /** Gives the engine back; the last handle's call frees its memory. */
  free() {
    if (this.#freed) return;
    this.cancel();
    this.#freed = true;
    this.#held.watchers.delete(this.#onDevice);
    this.#held.release();
  }

  async #use(work, isOver) {
    if (this.#freed) throw new EngineError({ message: 'this engine was freed', kind: 'input', what: 'engine', expected: 'an engine in use', got: 'a freed one' });
    return this.#held.use(work, isOver);
  }

  #call(method, details, signal) {
    return this.#use((engine) => call(method, { engine, ...details }, { signal }));
  }
}

/** Milliseconds that a step may take for those after it to be computed while the reader has it. */
const SHORT = 20;
/** Pulls under way at once, where steps are short: the engine goes on while what it found is on its way. */
const PULLS = 2;

/**
 * An async iterable of steps. The engine computes what is pulled: one step, or, of short ones, those of some milliseconds
 * and as many ahead. So a reader that stops reading stops the engine.
 */
class Run {
  #engine;
  #request;
  #id = 0;
  #over = false;
  #epoch = -1;
  /** @type {Promise<any>} */
  #begun = Promise.resolve();
  /** Settled when the last pull is. @type {Promise<void>} */
  #last = Promise.resolve();
  /** What came from the engine: a lost run is begun again with these steps taken. */
  #taken = [];
  #stop = () => this.cancel();

  constructor(request, engine) {
    this.#engine = engine;
    this.#request = plain(request);
    this.signal = request.signal;
    this.signal?.addEventListener('abort', this.#stop);
    this.header = this.#open();
    this.header.catch(() => this.#finish());
  }

  async #open() {
    // Of what was before it was listened to, a signal does not tell.
    if (this.signal?.aborted) throw aborted();
    const header = await this.#engine.use((engine) => this.#begin(engine));
    if (this.signal?.aborted || header === undefined) throw aborted();
    return header;
  }

  async #begin(engine) {
    // Cancelled while it waited for its engine.
    if (this.#over) return undefined;
    const id = lastRun += 1;
    this.#id = id;
    this.#epoch = this.#engine.epoch();
    const header = await call('begin', { engine, run: id, request: this.#request, taken: this.#taken });
    // Its last steps were on their way when a later pull found the engine lost, and began it again.
    if (this.#over) this.#engine.stop({ run: id });
    return header;
  }

  /**
   * The next steps; none at the end. Pulls are answered in their order, also where the engine is lost and a later one hears
   * of it first: whoever begins the run again, or asks once more, waits for the pull before. A failure is told when it is read.
   */
  #pull() {
    const before = this.#last;
    let again = false;
    const pull = this.#engine.use(async (engine) => {
      if (again || this.#epoch !== this.#engine.epoch()) await before;
      again = true;
      if (this.#epoch !== this.#engine.epoch()) this.#begun = this.#begin(engine);
      await this.#begun;
      if (this.#over) return [];
      const steps = await call('next', { engine, run: this.#id });
      // At once: a pull behind this one may find the engine lost before anybody reads these.
      for (const { row, chosen } of steps) this.#taken.push({ row, chosen });
      return steps;
    }, () => this.#over);
    this.#last = pull.then(() => {}, () => {});
    return pull;
  }

  async* [Symbol.asyncIterator]() {
    try {
      await this.header;
    } catch (error) {
      // Ended by `cancel` before it began: as later, there is nothing more to read.
      if (error.name === 'AbortError' && !this.signal?.aborted) return;
      throw error;
    }
    try {
      const pulls = [];
      while (!this.#over) {
        if (pulls.length === 0) pulls.push(this.#pull());
        // Of a run that was cancelled meanwhile the engine knows nothing any more.
        const steps = await pulls.shift().catch((error) => { if (this.#over) return []; throw error; });
        if (steps.length === 0 && !this.#over) this.#finish();
        if (this.#over) break;
        const { ended, stats } = steps.at(-1);
        while (!ended && stats.milliseconds < SHORT && pulls.length < PULLS) pulls.push(this.#pull());
        for (const step of steps) {
          yield step;
          if (this.#over) break;
        }
        if (ended) this.cancel();
      }
      if (this.signal?.aborted) throw aborted();
    } finally {
      this.cancel();
    }
  }

  cancel() {
    if (this.#over) return;
    this.#finish();
    if (this.#id > 0) this.#engine.stop({ run: this.#id });
  }

  #finish() {
    this.#over = true;
    this.signal?.removeEventListener('abort', this.#stop);
    this.#engine.done();
  }
}

/** What all engines of the page hold: { engines, runs, wasm_bytes, heap_bytes, heap_peak, buffers, bytes }, the last two on the GPU (textures counted). */
export function usage() {
  return call('usage', {});
}

/** What may cross to the worker: no signal, no undefined fields. */
function plain({ signal, ...request }) {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

function withSignal(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted());
    signal.addEventListener('abort', stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
