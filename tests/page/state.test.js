import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ARCHITECTURES, LONGEST_TEXT, LOOKS, SPEEDS, cleanText, defaults, isEmpty, isLessonAlone, namedIn, readHash, writeHash } from '../../www/state.js';

test('the defaults need no address', () => {
  assert.equal(writeHash(defaults()), '');
  assert.deepEqual(readHash(''), defaults());
});

test('a state survives its address', () => {
  const state = {
    ...defaults(), text: 'Où est & le #chat = 50%?', on: ['causal', 'encoder-decoder'], layer: 2, head: 'all', temperature: 0.7,
    topK: 5, topP: 0.9, seed: 42, fill: 'confidence', blanks: [1, 4], forced: { causal: '2.117.5.33', 'encoder-decoder': '0.9' }, silenced: { causal: 'd6.3d6.4', 'encoder-decoder': 'c1.2' }, mask: { encoder: 'documents:4', prefix: 'causal+window:3' }, edits: { causal: 'd3.1h4.0s', 'encoder-decoder': 'e0.1hd2.1hc0.3h' }, device: 'cpu', lang: 'zh', theme: 'dark', step: 3, speed: 2,
  };
  assert.deepEqual(readHash(writeHash(state)), state);
  assert.deepEqual(readHash(writeHash({ ...defaults(), text: '', on: [], blanks: [] })), { ...defaults(), text: '', on: [], blanks: [] });
});

test('what does not fit is left at its default', () => {
  const state = readHash('#layer=-1&head=x&temperature=1e9&topP=nan&seed=1.5&fill=never&device=quantum&lang=xx&theme=pink&step=1e3&speed=3&on=evil&blanks=1.x&__proto__=1&constructor=2');
  assert.deepEqual(state, { ...defaults() });
  assert.equal(Object.getPrototypeOf(state), Object.prototype);
});

test('forced choices are those of known machines, each step once and in order', () => {
  const read = (text) => readHash(`#forced=${text}`).forced;
  assert.deepEqual(read('causal.2.117.5.33_encoder-decoder.0.9'), { causal: '2.117.5.33', 'encoder-decoder': '0.9' });
  assert.deepEqual(read('causal.2.117_evil.1.2_prefix.1'), { causal: '2.117' });
  for (const text of ['', 'causal', 'causal.', 'causal.1', 'causal.2.1.2.3', 'causal.5.1.2.3', 'causal.-1.2', '__proto__.1.2', `causal${'.99999.1'}`]) assert.equal(read(text), null, text);
  const long = (count) => `causal${Array.from({ length: count }, (_, at) => `.${at}.1`).join('')}`;
  assert.notEqual(read(long(64)), null);
  assert.equal(read(long(65)), null);
});

test('numbers are clamped, texts cut and cleaned', () => {
  assert.equal(readHash('#temperature=99&topP=0.0001').temperature, 5);
  assert.equal(readHash('#topP=0.0001').topP, 0.01);
  const text = readHash(`#text=${encodeURIComponent('🙂'.repeat(3000))}`).text;
  assert.ok(text.length <= LONGEST_TEXT && !/[\uD800-\uDBFF]$/.test(text));
  assert.equal(readHash(`#text=${encodeURIComponent('a\nb\0c')}`).text, 'a bc');
});

test('the longest texts survive their address in any script', () => {
  for (const sign of ['a', '你', 'é', '👩']) {
    const text = sign.repeat(LONGEST_TEXT / sign.length);
    const state = readHash(writeHash({ ...defaults(), text, pair: text, step: 3 }));
    // Compared whole: what differs would take minutes to be told.
    assert.ok(state.text === text && state.pair === text && state.step === 3, sign);
  }
});

test('nonsense never throws', () => {
  for (const hash of ['#%', '#%E0%A4%A', '#&&&===', `#${'a='.repeat(9000)}`, '#text=%FF', null, undefined]) readHash(hash);
});

