/** The compiled engine of the single-file page: its bytes lie, compressed, in the worker's own script. Stands in for www/program.js. */

import * as engine from '../www/pkg/unmasked.js';
import { wasm } from 'packed';
import { gunzip } from './gunzip.js';

export async function openProgram() {
  await engine.default({ module_or_path: await gunzip(wasm) });
  return engine;
}
