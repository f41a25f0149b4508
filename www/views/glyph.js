/** A machine's sign: its mask in miniature, four by four. */

import { makeSvg } from './dom.js';

const SIGNS = {
  encoder: ['1111', '1111', '1111', '1111'],
  causal: ['1000', '1100', '1110', '1111'],
  prefix: ['1100', '1100', '1110', '1111'],
  'encoder-decoder': ['1100', '1100', '1110', '1111'],
};

/** @param {string} architecture @returns {SVGElement} */
export function glyph(architecture) {
  const rows = SIGNS[architecture] ?? SIGNS.encoder;
  const apart = architecture === 'encoder-decoder';
  const at = (index) => index * 5 + (apart && index > 1 ? 2 : 0);
  const size = apart ? 22 : 20;
  const cells = rows.flatMap((row, y) => [...row].map((bit, x) => (
    makeSvg('rect', { x: at(x) + 0.5, y: at(y) + 0.5, width: 4, height: 4, rx: 0.8, class: bit === '1' ? 'on' : apart && y < 2 ? 'none' : 'off' }))));
  return makeSvg('svg', { class: 'glyph', viewBox: `0 0 ${size} ${size}`, 'aria-hidden': 'true', focusable: 'false' }, ...cells);
}
