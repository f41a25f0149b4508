/**
 * A model folder's files, of which the engine reads a part after the other, with progress. Used inside the worker.
 *
 * @typedef {object} Source
 * @property {string} name
 * @property {number} size
 * @property {(start: number, end: number) => Promise<Uint8Array>} read these of its bytes, as soon as they are there
 * @property {Promise<void>} [whole] when all of it is there; rejects where it does not come
 * @property {any} [failure] why it does not come
 * @typedef {{ loaded: number, total: number, file: string }} Progress   total 0 = not known
 * @typedef {{ name: string, size: number, bytes: Uint8Array<ArrayBuffer> }} Unpacked   a file whose bytes are at hand: the single file has such
 */

export class FileError extends Error {
  /** @param {string} message @param {{ what: string, expected: string, got: string, trouble: string, values?: object }} more trouble: the page's sentence for it, of these values */
  constructor(message, { what, expected, got, trouble, values = {} }) {
    super(message);
    this.name = 'FileError';
    /** A folder that is not what it should be, or files that did not come. */
    this.kind = ['index', 'unweighted'].includes(trouble) ? 'input' : 'download';
    this.trouble = trouble;
    this.values = { file: what, ...values };
    this.what = what;
    this.expected = expected;
    this.got = got;
  }
}

const WANTED = /^(?:[\w.-]+\.safetensors|pytorch_model(?:-[\w.-]+)?\.bin|(?:config|generation_config|tokenizer|tokenizer_config|added_tokens|special_tokens_map|model\.safetensors\.index|pytorch_model\.bin\.index|vocab)\.json|vocab\.txt|merges\.txt|(?:spiece|sentencepiece\.bpe|tokenizer|ice_text|cog-pretrain)\.model|source\.spm)$/;

/** Whether the engine takes a file of this name from a model folder. @param {string} name */
export const isWanted = (name) => WANTED.test(name);
/** Whether this may be a file of weights that an index names. @param {unknown} name */
export const isShard = (name) => typeof name === 'string' && /^(?:[\w.-]+\.safetensors|pytorch_model-[\w.-]+\.bin)$/.test(name);
/** The forms of weights: as one file, or as those that an index names. Where a folder has both forms, the first counts. */
export const FORMS = [
  { one: 'model.safetensors', index: 'model.safetensors.index.json' },
  { one: 'pytorch_model.bin', index: 'pytorch_model.bin.index.json' },
];
/** All names that weights are looked for under, for a sentence. */
export const FORM_NAMES = FORMS.flatMap(({ one, index }) => [one, index]).join(', ');

/**
 * The files that an index names, and the bytes of all their tensors where it says so.
 * @param {string} json
 * @returns {{ names: string[], bytes: number }}
 */
export function shardsOf(json) {
  try {
    const { weight_map: map, metadata } = JSON.parse(json);
    const bytes = metadata?.total_size;
    return { names: [...new Set(Object.values(map ?? {}))].filter(isShard).sort(), bytes: Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0 };
  } catch {
    return { names: [], bytes: 0 };
  }
}

/** @template {{ name: string }} T @param {T[]} files @returns {T[]} those that the engine takes, and weights in one form alone */
export function wantedOf(files) {
  const wanted = files.filter(({ name }) => isWanted(name));
  if (!wanted.some(({ name }) => name.endsWith('.safetensors'))) return wanted;
  return wanted.filter(({ name }) => !name.startsWith('pytorch_model'));
}

/**
 * @param {string} folder URL of a model folder
 * @param {object} options
 * @param {Record<string, number>} [options.sizes] bytes of each file where somebody knows them (a compressed body's
 *   content-length tells nothing)
 * @param {(progress: Progress) => void} [options.onProgress]
 * @param {(file: Source) => void} [options.onFile] told of each file as it begins
 * @param {AbortSignal} [options.signal]
 * @param {RequestCache} [options.cache] 'force-cache': the very files that came before, and no network where they are kept
 * @returns {Promise<Source[]>}
 */
