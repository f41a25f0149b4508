/**
 * What a model is trained on: of a text, what a model of its kind is given, what it must say, and at which positions a loss is
 * taken. An illustration that is made of the tokens alone, by lot where training draws lots: no model is asked. Pure.
 *
 * @typedef {{ piece: string, special?: boolean, space?: boolean }} Raw
 * @typedef {{ text: string, special: boolean, continues: boolean, begins: boolean, sign?: 'original'|'replaced'|'start'|'end', put?: boolean }} Piece
 *   continues: it goes on with the word before it; begins: a word begins with it; sign: has a word in each language; put: stands in
 *   the place of what was taken out
 * @typedef {{ given: Piece, wanted: Piece|null, loss: boolean, changed: boolean }} Column   changed: what is given is not what stood there
 * @typedef {'masked'|'replaced'|'next'|'answer'|'target'|'spans'|'noise'} Way
 * @typedef {{ name: 'all'|'source'|'target', columns: Column[] }} Part
 * @typedef {{ way: Way, parts: Part[], losses: number, of: number, drawn?: Drawn, sentences?: number }} Objective
 *   drawn: what became of the tokens that were chosen; sentences: how many there are, where their order is changed
 * @typedef {{ mask: number, other: number, same: number }} Drawn
 * @typedef {{ source: Piece[], target: Piece[], starts: number }} Text   starts: tokens at the head of the target that every answer begins with
 * @typedef {() => number} Lots   a number from 0 on, below 1
 */

import { continuesWord, showPieces } from './pieces.js';

/** The ways of each architecture, the usual one first. @type {Record<string, Way[]>} */
export const WAYS = { encoder: ['masked', 'replaced'], causal: ['next'], prefix: ['answer'], 'encoder-decoder': ['target', 'spans', 'noise'] };

/** Whether a text of an address, or an attribute's, names a way of some architecture. @param {string|null} text */
export const isWay = (text) => Object.values(WAYS).flat().some((way) => way === text);

/** Objectives, as the engine names them, whose way is not the usual one. @type {Record<string, Way>} */
const OF_OBJECTIVE = { 'replaced tokens': 'replaced', spans: 'spans', 'text to text': 'spans', denoising: 'noise' };

/** The way that is shown: the one that a person chose, else the model's own, as far as its files tell. @param {string} architecture @param {string|undefined} objective @param {string} chosen '' = nobody chose */
export function wayOf(architecture, objective, chosen) {
  const ways = WAYS[architecture];
  return [chosen, OF_OBJECTIVE[objective ?? '']].map((way) => ways.find((one) => one === way)).find(Boolean) ?? ways[0];
}

/** Ways that draw lots: drawn again, they are others. */
export const BY_LOT = ['masked', 'replaced', 'spans', 'noise'];

/** Of an encoder's tokens, and of T5's. */
const CHOSEN = 0.15;
/** BART's. */
const HIDDEN = 0.3;
/** Tokens of a span, on average: T5's and BART's. */
const SPAN = 3;

/** @param {string} text @param {Partial<Piece>} [more] @returns {Piece} */
const pieceOf = (text, more) => ({ text, special: false, continues: false, begins: true, ...more });
export const MASK = pieceOf('[MASK]', { special: true, put: true });

const LETTERS = 'XYZABCDEFGHIJKLMNOPQRSTUVW';
/** T5's name for a span that was taken out: <X>, <Y>, <Z>. @param {number} at */
export const sentinel = (at) => pieceOf(`<${LETTERS[at % LETTERS.length]}${Math.floor(at / LETTERS.length) || ''}>`, { special: true, put: true });

/** Tokens as this shows them. @param {Raw[]} tokens @returns {Piece[]} */
export function piecesOf(tokens) {
  const shown = showPieces(tokens);
  return shown.map((one, at) => {
    const begins = at === 0 || shown[at - 1].kind === 'special' || !continuesWord(one);
    return { text: one.text, special: one.kind === 'special', begins, continues: !begins && one.kind === 'text' && /^[\p{L}\p{N}]/u.test(one.text) };
  });
}

