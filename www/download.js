/**
 * A model folder from elsewhere, read by the page's own thread: its worker may speak to its own host only.
 *
 * A file arrives in pieces. What broke off is asked for again from where it stopped, and taken only if it is still the
 * same file: by its ETag and its length. (`If-Range` would have the server decide, but it is a header that makes a
 * browser ask a foreign host for leave first, which many that store files do not give. `Range` alone needs none.)
 *
 * @typedef {{ loaded: number, total: number, file: string }} Progress   total 0 = not known
 * @typedef {{ fetch?: typeof fetch, wait?: (milliseconds: number, signal?: AbortSignal) => Promise<void>, token?: string,
 *   signal?: AbortSignal, onProgress?: (progress: Progress) => void, keeper?: Keeper|null }} Means
 *   token: for the hub, sent nowhere else; keeper: where pieces lie when this page is closed
 * @typedef {object} Keeper   see kept.js
 * @property {(commit: string|null) => Promise<void>} begin
 * @property {(name: string) => Promise<{ length: number, tag: string|null, pieces: Blob[] }|null>} read
 * @property {(name: string, piece: Blob, of: { length: number, tag: string|null }) => void} add
 * @property {(name: string) => void} clear
 * @property {() => Promise<void>} settled
 */

import { EngineError } from './error.js';
import { FORMS, FORM_NAMES, isShard, readTokenizer, shardsOf } from './files.js';
import { pinned } from './hub.js';
import { translator } from './i18n/index.js';

const say = translator('en');

/** Milliseconds before each new try of a download that broke off. What comes on in between starts the count anew. */
const PAUSES = [500, 2000, 5000];
/** So many bytes are handed to the browser's store at once, which can lay them on disk. */
const PIECE = 2 ** 24;
/** Milliseconds after which less is handed over: what a slow download brought should not be lost with its page. */
const LONGEST_LOOSE = 5000;

/**
 * What went wrong with a download. Its sentence stands in the dictionaries under `open.error.` and `trouble`; like all
 * of the engine's errors it is told in English, and the page finds its own words.
 */
class DownloadError extends EngineError {
  /**
   * @param {'token'|'forbidden'|'missing'|'status'|'silent'|'policy'|'broken'|'length'|'index'} trouble
   * @param {Record<string, any>} values
   */
  constructor(trouble, values) {
    super({ message: say(`open.error.${trouble}`, values), kind: trouble === 'index' ? 'input' : 'download', what: values.file, ...cameOf(trouble, values), trouble, values });
  }
}

/** What was expected of a file, and what came. @param {string} trouble @param {Record<string, any>} values */
function cameOf(trouble, { status, expected, got }) {
  if (trouble === 'index') return { expected: 'a weight_map', got: 'none' };
  if (got !== undefined) return { expected: expected === '?' ? 'the whole file' : `${expected} bytes`, got: `${got} bytes` };
  return status ? { expected: '200', got: String(status) } : { expected: 'a file', got: 'no answer' };
}

/**
 * What has come of folders that broke off, by their address, where nothing keeps it: the next try goes on from there.
 * @type {Map<string, Map<string, Part>>}
 */
const unfinished = new Map();

/**
 * Every file that the engine takes from a folder of `place`.
 * @param {import('./hub.js').Place} place
 * @param {Means} [means]
 * @returns {Promise<{ files: File[], commit: string|null }>} commit: which one, where the hub said so
 */
