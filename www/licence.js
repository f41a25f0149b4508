/**
 * The licence that a model's own card names: README.md, whose first lines between two `---` say it to machines.
 * It is read when a person opens the model, and no more of it than its beginning.
 */

/** A card's name in a model folder. */
export const CARD = 'README.md';
/** The lines for machines stand at the very beginning. */
const MOST_BYTES = 2 ** 16;
const LONGEST = 60;

/**
 * `license: mit`, or where that says `other` its `license_name`; a list is joined. '' where the card says nothing.
 * @param {string} text
 */
export function licenceIn(text) {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines[0]?.trim() !== '---') return '';
  const end = lines.findIndex((line, at) => at > 0 && line.trim() === '---');
  const front = lines.slice(1, end < 0 ? 0 : end);
  const licence = valueOf(front, 'license');
  return (licence === 'other' ? valueOf(front, 'license_name') || licence : licence).slice(0, LONGEST);
}

function valueOf(lines, name) {
  const at = lines.findIndex((line) => line.startsWith(`${name}:`));
  if (at < 0) return '';
  const own = plain(lines[at].slice(name.length + 1));
  if (own.startsWith('[')) return own.slice(1, -1).split(',').map(plain).filter(Boolean).join(', ');
  if (own) return own;
  const rest = lines.slice(at + 1);
  const items = rest.slice(0, rest.findIndex((line) => !/^\s*-\s/.test(line)) >>> 0);
  return items.map((line) => plain(line.replace(/^\s*-/, ''))).filter(Boolean).join(', ');
}

const plain = (text) => text.replace(/\s#.*$/, '').trim().replace(/^(['"])(.*)\1$/, '$2');

/**
 * The card of a model folder elsewhere, as a file; null where there is none or nobody answers: a model opens without one.
 * @param {import('./hub.js').Place} place
 * @param {{ token?: string, signal?: AbortSignal }} means
 * @returns {Promise<File|null>}
 */
export async function readCard({ base, hub }, { token, signal }) {
  const headers = { range: `bytes=0-${MOST_BYTES - 1}`, ...(token && hub ? { authorization: `Bearer ${token}` } : {}) };
  try {
    const response = await fetch(base + CARD, { headers, signal, cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' });
    if (!response.ok || !response.body) return null;
    return new File(await beginningOf(response.body), CARD);
  } catch (error) {
    if (signal?.aborted) throw error;
    return null;
  }
}

/** A host may send all of it, whatever was asked for. @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
async function beginningOf(body) {
  const reader = body.getReader();
  const pieces = [];
  for (let bytes = 0; bytes < MOST_BYTES;) {
    const { done, value } = await reader.read();
    if (done) return pieces;
    pieces.push(value);
    bytes += value.length;
  }
  await reader.cancel();
  return pieces;
}

/** What the card among a model's files says. @param {File[]} files */
export async function licenceOf(files) {
  const card = files.find(({ name }) => name === CARD);
  return card ? licenceIn(await card.slice(0, MOST_BYTES).text()) : '';
}
