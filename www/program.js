/**
 * The compiled engine, fetched by the worker from beside its modules. The single-file page is built with
 * offline/program.js in its stead.
 */

/** @returns {Promise<any>} what src/web.rs exports */
export async function openProgram() {
  const wasm = fetch(new URL('./pkg/unmasked_bg.wasm', import.meta.url)).catch(() => { throw missing('pkg/unmasked_bg.wasm'); });
  wasm.catch(() => {});
  const module = await import('./pkg/unmasked.js').catch(() => { throw missing('pkg/unmasked.js'); });
  await module.default({ module_or_path: wasm });
  return module;
}

/** The worker is of no use any more: the page starts another when somebody tries again. */
function missing(file) {
  return Object.assign(new Error(`the engine itself could not be downloaded (${file})`), { what: file, expected: 'a file', got: 'nothing', fatal: true });
}
