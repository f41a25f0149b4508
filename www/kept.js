/**
 * Models from elsewhere that this browser keeps, in its Cache Storage, in the pieces in which they came: each with its
 * hash, which it is held against whenever it is read. A model that broke off is kept as far as it came, for the next try
 * to ask for the rest.
 *
 * @typedef {{ bytes: number, hash: string }} Piece
 * @typedef {{ name: string, length: number, tag: string|null, pieces: Piece[] }} KeptFile   length: of all of it, 0 = not told
 * @typedef {{ source: string, commit: string|null, date: string, whole: boolean, files: KeptFile[] }} Kept
 */

const CACHE = 'unmasked models';
/** Cache Storage is asked by address; nobody answers at this one. */
const ROOT = 'https://kept.invalid/';
const LIST = 'kept.json';
/** So many bytes are hashed at once: no file is held as a whole. */
const PIECE = 2 ** 24;

const folderOf = (source) => `${ROOT}${encodeURIComponent(source)}/`;
const listKey = (source) => folderOf(source) + LIST;
const pieceKey = (source, name, at) => `${folderOf(source)}${encodeURIComponent(name)}/${at}`;
/** Not offered to pages whose address is not secure, and refused in some private windows. */
const open = () => globalThis.caches?.open(CACHE).catch(() => null) ?? Promise.resolve(null);

/** @param {{ pieces: Piece[] }} file */
const bytesIn = ({ pieces }) => pieces.reduce((sum, { bytes }) => sum + bytes, 0);
/** @param {Kept} kept */
export const bytesOf = ({ files }) => files.reduce((sum, file) => sum + bytesIn(file), 0);

/** All models that are kept, the newest first. @returns {Promise<Kept[]>} */
export async function listKept() {
  const cache = await open();
  if (!cache) return [];
  const requests = (await cache.keys()).filter(({ url }) => url.endsWith(`/${LIST}`));
  const lists = await Promise.all(requests.map(async (request) => (await cache.match(request))?.json()));
  return lists.filter(Boolean).sort((a, b) => b.date.localeCompare(a.date));
}

/** @param {Cache} cache @returns {Promise<Kept|undefined>} */
const listOf = async (cache, source) => (await cache.match(listKey(source)))?.json();

/**
 * The files of a model that is kept whole, each piece held against its hash; null where there is none.
 * @param {string} source @param {AbortSignal} [signal] @returns {Promise<File[]|null>}
 */
export async function readKept(source, signal) {
  const cache = await open();
  const list = cache ? await listOf(cache, source) : undefined;
  if (!cache || !list?.whole) return null;
  const files = [];
  for (const file of list.files) {
    const pieces = await piecesOf(cache, source, file, signal);
    if (pieces.length < file.pieces.length) { await deleteKept(source); return null; }
    files.push(new File(pieces, file.name));
  }
  return files;
}

/**
 * A file's pieces, up to the first that is not what it was.
 * @param {Cache} cache @param {string} source @param {KeptFile} file @param {AbortSignal} [signal] @returns {Promise<Blob[]>}
 */
async function piecesOf(cache, source, { name, pieces }, signal) {
  const found = [];
  for (const [at, { bytes, hash }] of pieces.entries()) {
    signal?.throwIfAborted();
    const piece = await (await cache.match(pieceKey(source, name, at)))?.blob();
    if (!piece || piece.size !== bytes || await hashOf(piece) !== hash) break;
    found.push(piece);
  }
  return found;
}

export async function deleteKept(source) {
  const cache = await open();
  const own = (await cache?.keys() ?? []).filter(({ url }) => url.startsWith(folderOf(source)));
  await Promise.all(own.map((request) => cache?.delete(request)));
}

/**
 * Keeps a model while it comes. What the browser has no room for ends the keeping, never the download.
 */
export class Keeper {
  #cache;
  /** @type {Kept} */
  #list;
  /** One thing after the other: the list never names a piece that is not there. */
  #tail = Promise.resolve();
  #over = false;

  /** @param {Cache} cache @param {Kept} list */
  constructor(cache, list) {
    this.#cache = cache;
    this.#list = list;
  }

