/** What an element makes of attributes that its page's author wrote: which layer and head it shows, a second sentence, a scene. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isNamed, shownOf } from '../../www/element-frame.js';
import { readScene, settingsOf } from '../../www/element-settings.js';

const element = (attributes) => /** @type {any} */ ({
  description: { layers: { encoder: 0, decoder: 6 }, heads: 4, stacks: {} }, timeline: null, position: 0, getAttribute: (name) => attributes[name] ?? null,
});
const shown = (attributes) => { const { layer, head } = shownOf(element(attributes), null); return [layer, head]; };

test('a layer and a head are whole numbers, counted from 1, as an address has them; anything else says nothing', () => {
  assert.deepEqual(shown({}), [5, 0]);
  assert.deepEqual(shown({ layer: '2', head: '3' }), [1, 2]);
  assert.deepEqual(shown({ layer: '99', head: '99' }), [5, 3]);
  assert.deepEqual(shown({ head: 'all' }), [5, 'all']);
  for (const text of ['2.5', '-3', '0', '', 'x', '1e0', 'Infinity']) assert.deepEqual(shown({ layer: text, head: text }), [5, 0], text);
});

test('a second sentence of which nothing can be seen is none', () => {
  for (const pair of ['', ' ', '\u200b', '\u2060\t']) assert.equal(settingsOf(element({ pair })).pair, undefined, JSON.stringify(pair));
  assert.equal(settingsOf(element({ pair: ' a' })).pair, ' a');
});

test('a scene says what is asked and shown, and nothing of where it comes from', async () => {
  const scene = { family: 'zh-en', max: 12, forced: '2.117', language: 7, sourceLanguage: 8, start: 'end', covered: true, text: 'a', model: 'https://elsewhere.example/', trace: 'x', device: 'cpu', scene: 'y', autoplay: true, controls: 'play' };
  const read = async (said) => {
    globalThis.fetch = /** @type {any} */ (async () => ({ ok: true, json: async () => ({ scene: said }) }));
    const given = {};
    await readScene(/** @type {any} */ ({ getAttribute: (name) => ({ scene: 'a.json', text: 'b' })[name] ?? null, hasAttribute: (name) => ['scene', 'text'].includes(name) }), (name, value) => { given[name] = value; });
    return given;
  };
  globalThis.document ??= /** @type {any} */ ({});
  Object.assign(globalThis.document, { baseURI: 'http://127.0.0.1/' });
  assert.deepEqual(await read(scene), { family: 'zh-en', max: '12', forced: '2.117', language: '7', sourcelanguage: '8', start: 'end', covered: 'true' });
  assert.deepEqual(await read({ covered: false, max: [1] }), {});
});

test('which machine it is was said where it is a known word, or nothing else tells', () => {
  const named = (attributes, files = null) => isNamed(/** @type {any} */ ({ files, getAttribute: (name) => attributes[name] ?? null, hasAttribute: (name) => name in attributes }));
  for (const said of [{}, { text: 'a' }, { architecture: '' }, { architecture: 'prefix', trace: 'a.json' }]) assert.equal(named(said), true, JSON.stringify(said));
  for (const said of [{ architecture: 'zebra' }, { architecture: '', trace: 'a.json' }, { trace: 'a.json' }, { scene: 'a.json' }, { model: 'hub:a/b' }]) assert.equal(named(said), false, JSON.stringify(said));
  assert.equal(named({}, []), false);
});
