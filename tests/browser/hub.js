/**
 * A server that plays the hub, and a second one that plays its file store: what is large is at the other, after a
 * redirect, as on the hub itself. Its models are the small checkpoints of tests/golden/families/.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as plainServer } from 'node:http';
import { createServer as secureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';

const FAMILIES = fileURLToPath(new URL('../golden/families/', import.meta.url));
const TORCH = fileURLToPath(new URL('../golden/torch/', import.meta.url));
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const READABLE = 'etag, x-repo-commit, content-range';
/** Milliseconds. A browser throws away what a page has not yet read of an answer that breaks off. */
const BEFORE_A_BREAK = 500;

/**
 * What a model's files do.
 * @typedef {object} Manner
 * @property {string} [family] folder in tests/golden/families/
 * @property {string} [torch] folder in tests/golden/torch/: its weights, and no safetensors
 * @property {string} [token] asked for; 401 without it
 * @property {boolean} [closed] 403 whatever is asked
 * @property {number} [breaks] so many answers of the weights break off in the middle
 * @property {number} [stops] answers of the weights break off at this byte, however often they are asked for
 * @property {string} [commit] which one its main revision is
 * @property {boolean} [changes] the weights have another ETag after the first break
 * @property {number} [told] bytes that the weights are said to have beyond what they have
 * @property {boolean} [slow] the weights come in small pieces, with pauses
 * @property {boolean} [mute] headers that a foreign page may not read, as with many stores
 * @property {string[]} [without] files that are not there
 * @property {string} [card] what its README.md says; none without it
 */

/** @param {Record<string, Manner>} models by `owner/name` @param {{ secure?: boolean }} [options] */
export async function startHub(models, { secure = false } = {}) {
  /** @type {Array<{ host: 'hub'|'store', path: string, range: string, authorization: string }>} */
  const asked = [];
  const broken = new Map();
  const keys = secure ? certificate() : {};
  const make = (answer) => (secure ? secureServer(keys, answer) : plainServer(answer));
  const note = (host, request) => asked.push({ host, path: request.url, range: request.headers.range ?? '', authorization: request.headers.authorization ?? '' });

  const store = make((request, response) => {
    if (preflight(request, response)) return;
    note('store', request);
    const [, owner, name, file] = request.url.split('/');
    send(models[`${owner}/${name}`], `${owner}/${name}`, file, request, response);
  });
  const hub = make((request, response) => {
    if (preflight(request, response)) return;
    note('hub', request);
    const [, owner, name, resolve, revision, file] = decodeURIComponent(request.url).split('/');
    const model = models[`${owner}/${name}`];
    const refuse = (status) => response.writeHead(status, { 'access-control-allow-origin': '*' }).end('no');
    if (!model) { refuse(401); return; }
    if (model.closed) { refuse(403); return; }
    if (model.token && request.headers.authorization !== `Bearer ${model.token}`) { refuse(401); return; }
    if (resolve !== 'resolve' || !['main', 'v1', commitOf(model)].includes(revision) || bodyOf(model, file) === null) { refuse(404); return; }
    if (isWeights(file)) {
      response.writeHead(302, { location: `${addressOf(store, secure)}${owner}/${name}/${file}`, 'access-control-allow-origin': '*', 'access-control-expose-headers': READABLE, 'x-repo-commit': commitOf(model) }).end();
      return;
    }
    send(model, `${owner}/${name}`, file, request, response);
  });

  function send(model, id, file, request, response) {
    const weights = isWeights(file);
    const left = weights ? (model.breaks ?? 0) - (broken.get(id) ?? 0) : 0;
    const body = bodyOf(model, file);
    const edition = weights && model.changes && broken.has(id) ? 'new' : 'old';
    const tag = `"${createHash('sha256').update(edition).update(body).digest('hex')}"`;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? NaN);
    const total = body.length + (weights ? model.told ?? 0 : 0);
    const rest = body.subarray(Number.isNaN(from) ? 0 : from);
    const headers = { etag: tag, 'x-repo-commit': commitOf(model), 'content-type': 'application/octet-stream', 'access-control-allow-origin': '*' };
    if (!model.mute) headers['access-control-expose-headers'] = READABLE;
    if (!Number.isNaN(from)) headers['content-range'] = `bytes ${from}-${total - 1}/${total}`;
    // In chunks where the length is a lie: else the connection itself would find it out.
    if (!(weights && model.told)) headers['content-length'] = rest.length;
    response.writeHead(Number.isNaN(from) ? 200 : 206, headers);
    if (weights && model.stops !== undefined) {
      response.write(rest.subarray(0, Math.max(0, model.stops - (from || 0))));
      response.flushHeaders();
      setTimeout(() => response.destroy(), BEFORE_A_BREAK);
      return;
    }
    if (left > 0) {
      broken.set(id, (broken.get(id) ?? 0) + 1);
      response.write(rest.subarray(0, Math.ceil(rest.length / 2)), () => setTimeout(() => response.destroy(), BEFORE_A_BREAK));
      return;
    }
    if (weights && model.slow) { drip(rest, response); return; }
    response.end(rest);
  }

  await Promise.all([hub, store].map((server) => new Promise((listening) => { server.listen(0, '127.0.0.1', listening); })));
  return {
    url: addressOf(hub, secure), store: addressOf(store, secure), asked,
    close: () => Promise.all([hub, store].map((server) => new Promise((closed) => { server.close(closed); server.closeAllConnections(); }))),
  };
}

const addressOf = (server, secure) => `http${secure ? 's' : ''}://127.0.0.1:${server.address().port}/`;

const commitOf = ({ commit = COMMIT }) => commit;

/** `range` alone needs no leave. */
function preflight(request, response) {
  if (request.method !== 'OPTIONS') return false;
  response.writeHead(204, { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization' }).end();
  return true;
}

const isWeights = (file) => /\.(?:safetensors|bin)$/.test(file);

function bodyOf(model, file) {
  if (model.without?.includes(file)) return null;
  if (file === 'README.md') return model.card === undefined ? null : Buffer.from(model.card);
  if (model.torch && /^model.*safetensors/.test(file)) return null;
  const folder = model.torch && file.startsWith('pytorch_model') ? join(TORCH, model.torch) : join(FAMILIES, model.family ?? 'gpt2');
  try {
    return readFileSync(join(folder, file));
  } catch {
    return null;
  }
}

async function drip(bytes, response) {
  for (let at = 0; at < bytes.length && !response.destroyed; at += 512) {
    response.write(bytes.subarray(at, at + 512));
    await new Promise((later) => { setTimeout(later, 100); });
  }
  response.end();
}

/** For this run alone: made by OpenSSL, trusted by nobody but a browser that was told to. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'unmasked-hub-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