export async function downloadFolder(place, { keeper = null, ...means } = {}) {
  const parts = unfinished.get(place.base) ?? new Map();
  unfinished.delete(place.base);
  const stop = new AbortController();
  const signal = means.signal ? AbortSignal.any([means.signal, stop.signal]) : stop.signal;
  const token = place.hub ? means.token : undefined;
  const own = { ...means, signal, token, parts, tally: new Tally(means.onProgress) };
  /** @type {Array<Promise<File[]>>} */
  let under = [];
  try {
    // Always asked for anew: it says which commit the rest is to be of.
    const anew = new Map();
    const config = await downloadFile(place.base, 'config.json', { ...own, parts: anew });
    const part = /** @type {Part} */ (anew.get('config.json'));
    const { commit } = part;
    const { base, hub } = pinned(place, commit);
    const isPinned = commit !== null && hub?.revision === commit;
    const before = parts.get('config.json');
    if (before && !(isPinned && commit === before.commit)) doubt(parts, commit === before.commit && await before.file().text() === await config.text());
    parts.set('config.json', part);
    await keeper?.begin(commit);
    const read = (name) => downloadFile(base, name, { ...own, keeper, isPinned });
    const optional = (name) => read(name).catch((error) => {
      if (error.trouble === 'missing') return null;
      throw error;
    });
    under = [readTokenizer(optional), readWeights(read, optional, own.tally, base), optional('generation_config.json').then((file) => (file ? [file] : []))];
    return { files: [config, ...(await Promise.all(under)).flat()], commit };
  } catch (error) {
    stop.abort(error);
    if (!keeper && !means.signal?.aborted) unfinished.set(place.base, parts);
    // What the others have is still to be handed over.
    await Promise.allSettled(under);
    await keeper?.settled();
    throw error;
  }
}

/**
 * What came before of a folder that may be another by now: its host is asked whether each file is still the same. Where its
 * length alone could tell, what else is known decides: other weights of one architecture are as long.
 * @param {Map<string, Part>} parts @param {boolean} isLike whether its config and its commit are the same
 */
function doubt(parts, isLike) {
  for (const [name, part] of parts) {
    if (part.whole && !part.isComplete || !isLike && !isStrong(part.tag)) parts.delete(name);
    part.whole = false;
  }
}

/** Whether an ETag says that bytes are the same, not only what they mean. @param {string|null} tag */
const isStrong = (tag) => tag !== null && !tag.startsWith('W/');

/** One file, or those that an index names, in the first form that is there. */
async function readWeights(read, optional, tally, base) {
  for (const { one, index: indexName } of FORMS) {
    const index = await optional(indexName);
    if (index) {
      const { names, bytes } = shardsOf(await index.text());
      if (!names.length) throw new DownloadError('index', { file: indexName });
      tally.shards = bytes;
      const shards = [];
      // One after the other: a connection that is shared by all would break off for all.
      for (const name of names) shards.push(await read(name));
      return [index, ...shards];
    }
    const file = await optional(one);
    if (file) return [file];
  }
  throw new DownloadError('missing', { file: FORM_NAMES, host: new URL(base).host, status: 404 });
}

/**
 * One file whole.
 * @param {string} base
 * @param {string} name
 * @param {Means & { tally?: Tally, parts?: Map<string, Part>, isPinned?: boolean }} means   isPinned: the address has this very file for ever
 * @returns {Promise<File>}
 */
export async function downloadFile(base, name, { fetch: ask = fetch, wait = pause, token, signal, tally = new Tally(), parts = new Map(), keeper = null, isPinned = false } = {}) {
  const part = parts.get(name) ?? new Part(name, keeper);
  if (keeper && !parts.has(name)) await part.restore(isPinned);
  parts.set(name, part);
  if (part.bytes) tally.arrived(name, part.bytes, part.length);
  for (let tries = 0; !part.whole; tries += 1) {
    const before = part.bytes;
    try {
      await readOn(part, base + name, { ask, signal, tally, token });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      // A host that never said a word is not there; one that did may come back.
      const mayComeBack = error.trouble === 'broken' || error.trouble === 'silent' && part.bytes > 0;
      if (!mayComeBack) throw error;
      if (part.bytes > before) tries = 0;
      if (tries === PAUSES.length) throw part.brokenOff();
      await wait(PAUSES[tries], signal);
    }
  }
  return part.file();
}

