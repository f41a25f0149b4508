/**
 * Models from elsewhere that this browser keeps, in its Cache Storage: each file with the hash that it had when it came.
 * A model is listed once all of its files are in; what does not match its hash any more counts as not there.
 *
 * @typedef {{ source: string, commit: string|null, date: string, files: Array<{ name: string, bytes: number, hash: string }> }} Kept
 */

const CACHE = 'unmasked models';
/** Cache Storage is asked by address; nobody answers at this one. */
const ROOT = 'https://kept.invalid/';
const LIST = 'kept.json';

const keyOf = (source, name) => `${ROOT}${encodeURIComponent(source)}/${encodeURIComponent(name)}`;
/** Not offered to pages whose address is not secure, and refused in some private windows. */
const open = () => globalThis.caches?.open(CACHE).catch(() => null) ?? Promise.resolve(null);

/** @param {Kept} kept */
export const bytesOf = ({ files }) => files.reduce((sum, { bytes }) => sum + bytes, 0);

/** All models that are kept, the newest first. @returns {Promise<Kept[]>} */
export async function listKept() {
  const cache = await open();
  if (!cache) return [];
  const requests = (await cache.keys()).filter(({ url }) => url.endsWith(`/${LIST}`));
  const lists = await Promise.all(requests.map(async (request) => (await cache.match(request))?.json()));
  return lists.filter(Boolean).sort((a, b) => b.date.localeCompare(a.date));
}

/** The files of a model that is kept, each held against its hash; null where there is none. @returns {Promise<File[]|null>} */
export async function readKept(source) {
  const cache = await open();
  const list = /** @type {Kept|undefined} */ (await (await cache?.match(keyOf(source, LIST)))?.json());
  if (!cache || !list) return null;
  const files = [];
  for (const { name, hash } of list.files) {
    const blob = await (await cache.match(keyOf(source, name)))?.blob();
    if (!blob || await hashOf(blob) !== hash) { await deleteKept(source); return null; }
    files.push(new File([blob], name));
  }
  return files;
}

/**
 * Keeps a model; whether the browser had room for it.
 * @param {string} source @param {string|null} commit @param {File[]} files @returns {Promise<boolean>}
 */
export async function keep(source, commit, files) {
  const cache = await open();
  if (!cache) return false;
  /** @type {Kept} */
  const list = { source, commit, date: new Date().toISOString(), files: [] };
  try {
    for (const file of files) {
      list.files.push({ name: file.name, bytes: file.size, hash: await hashOf(file) });
      await cache.put(keyOf(source, file.name), new Response(file));
    }
    await cache.put(keyOf(source, LIST), Response.json(list));
    return true;
  } catch {
    await deleteKept(source);
    return false;
  }
}

export async function deleteKept(source) {
  const cache = await open();
  const own = (await cache?.keys() ?? []).filter(({ url }) => url.startsWith(keyOf(source, '')));
  await Promise.all(own.map((request) => cache?.delete(request)));
}

/** So many bytes are hashed at once: no file is held as a whole. */
const PIECE = 2 ** 24;

/** The SHA-256 of what the SHA-256s of a file's pieces are, one after the other. */
async function hashOf(blob) {
  const digests = [];
  for (let at = 0; at < blob.size; at += PIECE) digests.push(await sha256(blob.slice(at, at + PIECE)));
  return [...new Uint8Array(await sha256(new Blob(digests)))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const sha256 = async (blob) => crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
