/**
 * The models that come with the page: models/models.json, read once.
 *
 * @typedef {{ id: string, folder: string, architecture: string, bytes: number, parameters: number,
 *   languages?: { source: string, target: string }, files?: Record<string, { bytes: number, sha256?: string }>,
 *   licence?: string, credit?: string, examples?: string[], pairs?: Array<{ source: string, target: string }>,
 *   packed?: { folder: string, bytes: number, files?: Record<string, { bytes: number, sha256?: string }> }, experimental?: boolean }} ModelEntry
 *   packed: the same numbers in half the bytes
 */

import { isForeign } from './hub.js';
import { MODELS, openModel, readList } from './place.js';
import { ownName, partsOf, plainest, sourcesOf } from './rules.js';

/** @type {Promise<ModelEntry[]>|null} */
let list = null;

/** @returns {Promise<ModelEntry[]>} */
export function modelList() {
  list ??= readList().then(checked).catch((error) => { list = null; throw error; });
  return list;
}

/** @param {{ models?: any }} list @returns {ModelEntry[]} */
function checked({ models }) {
  if (!Array.isArray(models)) throw new Error('the list of models is not a list');
  const isName = (folder) => typeof folder === 'string' && /^[\w.-]+$/.test(folder);
  return models.filter((model) => isName(model?.folder)).map((model) => (isName(model.packed?.folder) ? model : { ...model, packed: undefined }));
}

/** The quartet a model belongs to: 'en-fr' of 'en-fr-causal'. */
export function familyOf(model) {
  return model.id.replace(new RegExp(`-${model.architecture}$`), '');
}

/** The largest number of heads of a stack, where the stacks of a model differ. @param {any} description */
export function headsOf(description) {
  return Math.max(1, description.heads, ...Object.values(description.stacks ?? {}).map(({ heads }) => heads));
}

/** The shape of the stack that an attention belongs to: across, of the one that looks. @param {any} description @param {string} site @returns {{ layers: number, heads: number }} */
export function stackOf({ stacks, layers, heads }, site) {
  const name = site === 'encoder' ? site : 'decoder';
  return stacks?.[name] ?? { layers: layers[name], heads };
}

/** How many layers each of a model's attentions has. @param {any} description @returns {Record<string, number>} */
export const depthsOf = (description) => Object.fromEntries(Object.keys(description.masks).map((site) => [site, stackOf(description, site).layers]));

/** Whether it is one of the page's own quartet. @param {any} description */
export const isOwn = (description) => description.family === 'unmasked';

/**
 * What a model from elsewhere is called: by its family's name; one of the page's own kind by its architecture's, and where it is from.
 * @param {{ family: string, name: string, architecture: string }} description @param {string} from @param {(key: string, values?: object) => string} t
 */
export const calledOf = (description, from, t) => (isOwn(description) ? t('machine.from', { name: t(`machine.${description.architecture}`), from }) : description.name);

/**
 * Whether one of the page's own models runs under another rule than it was trained with.
 * @param {any} description @param {string|null|undefined} rule
 * @param {{ rows: number, source: number }} text how many tokens there are, and how many of them before what it writes
 */
export function isUntrained(description, rule, { rows, source }) {
  const parts = partsOf(rule);
  if (!description || !isOwn(description)) return false;
  if (description.masks.cross && (sourcesOf(rule) ?? source) < source) return true;
  return parts !== null && plainest(parts, { rows, source, writes: description.architecture !== 'encoder' }) !== ownName(description.masks);
}

/** Bytes of each file, where the list has them. */
export function sizesOf(model) {
  const files = Object.entries(model.files ?? {}).filter(([, file]) => Number.isInteger(file?.bytes));
  return files.length ? Object.fromEntries(files.map(([name, file]) => [name, file.bytes])) : undefined;
}

/**
 * What to load for an element: its own address, else the listed model of its architecture.
 * @param {{ model: string, architecture: string, family?: string }} wish
 * @returns {Promise<{ source: string|File[], sizes?: Record<string, number>, entry: ModelEntry|null }|null>}
 */
export async function resolveModel({ model, architecture, family = '' }) {
  if (model) {
    if (isForeign(model)) return { source: model, entry: null };
    const source = new URL(model.endsWith('/') ? model : `${model}/`, document.baseURI).href;
    const isIt = ({ folder }) => openModel(folder) === source;
    const own = source.startsWith(MODELS) ? await modelList().catch(() => []) : [];
    const entry = own.find((one) => isIt(one) || one.packed && isIt(one.packed));
    return entry ? opened(entry) : { source, entry: null };
  }
  const fitting = (await modelList()).filter((one) => one.architecture === architecture);
  const entry = fitting.find((one) => familyOf(one) === family) ?? fitting[0];
  return entry ? opened(entry) : null;
}

/** A listed model, as it is loaded: packed, where it is. @param {ModelEntry} entry */
async function opened(entry) {
  const stored = entry.packed ?? entry;
  return { source: await openModel(stored.folder), sizes: sizesOf(stored), entry };
}
