/**
 * Words of a sentence and the tokens that spell them, so that pressing one piece blanks its whole word.
 *
 * @typedef {{ start: number, end: number, text: string, wordLike: boolean, tokens: number[] }} Word
 */

/** Splits without a dictionary where the browser has no Intl.Segmenter: letters and digits together, signs alone. */
function* plainSegments(text) {
  for (const match of text.matchAll(/[\p{L}\p{N}\p{M}'’]+|[^\s]/gu)) {
    yield { index: match.index, segment: match[0], isWordLike: /[\p{L}\p{N}]/u.test(match[0]) };
  }
}

/**
 * @param {string} text
 * @param {Array<{start: number|null, end: number|null, special?: boolean}>} tokens with UTF-16 offsets
 * @returns {Word[]} words in order, those that no token spells left out
 */
export function wordsOf(text, tokens) {
  const segments = typeof Intl !== 'undefined' && Intl.Segmenter
    ? new Intl.Segmenter(undefined, { granularity: 'word' }).segment(text) : plainSegments(text);
  const words = [];
  for (const { index, segment, isWordLike } of segments) {
    if (segment.trim() === '') continue;
    const end = index + segment.length;
    const own = [];
    tokens.forEach((token, at) => {
      if (!token.special && token.start !== null && token.end !== null && token.start < end && token.end > index) own.push(at);
    });
    if (own.length) words.push({ start: index, end, text: segment, wordLike: Boolean(isWordLike), tokens: own });
  }
  return words;
}

/** The index of the word that token `at` helps to spell, or -1. */
export function wordAt(words, at) {
  return words.findIndex((word) => word.tokens.includes(at));
}

/** More pieces than this are no blank to begin with. */
const MOST_PIECES = 4;

/** A blank to begin with: the last word of some length spelled by one piece, else the longest of a few pieces. */
export function defaultBlank(words) {
  const whole = words.map((word, at) => ({ word, at }))
    .filter(({ word, at }) => word.wordLike && at > 0 && word.tokens.length === 1 && [...word.text].length >= 4);
  if (whole.length) return [whole[whole.length - 1].at];
  let best = -1;
  words.forEach((word, at) => {
    if (word.wordLike && word.tokens.length <= MOST_PIECES && (best < 0 || word.text.length > words[best].text.length)) best = at;
  });
  return best < 0 ? words.slice(0, 1).map(() => 0) : [best];
}

/**
 * The sign behind a first sentence; a blank that a person wrote is a sign of its own kind.
 * @param {Array<{ id?: number, special?: boolean }>} tokens @param {number|null} mask the id of a blank
 */
export const endOfFirst = (tokens, mask) => tokens.findIndex(({ id, special }, at) => special && at > 0 && (mask === null || id !== mask));

/** Of a pair only the first sentence's tokens have their place in the text; the second sentence counts its own. */
export function firstSentence(tokens, mask = null) {
  const end = endOfFirst(tokens, mask);
  return tokens.map((token, at) => (at < end ? token : { ...token, start: null, end: null }));
}

/**
 * What stands behind the last token that was read, of the sentence and of the second one. Only the run's own tokens tell:
 * it keeps room for its answer.
 * @param {{ text: string, pair?: string }} settings
 * @param {Array<{ id?: number, special?: boolean, end?: number|null }>} tokens @param {number|null} [mask] the id of a blank
 */
export function cutOf({ text, pair }, tokens, mask = null) {
  const end = pair ? endOfFirst(tokens, mask) : tokens.length;
  const behind = (sentence, read) => sentence.slice(read.reduce((last, token) => Math.max(last, token.end ?? 0), 0)).trim();
  return `${behind(text, tokens.slice(0, end))} ${behind(pair ?? '', tokens.slice(end))}`.trim();
}