export async function readFolder(folder, { sizes = {}, onProgress, onFile, signal, cache } = {}) {
  const base = folder.endsWith('/') ? folder : `${folder}/`;
  const tally = new Tally(sizes, onProgress);
  const names = Object.keys(sizes).filter(isWanted);
  const read = async (name) => {
    const file = await ask(new URL(name, base), name, tally, sizes[name], { signal, cache });
    onFile?.(file);
    return file;
  };
  if (names.length) return Promise.all(names.map(read));
  const optional = (name) => read(name).catch((error) => {
    if (error.status !== 404) throw error;
    return null;
  });
  const [config, tokenizer, weights] = await Promise.all([
    read('config.json'), readTokenizer(optional), readWeights(read, optional),
  ]);
  return [config, ...tokenizer, ...weights];
}

/**
 * `tokenizer.json`, or what there was before it. Whether it is enough is for the engine to say.
 * @template {{ name: string }} T
 * @param {(name: string) => Promise<T|null>} optional null where there is no such file
 * @returns {Promise<T[]>}
 */
export async function readTokenizer(optional) {
  const found = [await optional('tokenizer.json')];
  if (!found[0]) {
    found.push(await optional('tokenizer_config.json'), await optional('added_tokens.json'), await optional('special_tokens_map.json'));
    found.push(await optional('vocab.txt'));
    if (!found.at(-1)) found.push(await optional('vocab.json'), await optional('merges.txt'));
    // One after the other: a checkpoint has one of these.
    for (const name of ['spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model', 'ice_text.model', 'cog-pretrain.model', 'source.spm']) {
      if (!found.at(-1)) found.push(await optional(name));
    }
  }
  return found.filter((file) => file !== null);
}

/** What is there of the forms of weights; a checkpoint in several files names them in its index. */
async function readWeights(read, optional) {
  for (const { one, index: indexName } of FORMS) {
    const file = await optional(one);
    if (file) return [file];
    const index = await optional(indexName);
    if (!index) continue;
    const { names } = shardsOf(new TextDecoder().decode(await index.read(0, index.size)));
    if (!names.length) {
      throw new FileError(`\`${indexName}\` does not name the files of the weights`, { what: indexName, expected: 'a weight_map', got: 'none', trouble: 'index' });
    }
    return [index, ...await Promise.all(names.map(read))];
  }
  throw new FileError(`could not download the weights: the server has none of ${FORM_NAMES} (404)`,
    { what: FORMS[0].one, expected: `one of ${FORM_NAMES}`, got: '404', trouble: 'unweighted', values: { names: FORM_NAMES } });
}

/** So many bytes of a file are read at once, where less is asked for: each asking costs, and the next bytes come next. */
const AHEAD = 2 ** 24;

/** @param {File|Unpacked} file @returns {Promise<Uint8Array<ArrayBuffer>>} */
const partOf = async (file, start, end) => (file instanceof Blob ? new Uint8Array(await file.slice(start, end).arrayBuffer()) : file.bytes.subarray(start, end));

/**
 * @param {Array<File|Unpacked>} files as a person chose or dropped them, or unpacked
 * @param {{ onProgress?: (progress: Progress) => void, signal?: AbortSignal }} [options]
 * @returns {Source[]}
 */
export function readFiles(files, { onProgress, signal } = {}) {
  const wanted = wantedOf(files);
  const tally = new Tally(Object.fromEntries(wanted.map((file) => [file.name, file.size])), onProgress);
  return wanted.map((file) => {
    let [first, reached, bytes] = [0, 0, new Uint8Array(0)];
    return {
      name: file.name,
      size: file.size,
      async read(start, end) {
        signal?.throwIfAborted();
        if (start < first || end > first + bytes.length) {
          const ahead = Math.min(file.size, Math.max(end, start + AHEAD));
          bytes = await partOf(file, start, ahead);
          first = start;
          if (ahead > reached) tally.add(file.name, ahead - reached);
          reached = Math.max(reached, ahead);
        }
        return bytes.subarray(start - first, end - first);
      },
    };
  });
}

