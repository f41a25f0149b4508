/**
 * Bundles the page's modules for the static site: what a page or another site asks for by name stays a file of that name,
 * and all else goes into the few chunks that these share. The worker, which a first visit waits for, is one file with the
 * engine's JavaScript inside.
 *   node offline/site.mjs FOLDER
 * Writes the scripts into FOLDER, and to standard output, as JSON, what each of them imports, itself left out.
 */

import { build } from 'esbuild';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const www = join(dirname(fileURLToPath(import.meta.url)), '..', 'www');
/** The pages' own scripts, and what is public: the engine and the element. */
const NAMED = ['app.js', 'warm.js', 'open.js', 'embed.js', 'engine.js', 'element.js', 'define.js'];

async function bundle(names, splitting) {
  const { metafile } = await build({
    entryPoints: names.map((name) => join(www, name)),
    bundle: true, splitting, minify: true, format: 'esm', target: 'es2022', charset: 'utf8', legalComments: 'none',
    outdir: resolve(process.argv[2]),
    // Beside the named ones: place.js asks for the worker, the models and the style sheets beside itself.
    chunkNames: 'chunk-[hash]',
    metafile: true,
    logLevel: 'warning',
  });
  return Object.entries(metafile.outputs);
}

const outputs = [...await bundle(NAMED, true), ...await bundle(['worker.js'], false)];
// esbuild names all that a script imports, on however many ways.
const imported = outputs.map(([path, { imports }]) => [
  basename(path), imports.filter(({ kind }) => kind === 'import-statement').map((one) => basename(one.path)),
]);
process.stdout.write(JSON.stringify(Object.fromEntries(imported)));
