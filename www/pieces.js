/**
 * Pieces (tokens as shown): what a reader may see of a token's text.
 * Nothing here may change the direction of the page, hide itself or show "�".
 *
 * @typedef {{ text: string, kind: 'text'|'space'|'byte'|'escape'|'special', spaceBefore: boolean, detail: string }} Shown
 */

const REPLACEMENT = '\uFFFD';
const BYTE = /^<0x([0-9a-f]{2})>$/i;
const NAMED = new Map([['\n', '↵'], ['\r', '␍'], ['\t', '⇥'], [' ', '␣'], ['\u00A0', '⍽']]);

/** True for characters that would be invisible, or would reorder their neighbours. */
function mustEscape(character) {
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]/u.test(character);
}

/** Whether a sign that is not seen itself changes how its neighbours look: a joiner inside an emoji, what picks a form of the one before it. */
function isForm(characters, at) {
  if (at === 0) return false;
  const [before, character, after] = characters.slice(at - 1, at + 2);
  if (character === '\u200D') return /^\p{Extended_Pictographic}/u.test(after ?? '');
  return /\p{Variation_Selector}/u.test(character) && /[\p{Emoji}\p{Ideographic}\p{Script=Mongolian}]/u.test(before);
}

const codePoint = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

/** Escapes control, format and bidirectional characters, and what is not seen; what shapes an emoji may stay. */
export function escapeText(text) {
  const characters = [...text];
  return characters.map((character, at) => {
    if (isForm(characters, at)) return character;
    if (NAMED.has(character) && character !== ' ') return NAMED.get(character);
    return mustEscape(character) ? codePoint(character) : character;
  }).join('');
}

/**
 * One piece as a chip shows it.
 * @param {{ piece: string, special?: boolean, space?: boolean }} token special: one of the model's own signs, such as
 *   [SEP]; space: whether a space stands before it (other engines' files mark that in the piece)
 * @returns {Shown}
 */
export function showPiece({ piece, special = false, space }) {
  const raw = String(piece ?? '');
  if (special) return { text: escapeText(raw), kind: 'special', spaceBefore: true, detail: '' };
  const byte = BYTE.exec(raw);
  if (byte) return { text: byte[1].toUpperCase(), kind: 'byte', spaceBefore: false, detail: `0x${byte[1].toUpperCase()}` };
  const marked = /^[▁Ġ ]/u.test(raw);
  const spaceBefore = space ?? marked;
  let text = marked ? raw.replace(/^[▁Ġ ]/u, '') : raw.replace(/^##/, '');
  if (text === '') return { text: '␣', kind: 'space', spaceBefore, detail: '' };
  if (text.includes(REPLACEMENT)) {
    const bytes = text.replaceAll(REPLACEMENT, '⋯');
    return { text: escapeText(bytes), kind: 'byte', spaceBefore, detail: '' };
  }
  if (/^\p{M}/u.test(text) && !mustEscape([...text][0])) text = `\u25CC${text}`;
  const shown = escapeText(text.replaceAll('▁', ' ').replaceAll('Ċ', '\n'));
  return { text: shown.trim() === '' ? '␣' : shown, kind: shown === text ? 'text' : 'escape', spaceBefore, detail: '' };
}

/**
 * Pieces in a row. A run of byte pieces that completes a character shows the character on its last piece.
 * @param {Array<{ piece: string, special?: boolean, space?: boolean }>} tokens
 * @returns {Shown[]}
 */
export function showPieces(tokens) {
  const shown = tokens.map(showPiece);
  for (let start = 0; start < tokens.length; start += 1) {
    if (!BYTE.test(tokens[start].piece ?? '')) continue;
    let end = start;
    while (end < tokens.length && BYTE.test(tokens[end].piece ?? '')) end += 1;
    joinBytes(tokens, shown, start, end);
    start = end - 1;
  }
  return shown;
}

/** Walks the UTF-8 sequences among pieces start..end and puts each whole character on its last piece. */
function joinBytes(tokens, shown, start, end) {
  const bytes = [];
  for (let at = start; at < end; at += 1) bytes.push(parseInt(BYTE.exec(tokens[at].piece)?.[1] ?? '', 16));
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at];
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    const group = length ? bytes.slice(at, at + length) : [];
    const character = group.length === length && length > 0 ? decode(group) : null;
    if (character === null) { at += 1; continue; }
    const last = shown[start + at + length - 1];
    last.text = character.trim() === '' ? '␣' : escapeText(character);
    last.detail = group.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ');
    at += length;
  }
}

function decode(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}

/** Shortens by whole characters, for labels; the full text stays in the chip. */
export function shorten(text, most) {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/** Pieces as running text, for announcements and titles. */
export function joinPieces(tokens) {
  return showPieces(tokens.filter((token) => !token.special))
    .map((shown) => (shown.spaceBefore ? ' ' : '') + (shown.kind === 'space' ? '' : shown.text))
    .join('').trim();
}

/** Chinese and its punctuation are written without spaces: none before a piece does not make it part of a word. */
const UNSPACED = /^[\p{Ideographic}\u3000-\u303f\uff00-\uffef]/u;

/** Whether a piece goes on with the word before it. @param {Shown} shown */
export const continuesWord = (shown) => !shown.spaceBefore && !UNSPACED.test(shown.text);
