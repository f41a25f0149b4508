/** The settings of embed.html: its query, checked like the page's own address, as the element's attributes. Pure. */

import { readEdits } from '../edits.js';
import { readBlanks, token } from '../element-settings.js';
import { readSilenced } from '../gates.js';
import { readSpot } from '../leak.js';
import { isWay } from '../objective.js';
import { readRule, withPlus } from '../rules.js';
import { ARCHITECTURES, LOOKS, readChoices, readHash } from '../state.js';

const VIEWS = ['title', 'about', 'tokens', 'mask', 'candidates', 'stats'];
const CONTROLS = ['restart', 'step', 'play', 'end', 'scrub', 'speed', 'layer', 'head', 'none'];

/** Those of the words that are known, in the known order; null where there is none. */
function known(text, words) {
  const asked = (text ?? '').split(/[\s,]+/);
  const found = words.filter((word) => asked.includes(word));
  return found.length ? found.join(' ') : null;
}

/**
 * @param {string} search with or without '?'
 * @returns {{ attributes: Record<string, string|number|boolean|null>, theme: 'auto'|'light'|'dark', letters: boolean }}
 *   null and false leave an attribute out; letters: whether they are keys of the page
 */
export function attributesOf(search) {
  const query = search.replace(/^\?/, '');
  const fields = new URLSearchParams(query);
  const state = readHash(query);
  const architecture = fields.get('architecture');
  return {
    attributes: {
      architecture: ARCHITECTURES.includes(architecture ?? '') ? architecture : 'causal',
      text: state.text, pair: state.pair, blanks: readBlanks(fields.get('blanks'))?.join(' ') ?? null, fill: state.fill, edits: readEdits(fields.get('edits')).length ? fields.get('edits') : null,
      silenced: readSilenced(fields.get('silenced')).length ? fields.get('silenced') : null,
      forced: readChoices(fields.get('forced')).length ? fields.get('forced') : null, max: token(fields.get('max')) ?? null, family: state.family || null,
      temperature: state.temperature || null, topk: state.topK || null, topp: state.topP, seed: state.seed,
      mask: readRule(withPlus(fields.get('mask'))) ?? null,
      language: token(fields.get('language')) ?? null, sourcelanguage: token(fields.get('sourceLanguage')) ?? null,
      layer: state.layer || null, head: state.head || null, device: state.device, lang: state.lang || null,
      theme: state.theme === 'auto' ? null : state.theme,
      look: LOOKS.find((look) => look === fields.get('look')) ?? null,
      exchange: readSpot(fields.get('exchange')) ? fields.get('exchange') : null, way: isWay(fields.get('way')) ? fields.get('way') : null,
      covered: state.cover, view: known(fields.get('view'), VIEWS), controls: known(fields.get('controls'), CONTROLS),
      start: fields.get('step') === 'end' ? 'end' : state.step || null, autoplay: ['', '1', 'true'].includes(fields.get('autoplay') ?? 'no'),
    },
    theme: state.theme,
    letters: state.keys === 'on',
  };
}
