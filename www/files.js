/**
 * A model folder's files as bytes, with progress. Used inside the worker.
 *
 * @typedef {{ name: string, bytes: Uint8Array }} NamedBytes
 * @typedef {{ loaded: number, total: number, file: string }} Progress   total 0 = not known
 */

export class FileError extends Error {
  constructor(message, { what, expected, got }) {
    super(message);
    this.name = 'FileError';
    this.what = what;
    this.expected = expected;
    this.got = got;
  }
}

const WANTED = /^(?:[\w.-]+\.safetensors|(?:config|tokenizer|tokenizer_config|model\.safetensors\.index|vocab)\.json|vocab\.txt|merges\.txt|spiece\.model)$/;

/** Whether the engine takes a file of this name from a model folder. @param {string} name */
export const isWanted = (name) => WANTED.test(name);
/** Whether this may be a file of weights that an index names. @param {unknown} name */
export const isShard = (name) => typeof name === 'string' && /^[\w.-]+\.safetensors$/.test(name);

/**
 * @param {string} folder URL of a model folder
 * @param {object} options
 * @param {Record<string, number>} [options.sizes] bytes of each file where somebody knows them (a compressed body's
 *   content-length tells nothing)
 * @param {(progress: Progress) => void} [options.onProgress]
 * @param {(file: NamedBytes) => void} [options.onFile] told of each file as it is whole
 * @param {AbortSignal} [options.signal]
 * @param {RequestCache} [options.cache] 'force-cache': the very files that came before, and no network where they are kept
 * @returns {Promise<NamedBytes[]>}
 */
export async function readFolder(folder, { sizes = {}, onProgress, onFile, signal, cache } = {}) {
  const base = folder.endsWith('/') ? folder : `${folder}/`;
  const tally = new Tally(sizes, onProgress);
  const names = Object.keys(sizes).filter(isWanted);
  const read = async (name) => {
    const file = await readFile(new URL(name, base), name, tally, sizes[name], { signal, cache });
    onFile?.(file);
    return file;
  };
  if (names.length) return Promise.all(names.map(read));
  const [config, tokenizer, weights] = await Promise.all([
    read('config.json'), read('tokenizer.json'),
    read('model.safetensors').then((file) => [file], (error) => {
      if (error.status !== 404) throw error;
      return readShards(read, error);
    }),
  ]);
  return [config, tokenizer, ...weights];
}

/** A checkpoint in several files names them in its index. */
async function readShards(read, missing) {
  const index = await read('model.safetensors.index.json').catch(() => { throw missing; });
  const { weight_map: map } = JSON.parse(new TextDecoder().decode(index.bytes));
  const names = [...new Set(Object.values(map ?? {}))].filter(isShard);
  return [index, ...await Promise.all(names.map(read))];
}

/**
 * @param {File[]} files as a person chose or dropped them
 * @param {{ onProgress?: (progress: Progress) => void }} [options]
 * @returns {Promise<NamedBytes[]>}
 */
export async function readFiles(files, { onProgress } = {}) {
  const wanted = files.filter((file) => isWanted(file.name));
  const tally = new Tally(Object.fromEntries(wanted.map((file) => [file.name, file.size])), onProgress);
  return Promise.all(wanted.map(async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    tally.add(file.name, bytes.length);
    return { name: file.name, bytes };
  }));
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

async function readFile(url, name, tally, size, { signal, cache }) {
  let response;
  try {
    response = await fetch(url, { signal, cache });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new FileError(`could not download \`${name}\`: no answer from the server`,
      { what: name, expected: 'a file', got: 'no answer' });
  }
  if (!response.ok) {
    throw Object.assign(new FileError(`could not download \`${name}\`: the server answered ${response.status}`,
      { what: name, expected: '200', got: String(response.status) }), { status: response.status });
  }
  const plain = !response.headers.get('content-encoding');
  const length = size ?? (plain ? Number(response.headers.get('content-length')) || 0 : 0);
  tally.expect(length);
  const bytes = await readBody(response, name, length, tally, signal);
  if (size !== undefined && bytes.length !== size) {
    throw new FileError(`\`${name}\` is not whole: expected ${size} bytes, got ${bytes.length}`,
      { what: name, expected: `${size} bytes`, got: `${bytes.length} bytes` });
  }
  return { name, bytes };
}

/** Reads into one buffer where the length is known, else collects and joins. */
async function readBody(response, name, length, tally, signal) {
  const reader = response.body.getReader();
  let buffer = new Uint8Array(length || 1 << 16);
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > buffer.length) {
        const larger = new Uint8Array(Math.max(buffer.length * 2, filled + value.length));
        larger.set(buffer.subarray(0, filled));
        buffer = larger;
      }
      buffer.set(value, filled);
      filled += value.length;
      tally.add(name, value.length);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new FileError(`the download of \`${name}\` broke off after ${filled} bytes`,
      { what: name, expected: length ? `${length} bytes` : 'the whole file', got: `${filled} bytes` });
  }
  return filled === buffer.length ? buffer : buffer.slice(0, filled);
}