/** What has arrived of a file. */
class Part {
  /** @param {string} name @param {Keeper|null} [keeper] */
  constructor(name, keeper = null) {
    this.name = name;
    this.keeper = keeper;
    this.settledAt = performance.now();
    this.bytes = 0;
    this.whole = false;
    /** Of the whole file; 0 = not told. */
    this.length = 0;
    /** @type {string|null} */
    this.tag = null;
    /** @type {string|null} */
    this.commit = null;
    /** @type {Blob[]} */
    this.pieces = [];
    /** @type {Uint8Array<ArrayBuffer>[]} */
    this.loose = [];
    this.looseBytes = 0;
  }

  /**
   * Takes up what was kept. Without a commit or a strong ETag nobody could tell whether the rest belongs to it.
   * @param {boolean} isPinned
   */
  async restore(isPinned) {
    const kept = await this.keeper?.read(this.name);
    if (!kept) return;
    const bytes = kept.pieces.reduce((sum, { size }) => sum + size, 0);
    const isSure = isPinned || isStrong(kept.tag);
    if (!isSure || bytes === 0 || kept.length && bytes > kept.length) {
      this.clear();
      return;
    }
    Object.assign(this, { ...kept, bytes });
    this.whole = isPinned && this.isComplete;
  }

  /** All bytes are here. Only their host can tell whether they are still its file's. */
  get isComplete() { return this.length > 0 && this.bytes === this.length; }

  add(bytes) {
    this.loose.push(bytes);
    this.bytes += bytes.length;
    this.looseBytes += bytes.length;
    if (this.looseBytes >= PIECE || performance.now() - this.settledAt >= LONGEST_LOOSE) this.settle();
  }

  settle() {
    this.settledAt = performance.now();
    if (!this.loose.length) return;
    const piece = new Blob(this.loose);
    this.pieces.push(piece);
    this.keeper?.add(this.name, piece, this);
    this.loose = [];
    this.looseBytes = 0;
  }

  clear() {
    this.keeper?.clear(this.name);
    Object.assign(this, { bytes: 0, length: 0, tag: null, pieces: [], loose: [], looseBytes: 0 });
  }

  file() {
    this.settle();
    return new File(this.pieces, this.name);
  }

  brokenOff() {
    return new DownloadError('broken', { file: this.name, got: this.bytes, expected: this.length || '?' });
  }
}

/** Asks for what is missing of `part` and adds it. */
async function readOn(part, url, { ask, signal, tally, token }) {
  // Of a file that is here as a whole, its last byte: the answer says whether it is still the same.
  const asked = part.isComplete ? part.bytes - 1 : part.bytes;
  const response = await answerOf(part, url, asked, { ask, signal, token });
  const { from, length, tag } = bodyOf(response, asked);
  const same = response.status !== BEYOND && from === asked && (!part.length || !length || part.length === length) && (part.tag === null || part.tag === tag);
  if (!same) {
    // Another file by now, or a host that sends nothing but whole files.
    tally.gone(part.name, part.bytes);
    part.clear();
    if (from !== 0 || !response.ok) {
      await response.body?.cancel();
      throw part.brokenOff();
    }
  }
  if (part.isComplete) {
    await response.body?.cancel();
    part.whole = true;
    return;
  }
  Object.assign(part, { length: length || part.length, tag, commit: part.commit ?? response.headers.get('x-repo-commit') });
  await readBody(part, response, { signal, tally });
}

/** What a host answers that has fewer bytes than were asked for: another file by now. */
const BEYOND = 416;

