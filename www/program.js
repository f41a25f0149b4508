/**
 * The worker's end of the compiled engine, which the page hands over (place.js compiles it). The single-file page is
 * built with offline/program.js in its stead.
 */

const GLUE = 'pkg/unmasked.js';

// Asked for at once: it comes while the page compiles.
const glue = import('./pkg/unmasked.js').catch(() => {
  // The worker is of no use any more: the page starts another when somebody tries again.
  throw Object.assign(new Error(`the engine itself could not be downloaded (${GLUE})`), { kind: 'download', what: GLUE, expected: 'a file', got: 'nothing', fatal: true, trouble: 'program', values: { file: GLUE } });
});
glue.catch(() => {});

/** @param {WebAssembly.Module} module @returns {Promise<any>} what src/web.rs exports */
export async function openProgram(module) {
  const engine = await glue;
  await engine.default({ module_or_path: module });
  return engine;
}
