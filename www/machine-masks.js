/** Which masks a run is asked for, by the rule that a person chose: where a prefix ends, and how much there is of a source, the engine tells. */

import { mainOf, sourcesOf } from './rules.js';
import { endOfFirst } from './words.js';

/** @typedef {import('./machine.js').Settings} Settings */

/**
 * A rule without what it says of the source where that hides nothing: there is none to look at, or no more of it than that.
 * @param {any} engine @param {Settings} settings
 */
export async function ruleOf(engine, { rule, text, pair, language, sourceLanguage }) {
  const sources = sourcesOf(rule);
  if (sources === null) return rule;
  if (!engine.describe().masks.cross) return mainOf(rule);
  const { encoder } = await engine.maskPicture({ text, pair, language, sourceLanguage });
  return sources < encoder.rows.length ? rule : mainOf(rule);
}

/**
 * The masks for a rule: what it says of the source is said of the attention to it, where there is one.
 * @param {any} engine @param {Settings} settings
 */
export async function masksOf(engine, settings) {
  const [sources, main] = [sourcesOf(settings.rule), mainOf(settings.rule)];
  /** @type {import('./edits.js').Masks|undefined} */
  const masks = main ? await mainMask(engine, main, settings) : settings.mask;
  return sources !== null ? { ...masks, cross: { rule: `padding:${sources}` } } : masks;
}

/** A prefix ends where the source does; an encoder's, where its first sentence does (UniLM). @param {any} engine @param {string} rule @param {Settings} settings @returns {Promise<import('./edits.js').Masks>} */
async function mainMask(engine, rule, { text, pair, language, sourceLanguage, maxNewTokens }) {
  const { architecture, special } = engine.describe();
  const isEncoder = architecture === 'encoder';
  if (rule !== 'prefix') return { [isEncoder ? 'encoder' : 'decoder']: { rule } };
  const { tokens, source_length: whole } = await engine.tokenize(text, pair);
  if (isEncoder) return { encoder: { rule: `prefix:${endOfFirst(tokens, special?.mask ?? null) + 1}` } };
  if (architecture === 'encoder-decoder') return { decoder: { rule: `prefix:${whole}` } };
  // A run keeps room for its answer and may read less of the text than that.
  const { decoder } = await engine.maskPicture({ text, pair, language, sourceLanguage, maxNewTokens });
  return { decoder: { rule: `prefix:${decoder.rows.length}` } };
}
