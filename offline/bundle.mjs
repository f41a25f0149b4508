/**
 * Bundles the page and its worker into one script each, for the single-file page.
 *   node offline/bundle.mjs FOLDER
 * FOLDER holds what `cargo xtask dist` packed: models.json, blocks.json, unmasked_bg.wasm.gz. Writes the page's script,
 * with the worker's inside, to standard output.
 */

import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const www = join(here, '..', 'www');
const folder = resolve(process.argv[2] ?? '.');

/** Modules of the page that have another form inside one file. */
const STANDS_IN = new Map(['place.js', 'program.js'].map((name) => [join(www, name), join(here, name)]));

/** Gives bundled modules their stand-ins, and what was packed as the exports of the module 'packed'. */
const inside = (packed) => ({
  name: 'inside',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\.js$/ }, ({ path, resolveDir }) => {
      const other = STANDS_IN.get(join(resolveDir, path));
      return other && { path: other };
    });
    onResolve({ filter: /^packed$/ }, () => ({ path: 'packed', namespace: 'packed' }));
    onLoad({ filter: /.*/, namespace: 'packed' }, () => ({ contents: packed, loader: 'js', resolveDir: folder }));
  },
});

async function bundle(entry, packed) {
  const { outputFiles: [{ text }] } = await build({
    entryPoints: [join(www, entry)],
    bundle: true, minify: true, format: 'iife', target: 'es2022', charset: 'utf8', legalComments: 'none', write: false, outfile: 'out.js',
    loader: { '.gz': 'binary' },
    // wasm-bindgen's glue would look beside its own address; here it is always handed the bytes.
    define: { 'import.meta.url': '""' },
    plugins: [inside(packed)],
    logLevel: 'warning',
  });
  return text;
}

const worker = await bundle('worker.js', "export { default as wasm } from './unmasked_bg.wasm.gz';");
const text = async (path) => JSON.stringify(await readFile(path, 'utf8'));
const json = async (name) => readFile(join(folder, name), 'utf8');
const page = await bundle('app.js', [
  `export const workerScript = ${JSON.stringify(worker)};`,
  `export const tokensSheet = ${await text(join(www, 'tokens.css'))};`,
  `export const elementSheet = ${await text(join(www, 'element.css'))};`,
  `export const models = ${await json('models.json')};`,
  `export const blocks = ${await json('blocks.json')};`,
].join('\n'));
process.stdout.write(page);