/** The same numbers for the same seed and draw (mulberry32). @param {number} seed @param {number} draw @returns {Lots} */
export function lotsOf(seed, draw) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(draw + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** @param {Lots} lots @param {number} count */
const drawBelow = (lots, count) => Math.floor(lots() * count);

/** @template T @param {Lots} lots @param {T[]} all @returns {T[]} */
function shuffled(lots, all) {
  const mixed = [...all];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = drawBelow(lots, last + 1);
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

/** So many numbers, 1 or more each, that come to a total. @param {Lots} lots @param {number} total @param {number} count */
function parted(lots, total, count) {
  const cuts = shuffled(lots, Array.from({ length: total - 1 }, (_, at) => at + 1)).slice(0, count - 1).sort((a, b) => a - b);
  return [...cuts, total].map((cut, at) => cut - (cuts[at - 1] ?? 0));
}

/** A share of so many tokens: of a short text at least one. @param {number} count @param {number} share */
const shareOf = (count, share) => Math.min(count, Math.max(1, Math.round(count * share)));

/** @param {Piece} given @param {Piece|null} [wanted] @param {boolean} [changed] @returns {Column} */
const column = (given, wanted = null, changed = false) => ({ given, wanted, loss: wanted !== null, changed });

/**
 * @param {Way} way @param {Text} text @param {Lots} lots
 * @returns {Objective}
 */
export function objectiveOf(way, text, lots) {
  const made = MAKE[way](text, lots);
  const columns = made.parts.flatMap((part) => part.columns);
  return { way, ...made, losses: columns.filter(({ loss }) => loss).length, of: columns.length };
}

/** @type {Record<Way, (text: Text, lots: Lots) => Pick<Objective, 'parts'|'drawn'|'sentences'>>} */
const MAKE = {
  masked: ({ source }, lots) => {
    const chosen = chosenOf(source, lots);
    const drawn = { mask: 0, other: 0, same: 0 };
    const columns = source.map((token, at) => {
      if (!chosen.has(at)) return column(token);
      const fate = lots();
      const other = fate >= 0.8 && fate < 0.9 ? anotherOf(source, token, lots) : null;
      const given = fate >= 0.9 ? token : other ?? MASK;
      drawn[given === token ? 'same' : other ? 'other' : 'mask'] += 1;
      return column(given, token, given !== token);
    });
    return { parts: [{ name: 'all', columns }], drawn };
  },
  replaced: ({ source }, lots) => {
    const chosen = chosenOf(source, lots);
    const columns = source.map((token, at) => {
      // Where there is no other, the generator guessed rightly: that counts as the original.
      const other = chosen.has(at) ? anotherOf(source, token, lots) : null;
      return column(other ?? token, pieceOf('', { sign: other ? 'replaced' : 'original' }), other !== null);
    });
    return { parts: [{ name: 'all', columns }] };
  },
  next: ({ source, target }) => ({ parts: [{ name: 'all', columns: shifted([...source, ...target], 1) }] }),
  // The last token of the source already has to say the first one of the answer.
  answer: ({ source, target, starts }) => ({ parts: [{ name: 'all', columns: shifted([...source, ...target], source.length + starts) }] }),
  target: ({ source, target, starts }) => ({ parts: [given(source), { name: 'target', columns: shifted(target, Math.max(1, starts)) }] }),
  spans: ({ source, target }, lots) => {
    const { lead, body, tail } = bodyOf(source);
    const left = [];
    const asked = [];
    let from = 0;
    const spans = spansOf(body.length, lots);
    for (const [at, { start, length }] of spans.entries()) {
      left.push(...body.slice(from, start), sentinel(at));
      from = start + length;
      asked.push(sentinel(at), ...body.slice(start, from));
    }
    const columns = spans.length ? shifted([startOf(target), ...asked, sentinel(spans.length)], 1) : [];
    return { parts: [given([...lead, ...left, ...body.slice(from), ...tail]), { name: 'target', columns }] };
  },
  noise: ({ source, target }, lots) => {
    const { lead, body, tail } = bodyOf(source);
    const sentences = sentencesOf(body);
    const mixed = reordered(lots, sentences).flat();
    const left = [];
    let from = 0;
    for (const { start, length } of holesOf(mixed.length, lots)) {
      left.push(...mixed.slice(from, start), MASK);
      from = start + length;
    }
    const columns = body.length ? shifted([startOf(target), ...body, endOf(target)], 1) : [];
    return { parts: [given([...lead, ...left, ...mixed.slice(from), ...tail]), { name: 'target', columns }], sentences: sentences.length };
  },
};

/** What an encoder-decoder reads: no loss is taken there. @param {Piece[]} source @returns {Part} */
const given = (source) => ({ name: 'source', columns: source.map((token) => column(token, null, Boolean(token.put))) });

/** Each token asks for the one after it, from the place `first` on. @param {Piece[]} sequence @param {number} first */
const shifted = (sequence, first) => sequence.slice(0, -1).map((token, at) => column(token, at + 1 >= first ? sequence[at + 1] : null));

/** @param {Piece[]} source @param {Lots} lots */
function chosenOf(source, lots) {
  const words = source.flatMap(({ special }, at) => (special ? [] : [at]));
  return new Set(shuffled(lots, words).slice(0, shareOf(words.length, CHOSEN)));
}

/** Another token of the same text; null where there is none. @param {Piece[]} source @param {Piece} token @param {Lots} lots */
function anotherOf(source, token, lots) {
  const others = source.filter(({ special, text }) => !special && text !== token.text);
  return others.length ? others[drawBelow(lots, others.length)] : null;
}

/** A text without the signs at its ends. @param {Piece[]} source */
function bodyOf(source) {
  const first = source.findIndex(({ special }) => !special);
  const last = source.findLastIndex(({ special }) => !special);
  return first < 0 ? { lead: source, body: [], tail: [] } : { lead: source.slice(0, first), body: source.slice(first, last + 1), tail: source.slice(last + 1) };
}

/** What a decoder is begun with, and what it ends with: its own signs, where the run has them. @param {Piece[]} target */
const startOf = (target) => (target[0]?.special ? target[0] : pieceOf('', { sign: 'start', special: true }));
const endOf = (target) => (target.length > 1 && target[target.length - 1].special ? target[target.length - 1] : pieceOf('', { sign: 'end', special: true }));

/** Places for spans in a text: at least a token between two of them. @param {Lots} lots @param {number} count @param {number[]} lengths */
function placed(lots, count, lengths) {
  const rest = count - lengths.reduce((sum, length) => sum + length, 0);
  // One more at either end, where none has to be.
  const gaps = parted(lots, rest + 2, lengths.length + 1);
  let start = -1;
  return lengths.map((length, at) => {
    start += gaps[at] + (at ? lengths[at - 1] : 0);
    return { start, length };
  });
}

/**
 * T5's spans: a share of the tokens, in spans of 3 on average. T5 takes them out of texts of hundreds of tokens; of a sentence
 * at least two are taken out here, where it has room for them, so that it can be seen how they are told apart.
 * @param {number} count @param {Lots} lots
 */
function spansOf(count, lots) {
  if (!count) return [];
  const taken = Math.max(shareOf(count, CHOSEN), count >= 8 ? 3 : count >= 5 ? 2 : 1);
  const spans = Math.max(Math.round(taken / SPAN), count >= 5 ? 2 : 1);
  return placed(lots, count, parted(lots, taken, spans));
}

/** BART's: lengths by Poisson's law, which may be 0, until a share of the tokens is hidden. @param {number} count @param {Lots} lots */
function holesOf(count, lots) {
  if (!count) return [];
  const hidden = shareOf(count, HIDDEN);
  // Each but the last one has a token after it.
  const most = count - hidden + 1;
  const lengths = [];
  for (let left = hidden; left > 0;) {
    const length = lengths.length === most - 1 ? left : Math.min(left, poisson(lots));
    lengths.push(length);
    left -= length;
  }
  return placed(lots, count, lengths);
}

/** @param {Lots} lots */
function poisson(lots) {
  let count = 0;
  for (let product = lots(); product > Math.exp(-SPAN); product *= lots()) count += 1;
  return count;
}

/** Tokens of each sentence: one ends at its stop, where a word begins after it. @param {Piece[]} body */
export function sentencesOf(body) {
  /** @type {Piece[][]} */
  const all = [];
  body.forEach((token, at) => {
    if (at === 0 || /[.!?。！？]$/u.test(body[at - 1].text) && token.begins) all.push([]);
    all[all.length - 1].push(token);
  });
  return all;
}

/** In another order, where there is one. @template T @param {Lots} lots @param {T[]} all */
function reordered(lots, all) {
  const mixed = shuffled(lots, all);
  return mixed.every((one, at) => one === all[at]) ? [...all.slice(1), ...all.slice(0, 1)] : mixed;
}