/** Words that a careless comparison would take for something else. */
const words = fc.constantFrom('null', 'undefined', 'false', 'true', '0', '1', 'none', 'NaN', '', '[object Object]', 'a+b &=#%');
const text = fc.oneof(words, fc.string({ unit: 'grapheme' })).map(cleanText);
const whole = (least, most) => fc.integer({ min: least, max: most });
const ofEach = (value) => fc.option(fc.dictionary(fc.constantFrom(...ARCHITECTURES), value, { minKeys: 1, noNullPrototype: true }));
const STATES = {
  text: fc.option(text), pair: fc.option(text.filter((one) => !isEmpty(one))), on: fc.option(fc.subarray(ARCHITECTURES)), family: fc.constantFrom('', 'en-fr', 'null', '0'),
  layer: whole(0, 999), head: fc.oneof(whole(0, 999), fc.constant('all')), temperature: whole(0, 500).map((n) => n / 100), topK: whole(0, 1_000_000), topP: whole(1, 100).map((n) => n / 100),
  seed: whole(0, 999_999_999), fill: fc.constantFrom('parallel', 'confidence'), blanks: fc.option(fc.uniqueArray(whole(0, 999), { maxLength: 8 }).map((all) => all.sort((a, b) => a - b))),
  forced: ofEach(fc.constantFrom('2.117.5.33', '0.0')), mask: ofEach(fc.constantFrom('full', 'causal+window:3', 'causal+documents:4+source:1', 'source:2')),
  edits: ofEach(fc.constantFrom('d5.3h', 'e0.1sc2.3h')), silenced: ofEach(fc.constantFrom('d6.3', 'c1.2e2.1')), look: ofEach(fc.constantFrom(...LOOKS)), exchange: ofEach(fc.constantFrom('d3', 'e0')), way: ofEach(fc.constantFrom('replaced', 'noise')),
  large: fc.constantFrom('', ...ARCHITECTURES), present: fc.boolean(), cover: fc.boolean(), device: fc.constantFrom('auto', 'webgpu', 'cpu'), lang: fc.constantFrom('', 'en', 'zh'),
  lesson: fc.constantFrom('', 'window', 'two-blanks'),
  keys: fc.constantFrom('on', 'off'), theme: fc.constantFrom('auto', 'light', 'dark'), step: whole(0, 9999), speed: fc.constantFrom(...SPEEDS),
};

test('every state survives its address, whatever its words are', () => {
  assert.deepEqual(Object.keys(STATES).sort(), Object.keys(defaults()).sort(), 'each field is tried');
  fc.assert(fc.property(fc.record(STATES), (some) => {
    const state = { ...defaults(), ...some };
    assert.deepEqual(readHash(writeHash(state)), state);
  }));
  for (const one of ['null', 'undefined', 'false']) assert.equal(readHash(writeHash({ ...defaults(), text: one, pair: one })).pair, one);
});

test('a second sentence of which nothing can be seen is none', () => {
  for (const pair of ['', ' ', '\u200b', '\u00a0\t', '\u2060 ']) assert.equal(readHash(`#pair=${encodeURIComponent(pair)}`).pair, null, JSON.stringify(pair));
  assert.equal(readHash('#pair=+a').pair, ' a');
});

test('a rule that is written by hand has its plus', () => {
  assert.deepEqual(readHash('#mask=causal.causal+window:3_encoder-decoder.causal+documents:4+source:1').mask, { causal: 'causal+window:3', 'encoder-decoder': 'causal+documents:4+source:1' });
});

test('a way to train is one that there is', () => {
  assert.deepEqual(readHash('#way=encoder.replaced_causal.toString_encoder-decoder.noise').way, { encoder: 'replaced', 'encoder-decoder': 'noise' });
});

test('machines that an address says anything of are known, whatever it says', () => {
  const named = (hash) => namedIn(readHash(hash));
  assert.deepEqual(named('#text=a&layer=2&blanks=1&on=causal&step=3'), []);
  for (const field of ['forced=prefix.0.618', 'mask=prefix.causal', 'edits=prefix.d3.1h', 'silenced=prefix.d6.3', 'look=prefix.leak', 'exchange=prefix.d3', 'way=prefix.answer', 'large=prefix']) assert.deepEqual(named(`#${field}`), ['prefix'], field);
  assert.deepEqual(named('#look=encoder-decoder.leak&mask=prefix.causal&forced=prefix.0.618'), ['prefix', 'encoder-decoder']);
});

test('an address of a lesson alone says nothing of the stage', () => {
  for (const hash of ['#lesson=leak', '#lang=zh&theme=dark&keys=off&device=cpu&present=1&lesson=leak']) assert.equal(isLessonAlone(readHash(hash)), true, hash);
  for (const hash of ['', '#lang=zh', '#lesson=leak&on=causal', '#lesson=leak&text=', '#lesson=leak&step=1']) assert.equal(isLessonAlone(readHash(hash)), false, hash);
});
