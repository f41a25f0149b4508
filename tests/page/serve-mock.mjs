/**
 * Serves www/ with the stand-in engine and four stand-in models, under the page's content policy.
 *   node tests/page/serve-mock.mjs [port]
 * DELAY=ms slows all model files.
 */

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml', '.wasm': 'application/wasm' };
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";
const ARCHITECTURES = ['encoder', 'causal', 'prefix', 'encoder-decoder'];
const WEIGHTS = 4_700_000;

const models = {
  version: 1,
  models: ARCHITECTURES.map((architecture) => ({
    id: `en-fr-${architecture}`, folder: `en-fr-${architecture}`, architecture, languages: { source: 'en', target: 'fr' },
    parameters: 2_350_080, bytes: WEIGHTS, licence: 'stand-in', credit: 'stand-in',
    files: { 'config.json': { bytes: config(architecture).length }, 'model.safetensors': { bytes: WEIGHTS }, 'tokenizer.json': { bytes: 2 } },
    examples: ['The children are playing in the garden.', 'Where is the cat?', 'I would like a cup of coffee, please.'],
  })),
};

function config(architecture) {
  return JSON.stringify({ model_type: 'unmasked', architecture });
}

function mockFile(path) {
  if (path === '/models/models.json') return JSON.stringify(models);
  if (/^\/pkg\/(relaxed\/)?unmasked_bg\.wasm$/.test(path)) return Buffer.alloc(900_000);
  const [, folder, file] = /^\/models\/en-fr-([a-z-]+)\/(.+)$/.exec(path) ?? [];
  if (!ARCHITECTURES.includes(folder)) return null;
  return { 'config.json': config(folder), 'tokenizer.json': '{}', 'model.safetensors': Buffer.alloc(WEIGHTS) }[file] ?? null;
}

const server = createServer(async (request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, 'http://x').pathname));
  const file = path.endsWith('/') ? `${path}index.html` : path;
  const headers = { 'content-security-policy': file.endsWith('/open.html') ? POLICY.replace("connect-src 'self'", "connect-src 'self' https:") : POLICY, 'cache-control': 'no-store', 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' };
  try {
    if (file.startsWith('/models/') && Number(process.env.DELAY)) await new Promise((go) => { setTimeout(go, Number(process.env.DELAY)); });
    const made = mockFile(file);
    const where = file === '/pkg/unmasked.js' ? join(here, 'mock-unmasked.js')
      : file.startsWith('/examples/') ? join(root, file) : join(root, 'www', file);
    const body = made ?? await readFile(where);
    response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
  } catch {
    response.writeHead(404, headers).end('not found');
  }
});
server.listen(Number(process.argv[2] ?? 8099), '127.0.0.1');
