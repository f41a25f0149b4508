/** The compiled engine of the single-file page: its bytes lie, compressed, in the worker's own script. Stands in for www/program.js. */

import * as engine from '../www/pkg/unmasked.js';
import { wasm } from 'packed';

export async function openProgram() {
  const stream = new Blob([wasm]).stream().pipeThrough(new DecompressionStream('gzip'));
  await engine.default({ module_or_path: await new Response(stream).arrayBuffer() });
  return engine;
}