/** Sums what has arrived over all files of one model. */
class Tally {
  constructor(sizes, onProgress) {
    this.total = Object.values(sizes).reduce((sum, size) => sum + size, 0);
    this.known = this.total > 0;
    this.loaded = 0;
    this.onProgress = onProgress;
  }

  /** A body that says its own length, where nobody else did. */
  expect(length) {
    if (!this.known) this.total += length;
  }

  add(file, bytes) {
    this.loaded += bytes;
    this.onProgress?.({ loaded: this.loaded, total: Math.max(this.total, this.known ? 0 : this.loaded), file });
  }
}

/** A file that begins to arrive. @returns {Promise<Source>} */
async function ask(url, name, tally, size, { signal, cache }) {
  let response;
  try {
    response = await fetch(url, { signal, cache });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new FileError(`could not download \`${name}\`: no answer from the server`,
      { what: name, expected: 'a file', got: 'no answer', trouble: 'unanswered' });
  }
  if (!response.ok) {
    throw Object.assign(new FileError(`could not download \`${name}\`: the server answered ${response.status}`,
      { what: name, expected: '200', got: String(response.status), trouble: 'refused', values: { status: response.status } }), { status: response.status });
  }
  const plain = !response.headers.get('content-encoding');
  const length = size ?? (plain ? Number(response.headers.get('content-length')) || 0 : 0);
  tally.expect(length);
  const file = new Arriving(name, length, size);
  file.whole = file.arrive(response, tally, signal);
  // Whoever reads is told.
  file.whole.catch(() => {});
  // How long it is must be known before it is read.
  if (!length) await file.whole;
  return file;
}

/** A file on its way: what is there can be read. */
class Arriving {
  #bytes;
  #filled = 0;
  /** The length that somebody else told of. @type {number|undefined} */
  #told;
  #ended = false;
  /** @type {Array<() => void>} those who wait for more */
  #waiting = [];
  /** @type {Promise<void>|undefined} */
  whole;
  /** @type {any} */
  failure = null;

  constructor(name, length, told) {
    this.name = name;
    this.size = length;
    this.#told = told;
    this.#bytes = new Uint8Array(length || 1 << 16);
  }

  async read(start, end) {
    while (this.#filled < end && !this.#ended) await new Promise((resolve) => { this.#waiting.push(() => resolve(undefined)); });
    if (this.failure) throw this.failure;
    return this.#bytes.subarray(start, end);
  }

  async arrive(response, tally, signal) {
    try {
      await this.#collect(response, tally, signal);
    } catch (error) {
      this.failure = error;
      throw error;
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  #wake() {
    for (const go of this.#waiting.splice(0)) go();
  }

  async #collect(response, tally, signal) {
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.#take(value);
        tally.add(this.name, value.length);
        this.#wake();
      }
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new FileError(`the download of \`${this.name}\` broke off after ${this.#filled} bytes`,
        { what: this.name, expected: this.size ? `${this.size} bytes` : 'the whole file', got: `${this.#filled} bytes`, trouble: 'interrupted', values: { got: this.#filled } });
    }
    if (this.#told !== undefined && this.#filled !== this.#told) {
      throw new FileError(`\`${this.name}\` is not whole: expected ${this.#told} bytes, got ${this.#filled} bytes`,
        { what: this.name, expected: `${this.#told} bytes`, got: `${this.#filled} bytes`, trouble: 'length', values: { expected: this.#told, got: this.#filled } });
    }
    this.size = this.#filled;
  }

  #take(bytes) {
    const filled = this.#filled + bytes.length;
    if (filled > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, filled));
      larger.set(this.#bytes.subarray(0, this.#filled));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#filled);
    this.#filled = filled;
  }
}
