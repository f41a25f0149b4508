/**
 * Addresses of model folders elsewhere. Nothing is fetched here.
 *
 *   hub:owner/name             the hub's main revision
 *   hub:owner/name@revision    a branch, a tag or a commit
 *   https://host/a/folder/     any folder that its host lets other pages read
 *
 * @typedef {{ source: string, base: string, hub: { repository: string, revision: string, root: string }|null }} Place
 *   source: the address, spelled in one way; base: what the names of files are put after
 */

import { EngineError } from './error.js';
import { translator } from './i18n/index.js';
import { MODELS } from './place.js';

const say = translator('en');

/** Where `hub:` addresses lead. */
const HUB = 'https://huggingface.co/';
const PREFIX = 'hub:';
const MAIN = 'main';

/** A name of the hub: letters, digits, `-`, `_`, `.`; no dot or dash at either end, no two dots. */
const isName = (text) => /^\w(?:[\w.-]*\w)?$/.test(text) && text.length <= 96 && !text.includes('..');
const isRevision = (text) => text.length <= 200 && text.split('/').every(isName);

/** An address that nobody can follow. Its sentence stands in the dictionaries, under `open.error.` and `trouble`. */
class AddressError extends EngineError {
  /** @param {'address'|'scheme'} trouble @param {string} source */
  constructor(trouble, source) {
    super({ message: say(`open.error.${trouble}`, { source }), kind: 'input', what: 'source', expected: 'hub:owner/name, hub:owner/name@revision or https://…/folder/', got: source, trouble, values: { source } });
  }
}

/**
 * The hub that a page speaks to: on this machine's own address, a test may name another one here by `?hub=`.
 * @param {{ hostname: string, search: string }} here
 */
export function hubOf({ hostname, search }) {
  const asked = isLocal(hostname) ? new URLSearchParams(search).get('hub') : null;
  const other = asked === null || !URL.canParse(asked) ? null : new URL(asked);
  return other && isLocal(other.hostname) ? `${other.origin}/` : HUB;
}

const isLocal = (hostname) => hostname === '127.0.0.1' || hostname === 'localhost';

/** Whether a source is read by the page itself, not by its worker, which may speak to its own host only. */
export function isForeign(source, base = document.baseURI) {
  if (source.startsWith(PREFIX)) return true;
  if (!URL.canParse(source, base)) return false;
  const { href, origin, protocol } = new URL(source, base);
  return ['http:', 'https:'].includes(protocol) && !href.startsWith(MODELS) && origin !== new URL(MODELS).origin;
}

/** @param {string} source as a person wrote it @param {string} [hub] @returns {Place} */
export function placeOf(source, hub = hubOf(location)) {
  const text = source.trim();
  if (text.startsWith(PREFIX)) return placeOnHub(text, hub);
  if (!URL.canParse(text)) throw new AddressError('address', text);
  const url = new URL(text);
  if (url.protocol !== 'https:') throw new AddressError(url.protocol === 'http:' ? 'scheme' : 'address', text);
  // A name and a password would be sent along, and shown in the list of what was opened.
  if (url.username || url.password || url.search) throw new AddressError('address', text);
  const base = `${url.origin}${url.pathname.replace(/\/?$/, '/')}`;
  return { source: base, base, hub: null };
}

function placeOnHub(text, root) {
  const [path, revision = MAIN, ...more] = text.slice(PREFIX.length).split('@');
  const names = path.split('/');
  if (more.length || names.length !== 2 || !names.every(isName) || !isRevision(revision)) throw new AddressError('address', text);
  const source = `${PREFIX}${path}${revision === MAIN ? '' : `@${revision}`}`;
  return { source, base: resolved(root, path, revision), hub: { repository: path, revision, root } };
}

/** The same place at one commit: what is read after it belongs together, whatever is published meanwhile. @param {Place} place */
export function pinned({ source, base, hub }, commit) {
  if (!hub || !commit || !/^[0-9a-f]{7,64}$/.test(commit)) return { source, base, hub };
  return { source, base: resolved(hub.root, hub.repository, commit), hub: { ...hub, revision: commit } };
}

const resolved = (root, repository, revision) => `${root}${repository}/resolve/${encodeURIComponent(revision)}/`;
