/** What the browser keeps of models from elsewhere, whole or as far as they came, and how a later visit goes on with it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { beforeEach } from 'node:test';
import { downloadFolder } from '../../www/download.js';
import { placeOf } from '../../www/hub.js';
import { Keeper, bytesOf, deleteKept, listKept, readKept } from '../../www/kept.js';
import { COMMIT, startHub } from '../browser/hub.js';

const golden = (path) => readFileSync(new URL(`../golden/families/${path}`, import.meta.url));
const WEIGHTS = golden('gpt2/model.safetensors');
const SOURCE = 'hub:owner/name';
const soon = async () => {};
const failure = (promise) => promise.then(() => assert.fail('it did not fail'), (error) => error);

/** Cache Storage with one cache; `room`: bytes that it takes before it refuses. */
class Store {
  entries = new Map();
  tags = new Map();
  room = Infinity;
  async open() { return this; }
  async keys() { return [...this.entries.keys()].map((url) => ({ url })); }
  async match(key) {
    const url = key.url ?? key;
    const bytes = this.entries.get(url);
    return bytes && new Response(bytes, { headers: { etag: this.tags.get(url) ?? '' } });
  }
  async put(key, response) {
    const bytes = await response.arrayBuffer();
    if (bytes.byteLength > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.entries.set(key, bytes);
    this.tags.set(key, response.headers.get('etag'));
  }
  async delete(key) { return this.entries.delete(key.url ?? key); }
}

let store = new Store();
beforeEach(() => { store = new Store(); globalThis.caches = /** @type {any} */ (store); });

/** A hub with one model; what it is asked for from a moment on, as ranges of files. */
async function withHub(manner, work) {
  const hub = await startHub({ 'owner/name': manner });
  const asked = () => {
    const all = hub.asked.splice(0).map(({ host, path, range }) => [host === 'store' ? 'weights' : path.split('/').at(-1), range]);
    return Object.fromEntries(all.filter(([name]) => name !== 'model.safetensors'));
  };
  try {
    return await work({ place: placeOf(SOURCE, hub.url), plain: { source: `${hub.url}x/`, base: `${hub.url}owner/name/resolve/main/`, hub: null }, asked });
  } finally {
    await hub.close();
  }
}

/** A visit: what is kept is taken up by a keeper that knows nothing but the store. */
const visit = async (place, more = {}) => downloadFolder(place, { wait: soon, keeper: await Keeper.open(SOURCE), ...more });
const weightsOf = async ({ files }) => Buffer.from(await files.find(({ name }) => name === 'model.safetensors').arrayBuffer());

/** A visit whose download gives up at this byte of the weights. */
async function broken(manner, place, at = 1000) {
  manner.stops = at;
  assert.equal((await failure(visit(place))).trouble, 'broken');
  delete manner.stops;
}

test('what broke off is listed as unfinished, and the next visit asks for the missing bytes alone', async () => {
  const manner = {};
  await withHub(manner, async ({ place, asked }) => {
    await broken(manner, place);
    asked();
    const [list, ...more] = await listKept();
    assert.deepEqual(more, []);
    assert.deepEqual([list.source, list.commit, list.whole, bytesOf(list)], [SOURCE, COMMIT, false, 1000 + golden('gpt2/tokenizer.json').length]);
    assert.equal(await readKept(SOURCE), null, 'it does not count as kept');
    const progress = [];
    const keeper = await Keeper.open(SOURCE);
    const found = await downloadFolder(place, { wait: soon, keeper, onProgress: (now) => progress.push(now) });
    assert.deepEqual(asked(), { 'config.json': 'bytes=0-', 'generation_config.json': 'bytes=0-', 'model.safetensors.index.json': 'bytes=0-', weights: 'bytes=1000-' });
    assert.deepEqual(await weightsOf(found), WEIGHTS);
    assert.equal(progress.at(-1).loaded, progress.at(-1).total);
    const card = new File(['# A card'], 'README.md');
    assert.equal(await keeper?.finish([...found.files, card]), true);
    const kept = await readKept(SOURCE);
    assert.deepEqual(kept?.map(({ name }) => name).sort(), ['README.md', 'config.json', 'model.safetensors', 'tokenizer.json']);
    assert.deepEqual(await weightsOf({ files: kept }), WEIGHTS);
    assert.equal((await listKept())[0].whole, true);
  });
});

test('what is another file by then is read anew, and so is another commit', async () => {
  const manner = { changes: true, breaks: 1 };
  await withHub(manner, async ({ place, asked }) => {
    // A break gives the weights another tag from then on.
    const stop = new AbortController();
    const onProgress = ({ file }) => { if (file === 'model.safetensors') stop.abort(); };
    await failure(visit(place, { signal: stop.signal, onProgress }));
    asked();
    assert.deepEqual(await weightsOf(await visit(place)), WEIGHTS);
    assert.equal(asked().weights, 'bytes=0-');
  });
  const moved = { commit: COMMIT };
  await withHub(moved, async ({ place, asked }) => {
    await broken(moved, place);
    moved.commit = COMMIT.replace(/^0/, 'f');
    asked();
    assert.deepEqual(await weightsOf(await visit(place)), WEIGHTS);
    assert.deepEqual([asked()].map(({ weights, 'tokenizer.json': tokenizer }) => [weights, tokenizer]), [['bytes=0-', 'bytes=0-']]);
    assert.equal((await listKept())[0].commit, moved.commit);
  });
});

test('a piece that is no longer what it was is asked for again', async () => {
  const manner = {};
  await withHub(manner, async ({ place, asked }) => {
    await broken(manner, place, 1000);
    await broken(manner, place, 1500);
    const [, second] = [...store.entries.keys()].filter((key) => key.includes('model.safetensors/')).sort();
    const rotten = new Uint8Array(store.entries.get(second));
    rotten[7] ^= 1;
    store.entries.set(second, rotten.buffer);
    asked();
    assert.deepEqual(await weightsOf(await visit(place)), WEIGHTS);
    assert.equal(asked().weights, 'bytes=1000-');
  });
});

test('where no commit says that it is the same, each file\'s own tag must', async () => {
  const manner = {};
  await withHub(manner, async ({ plain, asked }) => {
    await broken(manner, plain);
    asked();
    assert.deepEqual(await weightsOf(await visit(plain)), WEIGHTS);
    const size = golden('gpt2/tokenizer.json').length;
    assert.deepEqual(asked(), { 'config.json': 'bytes=0-', 'generation_config.json': 'bytes=0-', 'tokenizer.json': `bytes=${size - 1}-`, 'model.safetensors.index.json': 'bytes=0-', weights: 'bytes=1000-' });
  });
});

test('without a tag that a page may read nothing is taken up from another day', async () => {
  const manner = { mute: true };
  await withHub(manner, async ({ place, asked }) => {
    await broken(manner, place);
    // Node reads what a browser would hide: so the kept list is told that there was none.
    const [list] = await listKept();
    for (const file of list.files) file.tag = file.name === 'model.safetensors' ? null : 'W/"weak"';
    list.commit = null;
    await store.put(`https://kept.invalid/${encodeURIComponent(SOURCE)}/kept.json`, Response.json(list));
    const hidden = (...details) => fetch(...details).then((response) => new Response(response.body, { status: response.status, headers: { 'content-length': response.headers.get('content-length') ?? '' } }));
    asked();
    assert.deepEqual(await weightsOf(await visit(place, { fetch: hidden })), WEIGHTS);
    assert.deepEqual([asked()].map(({ weights, 'tokenizer.json': tokenizer }) => [weights, tokenizer]), [['bytes=0-', 'bytes=0-']]);
  });
});

test('a file that became shorter than what is kept of it is read anew', async () => {
  const manner = { family: 'gpt2' };
  await withHub(manner, async ({ plain, asked }) => {
    await broken(manner, plain, WEIGHTS.length - 1);
    manner.family = 'gpt2-bf16';
    const shorter = golden('gpt2-bf16/model.safetensors');
    assert.ok(shorter.length < WEIGHTS.length - 1);
    asked();
    assert.deepEqual(await weightsOf(await visit(plain)), shorter);
  });
});

test('what there is no room for is downloaded all the same, and nothing of it is left', async () => {
  await withHub({}, async ({ place }) => {
    store.room = 2000;
    const keeper = await Keeper.open(SOURCE);
    const found = await downloadFolder(place, { keeper });
    assert.deepEqual(await weightsOf(found), WEIGHTS);
    assert.equal(await keeper?.finish(found.files), false);
    assert.equal(store.entries.size, 0);
  });
});

test('what was given up leaves nothing, and what is deleted neither', async () => {
  const manner = {};
  await withHub(manner, async ({ place }) => {
    await broken(manner, place);
    await (await Keeper.open(SOURCE))?.discard();
    assert.equal(store.entries.size, 0);
    await broken(manner, place);
    await deleteKept(SOURCE);
    assert.equal(store.entries.size, 0);
  });
});

test('what is deleted, or replaced, by another tab while it comes is there again once it is called whole', async () => {
  const manner = {};
  await withHub(manner, async ({ place, asked }) => {
    await broken(manner, place);
    const keeper = await Keeper.open(SOURCE);
    const found = await downloadFolder(place, { wait: soon, keeper });
    await deleteKept(SOURCE);
    asked();
    assert.equal(await keeper?.finish(found.files), true);
    const names = (files) => files?.map(({ name }) => name).sort();
    assert.deepEqual(names(await readKept(SOURCE)), ['config.json', 'model.safetensors', 'tokenizer.json']);

    const own = await Keeper.open(SOURCE);
    const again = await downloadFolder(place, { keeper: own });
    const key = [...store.entries.keys()].find((url) => url.endsWith('model.safetensors/0')) ?? '';
    await store.put(key, new Response(WEIGHTS.subarray(0, 7), { headers: { etag: 'of another' } }));
    assert.equal(await own?.finish(again.files), true);
    const kept = await readKept(SOURCE);
    assert.deepEqual(names(kept), ['config.json', 'model.safetensors', 'tokenizer.json']);
    assert.deepEqual(await weightsOf({ files: kept }), WEIGHTS);
  });
});

test('finishing puts no piece there twice', async () => {
  await withHub({}, async ({ place }) => {
    const keeper = await Keeper.open(SOURCE);
    const { files } = await downloadFolder(place, { keeper });
    await keeper?.settled();
    const { put } = store;
    const written = [];
    store.put = (key, response) => { written.push(String(key).split('/').at(-1)); return put.call(store, key, response); };
    await keeper?.finish(files.filter(({ name }) => name !== 'config.json'));
    assert.deepEqual(written, ['kept.json']);
  });
});

test('a model that is kept whole is not half of the next download', async () => {
  await withHub({}, async ({ place, asked }) => {
    const keeper = await Keeper.open(SOURCE);
    await keeper?.finish((await downloadFolder(place, { keeper })).files);
    asked();
    const again = await Keeper.open(SOURCE);
    await downloadFolder(place, { keeper: again });
    assert.equal(asked().weights, 'bytes=0-');
  });
});
