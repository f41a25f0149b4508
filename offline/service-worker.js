/**
 * Keeps the whole site for use without a network. `cargo xtask dist` writes VERSION and FILES: every file and the
 * SHA-256 of its bytes. A new version is fetched into a cache of its own, each file held against its hash; only when
 * all are in does it take over, and then at once and whole. Nothing outside FILES is ever answered from here.
 */

const VERSION = /* version */ '';
/** @type {Record<string, string>} path from the site's root -> base64 of its SHA-256 */
const FILES = /* files */ {};

const PREFIX = `unmasked ${registration.scope} `;
const NAME = PREFIX + VERSION;
/** Under the file's hash beside its path, so that an unchanged file is found in an older version's cache. */
const keyOf = (path) => new URL(`${path}?${encodeURIComponent(FILES[path])}`, registration.scope).href;

addEventListener('install', (event) => event.waitUntil(fill()));
addEventListener('activate', (event) => event.waitUntil(takeOver()));
addEventListener('message', ({ data }) => { if (data === 'take over') takeOverWhenAlone(); });
addEventListener('fetch', (event) => {
  const path = pathOf(event.request);
  if (path !== null) event.respondWith(answer(path, event.request));
});

/** All or nothing: one file that is missing or not what it should be, and the old version stays. */
async function fill() {
  const older = await Promise.all((await caches.keys()).filter((name) => name.startsWith(PREFIX)).map((name) => caches.open(name)));
  const cache = await caches.open(NAME);
  await Promise.all(Object.keys(FILES).map(async (path) => {
    for (const one of older) {
      const kept = await one.match(keyOf(path));
      if (kept) { await cache.put(keyOf(path), kept); return; }
    }
    const response = await fetch(new URL(path, registration.scope), { cache: 'no-cache', integrity: `sha256-${FILES[path]}` });
    if (!response.ok) throw new Error(`could not keep \`${path}\`: the server answered ${response.status}`);
    // As if it had come from here: a host may have sent us on to another address, or have compressed the body.
    const headers = new Headers(response.headers);
    for (const name of ['content-encoding', 'content-length']) headers.delete(name);
    await cache.put(keyOf(path), new Response(await response.blob(), { headers }));
  }));
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

/** An open page goes on with the version that it began with; only the page that asks may be open. */
async function takeOverWhenAlone() {
  const open = await clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (open.length <= 1) await skipWaiting();
}

/** The file that a request is for, or null where it is none of ours. */
function pathOf({ method, url }) {
  if (method !== 'GET' || !url.startsWith(registration.scope)) return null;
  const path = decodeURIComponent(new URL(url).pathname.slice(new URL(registration.scope).pathname.length));
  const file = path === '' || path.endsWith('/') ? `${path}index.html` : path;
  return Object.hasOwn(FILES, file) ? file : null;
}

async function answer(path, request) {
  const cache = await caches.open(NAME);
  return (await cache.match(keyOf(path))) ?? fetch(request);
}
