/**
 * One machine for an <iframe>: embed.html?architecture=prefix&text=Where+is+the+cat%3F&view=mask+candidates
 * The settings come from the address; nothing in it can name another place to load from.
 */

import { TAG } from './define.js';
import { attributesOf } from './page/embed.js';
import { chooseLanguage, translator } from './i18n/index.js';
import { wireKeyboard } from './page/keyboard.js';
import { make, setAttributes } from './views/dom.js';

const { attributes, theme, letters } = attributesOf(location.search);
const lang = chooseLanguage(String(attributes.lang ?? ''), navigator.languages);
const demo = make(TAG);
setAttributes(demo, { ...attributes, lang });

document.documentElement.lang = lang === 'zh' ? 'zh-Hans' : lang;
document.title = `Unmasked: ${translator(lang)(`machine.${attributes.architecture}`)}`;
if (theme !== 'auto') document.documentElement.dataset.theme = theme;
document.body.append(make('main', {}, make('h1', { class: 'unseen', text: document.title }), demo));
wireKeyboard({
  toggle: () => (demo.playing ? demo.pause() : demo.play()),
  step: () => demo.step(), back: () => demo.back(), restart: () => demo.restart(), end: () => demo.end(), leave: () => demo.unpin(), reveal: () => demo.reveal(),
}, undefined, () => letters);
document.documentElement.dataset.ready = 'true';
