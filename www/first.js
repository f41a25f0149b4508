/**
 * The page's first worker and the engine's compiling, begun before the page's other modules have come (warm.js);
 * worker-client.js takes them over, and begins whatever comes later.
 */

import { compileProgram, startWorker } from './place.js';

/**
 * @typedef {{ worker: Worker, program: Promise<WebAssembly.Module|null>, failure: string|null }} Begun
 *   failure: what went wrong with either; whoever takes them over reads what did so before there was anybody to listen
 */

/** @type {Begun|null} */
let first = null;

/** A worker that is handed the engine as soon as it is compiled. @param {Promise<WebAssembly.Module|null>} [program] */
export function begin(program = compileProgram()) {
  /** @type {Begun} */
  const begun = { worker: startWorker(), program, failure: null };
  begun.worker.addEventListener('error', (event) => {
    event.preventDefault();
    begun.failure = event.message || 'its script could not be loaded';
  });
  program.then((compiled) => begun.worker.postMessage({ program: compiled }), (error) => { begun.failure ??= error.message; });
  return begun;
}

export function beginFirst() {
  first ??= begin();
}

export function takeFirst() {
  const taken = first;
  first = null;
  return taken;
}