async function answerOf(part, url, from, { ask, signal, token }) {
  // From the first byte on, too: what is asked for by range is never compressed, so that its length is the file's.
  /** @type {Record<string, string>} */
  const headers = { range: `bytes=${from}-` };
  if (token) headers.authorization = `Bearer ${token}`;
  const { host } = new URL(url);
  const told = { file: part.name, host };
  const refused = refusals();
  let response;
  try {
    response = await ask(url, { headers, signal, cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new DownloadError(await refused.of(url) ? 'policy' : 'silent', told);
  } finally {
    refused.end();
  }
  if (response.ok || response.status === BEYOND && from > 0) return response;
  await response.body?.cancel();
  throw new DownloadError(TROUBLES[response.status] ?? 'status', { ...told, status: response.status });
}

/** @type {Record<number, 'token'|'forbidden'|'missing'>} */
const TROUBLES = { 401: 'token', 403: 'forbidden', 404: 'missing' };

/**
 * Where a body begins in its file, how long the file is (0 = not told) and which one it is, as far as its headers tell.
 * @param {Response} response
 * @param {number} asked from which byte on it was asked for
 */
export function bodyOf({ status, headers }, asked) {
  const tag = headers.get('etag');
  const own = headers.get('content-encoding') ? 0 : Number(headers.get('content-length')) || 0;
  if (status !== 206) return { from: 0, length: own, tag };
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  if (range) return { from: Number(range[1]), length: Number(range[2]) || 0, tag };
  // Not every host lets other pages read where a part begins: its length has to fit.
  return { from: asked, length: own ? asked + own : 0, tag };
}

async function readBody(part, response, { signal, tally }) {
  const reader = response.body.getReader();
  const stop = () => { reader.cancel().catch(() => {}); };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) break;
      part.add(value);
      tally.arrived(part.name, value.length, part.length);
      if (part.length && part.bytes > part.length) {
        stop();
        const told = { file: part.name, expected: part.length, got: part.bytes };
        part.clear();
        throw new DownloadError('length', told);
      }
    }
  } catch (error) {
    if (signal?.aborted || error instanceof DownloadError) throw error;
    throw part.brokenOff();
  } finally {
    signal?.removeEventListener('abort', stop);
    part.settle();
  }
  // A connection that was closed early may look like an end.
  if (part.length && part.bytes < part.length) throw part.brokenOff();
  part.whole = true;
}

/** Sums what has arrived over all files of a folder. */
class Tally {
  /** @param {(progress: Progress) => void} [onProgress] */
  constructor(onProgress) {
    this.onProgress = onProgress;
    this.loaded = 0;
    /** @type {Map<string, number>} */
    this.lengths = new Map();
    /** What an index says of its shards together, most of which have not begun: their tensors, without headers. */
    this.shards = 0;
  }

  expect(file, length) { this.lengths.set(file, length); }

  arrived(file, bytes, length) {
    this.expect(file, length);
    this.loaded += bytes;
    this.#tell(file);
  }

  gone(file, bytes) {
    this.loaded -= bytes;
    this.#tell(file);
  }

  #tell(file) {
    const lengths = [...this.lengths];
    const sum = (own) => own.reduce((all, [, length]) => all + length, 0);
    const rest = Math.max(0, this.shards - sum(lengths.filter(([name]) => isShard(name))));
    const total = lengths.every(([, length]) => length > 0) ? sum(lengths) + rest : 0;
    this.onProgress?.({ loaded: this.loaded, total, file });
  }
}

/** Milliseconds that a browser may need to tell what its policy refused. */
const REFUSAL_IS_TOLD = 50;

/** Watches what the page's policy refuses: the fetch itself fails without a reason. */
function refusals() {
  const seen = [];
  const see = ({ blockedURI }) => seen.push(blockedURI);
  globalThis.document?.addEventListener('securitypolicyviolation', see);
  return {
    of: async (url) => {
      if (!globalThis.document) return false;
      if (!seen.length) await pause(REFUSAL_IS_TOLD);
      return seen.some((uri) => URL.canParse(uri) && new URL(uri).origin === new URL(url).origin);
    },
    end: () => globalThis.document?.removeEventListener('securitypolicyviolation', see),
  };
}

/** @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener('abort', stop); resolve(); }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
