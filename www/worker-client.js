/**
 * The page's end of the worker: calls with answers, one worker for everybody, made when first needed or
 * begun before (first.js).
 * A worker that dies takes its calls with it, each with an error of kind `lost`; the next call starts a new one.
 */

import { EngineError } from './error.js';
import { begin, takeFirst } from './first.js';

/** @type {Worker|null} */
let worker = null;
/** What every worker is handed. @type {Promise<WebAssembly.Module|null>|null} */
let program = null;
let lastCall = 0;
/** @type {Map<number, { resolve: Function, reject: Function, onProgress?: Function }>} */
const waiting = new Map();

/** Counts workers: an engine loaded in an earlier one is gone. */
let life = 0;
export const currentLife = () => life;

function start() {
  let begun = takeFirst();
  if (begun?.failure) {
    // Nobody had asked anything of it: begun again, and what fails then is told.
    begun.worker.terminate();
    begun = null;
  }
  begun ??= begin(program ?? undefined);
  const own = begun.worker;
  worker = own;
  program = begun.program;
  program.catch((error) => {
    program = null; // Whoever tries again asks for it again.
    if (own === worker) crash(error);
  });
  worker.addEventListener('message', ({ data }) => {
    if (own !== worker) return;
    if (data.fatal) { crash(data.fatal); return; }
    const asked = waiting.get(data.call);
    if (!asked) return;
    if (data.progress) { asked.onProgress?.(data.progress); return; }
    if (data.error) asked.reject(new EngineError({ ...data.error, ...data.error.kind === 'lost' && { loss: `GPU ${data.error.loss} of worker ${life}` } }));
    else asked.resolve(data.result);
  });
  worker.addEventListener('error', (event) => {
    if (own === worker) crash({ message: begun.failure ?? event.message });
  });
  worker.addEventListener('messageerror', () => {
    if (own === worker) crash({ message: 'an answer could not be read' });
  });
}

/** Ends the worker and everything that waits for it. */
function crash(plain) {
  worker?.terminate();
  worker = null;
  const message = `the engine stopped and must be started again: ${plain.message}`;
  const error = { ...plain, trouble: plain.trouble ?? 'stopped', values: plain.values ?? { message: plain.message }, name: 'EngineError', kind: 'lost', message, loss: `worker ${life}` };
  life += 1;
  for (const { reject } of waiting.values()) reject(new EngineError(error));
}

/**
 * @param {string} method
 * @param {object} details
 * @param {{ onProgress?: (progress: object) => void, signal?: AbortSignal }} [options]
 */
export function call(method, details, { onProgress, signal } = {}) {
  if (signal?.aborted) return Promise.reject(aborted());
  if (!worker) start();
  const id = (lastCall += 1);
  return new Promise((resolve, reject) => {
    // A signal may outlive many calls.
    const over = (settle) => (value) => {
      waiting.delete(id);
      signal?.removeEventListener('abort', stop);
      settle(value);
    };
    const asked = { resolve: over(resolve), reject: over(reject), onProgress };
    const stop = () => {
      worker?.postMessage({ abort: id });
      asked.reject(aborted());
    };
    waiting.set(id, asked);
    signal?.addEventListener('abort', stop);
    try {
      worker?.postMessage({ call: id, method, ...details });
    } catch (error) {
      asked.reject(error);
    }
  });
}

export function aborted() {
  return new DOMException('cancelled', 'AbortError');
}