  /** With what came before of this model; null where the browser keeps nothing. @param {string} source */
  static async open(source) {
    const cache = await open();
    if (!cache) return null;
    const before = await listOf(cache, source);
    return new Keeper(cache, before && !before.whole ? before : { source, commit: null, date: '', whole: false, files: [] });
  }

  /** What comes now is of this commit. What came of another is of no use. @param {string|null} commit */
  begin(commit) {
    if (commit !== this.#list.commit) for (const { name } of this.#list.files) this.clear(name);
    this.#do(async () => { this.#list.commit = commit; });
    return this.settled();
  }

  /**
   * What came of a file before, as far as it is what it was.
   * @param {string} name
   * @returns {Promise<{ length: number, tag: string|null, pieces: Blob[] }|null>}
   */
  async read(name) {
    await this.settled();
    const file = this.#list.files.find((one) => one.name === name);
    if (!file) return null;
    const pieces = await piecesOf(this.#cache, this.#list.source, file).catch(() => []);
    file.pieces.length = pieces.length;
    return { length: file.length, tag: file.tag, pieces };
  }

  /** The next piece of a file. @param {string} name @param {Blob} piece @param {{ length: number, tag: string|null }} of */
  add(name, piece, { length, tag }) {
    this.#do(async () => {
      const { source, files } = this.#list;
      let file = files.find((one) => one.name === name);
      if (!file) files.push(file = { name, length, tag, pieces: [] });
      Object.assign(file, { length, tag });
      const hash = await hashOf(piece);
      await this.#cache.put(pieceKey(source, name, file.pieces.length), new Response(piece, { headers: { etag: hash } }));
      file.pieces.push({ bytes: piece.size, hash });
      await this.#write();
    });
  }

  /** What came of a file is of no use. @param {string} name */
  clear(name) {
    this.#do(async () => {
      const { source, files } = this.#list;
      const at = files.findIndex((one) => one.name === name);
      if (at < 0) return;
      const [{ pieces }] = files.splice(at, 1);
      // Named no more before it is gone.
      await this.#write();
      await Promise.all(pieces.map((_, piece) => this.#cache.delete(pieceKey(source, name, piece))));
    });
  }

  /** When all that was given is on disk, or could not be. */
  settled() { return this.#tail; }

  /** The model is whole: these are its files. What is gone of them is put there again. Whether the browser had room for it. @param {File[]} files */
  async finish(files) {
    for (const { name } of [...this.#list.files]) if (!files.some((file) => file.name === name)) this.clear(name);
    await this.settled();
    for (const file of files) {
      const held = this.#list.files.find(({ name }) => name === file.name);
      if (held && bytesIn(held) === file.size && await this.#holds(held)) continue;
      this.clear(file.name);
      for (let at = 0; at < Math.max(1, file.size); at += PIECE) this.add(file.name, file.slice(at, at + PIECE), { length: file.size, tag: null });
    }
    this.#do(() => { this.#list.whole = true; return this.#write(); });
    await this.settled();
    if (this.#over) await deleteKept(this.#list.source);
    return !this.#over;
  }

  /**
   * Whether a file's pieces are those that were put there, as far as they say themselves: another tab may have deleted them,
   * or have put its own in their place.
   * @param {KeptFile} file
   */
  async #holds({ name, pieces }) {
    for (const [at, { hash }] of pieces.entries()) {
      const piece = await this.#cache.match(pieceKey(this.#list.source, name, at)).catch(() => undefined);
      if (piece?.headers.get('etag') !== hash) return false;
    }
    return true;
  }

  /** Nothing of it is kept. */
  async discard() {
    this.#over = true;
    await this.settled();
    await deleteKept(this.#list.source);
  }

  async #write() {
    this.#list.date = new Date().toISOString();
    await this.#cache.put(listKey(this.#list.source), Response.json(this.#list));
  }

  /** @param {() => Promise<void>} work */
  #do(work) {
    this.#tail = this.#tail.then(() => (this.#over ? undefined : work())).catch(() => { this.#over = true; });
  }
}

/** @param {Blob} blob */
async function hashOf(blob) {
  const hash = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
