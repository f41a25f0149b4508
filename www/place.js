/**
 * Where this copy of the page keeps its own files: on a server, beside its modules. The single-file page is built with
 * offline/place.js in its stead, which finds the same files inside the page.
 */

const SHEETS = ['./tokens.css', './element.css'];

/** Addresses that begin so are models of the page's own. */
export const MODELS = new URL('./models/', import.meta.url).href;

/** The page that opens models from elsewhere; null where this copy has none. @type {string|null} */
export const OPEN = new URL('./open.html', import.meta.url).href;

/** What stands in models/models.json. @returns {Promise<{ models?: unknown }>} */
export async function readList() {
  const response = await fetch(new URL('models.json', MODELS)).catch(() => null);
  if (!response?.ok) throw Object.assign(new Error(`the list of models could not be loaded (${response ? `status ${response.status}` : 'no answer'})`), { kind: 'download', trouble: 'list', values: { file: 'models/models.json' } });
  return response.json();
}

/** What `loadEngine` takes for one of the page's own models. @param {string} folder @returns {string|Promise<File[]>} */
export function openModel(folder) {
  return new URL(`${folder}/`, MODELS).href;
}

/** The element's style sheets, as text. @returns {Promise<string[]>} */
export function readSheets() {
  return Promise.all(SHEETS.map(async (path) => (await fetch(new URL(path, import.meta.url))).text()));
}

/**
 * Whether this browser has WebAssembly's relaxed SIMD, with which the CPU's products are a fifth faster: the least module
 * that multiplies and adds four lanes in one instruction.
 */
const isRelaxed = () => WebAssembly.validate(Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, // "\0asm", version 1
  1, 5, 1, 96, 0, 1, 123, // a type: () -> v128
  3, 2, 1, 0, // a function of that type
  10, 19, 1, 17, 0, // its code, without locals:
  65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, // i32.const 0, i32x4.splat, three times
  253, 133, 2, 11, // f32x4.relaxed_madd, end
));

/**
 * The engine, compiled while it comes; every worker of the page gets the same. null: the worker has its own.
 * @returns {Promise<WebAssembly.Module|null>}
 */
export async function compileProgram() {
  const file = `pkg/${isRelaxed() ? 'relaxed/' : ''}unmasked_bg.wasm`;
  const response = await fetch(new URL(file, import.meta.url)).catch(() => null);
  if (!response?.ok) throw Object.assign(new Error(`the engine itself could not be downloaded (${file})`), { kind: 'download', what: file, expected: 'a file', got: response ? `status ${response.status}` : 'nothing', trouble: 'program', values: { file } });
  // Some hosts do not say that it is wasm, and only what is said to be is compiled as it comes.
  const said = response.headers.get('content-type')?.startsWith('application/wasm');
  return said ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

/** A worker that runs worker.js. @returns {Worker} */
export function startWorker() {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'unmasked' });
}
