/**
 * Hostile addresses, queries, attributes, pieces and stored traces: first those of `fuzz/corpus/page/`, then what
 * fast-check makes. The same ones each time; for `UNMASKED_FUZZ_SECONDS` (`cargo xtask test --fuzz 60`) new ones, as many
 * as there is time for. What fails is shrunk and printed; put into the corpus, it is tried first ever after.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import fc from 'fast-check';
import { MOST_EDITS, readEdits, writeEdits } from '../../www/edits.js';
import { MOST_SILENCED, readSilenced, writeSilenced } from '../../www/gates.js';
import { readScene, settingsOf } from '../../www/element-settings.js';
import { readRule } from '../../www/rules.js';
import { attributesOf } from '../../www/page/embed.js';
import { showPieces } from '../../www/pieces.js';
import { ARCHITECTURES, LONGEST_TEXT, SPEEDS, defaults, readChoices, readHash, writeChoices, writeHash } from '../../www/state.js';
import { Timeline } from '../../www/timeline.js';
import { matrixTable, sceneOf, textIn, traceOf, writeCsv } from '../../www/save.js';
import { checkTrace, departuresOf, saidOf } from '../../www/trace.js';
import { cellOf } from '../../www/views/table.js';

const seconds = Number(process.env.UNMASKED_FUZZ_SECONDS) || 0;
/** How long and from which seed a property is tried. */
const effort = seconds > 0
  ? { numRuns: 1e9, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false, seed: Date.now() }
  : { numRuns: 500, seed: 1 };
/** Every example of the corpus, then as many as the effort allows. An example is the list of a property's arguments. */
async function holds(name, property) {
  const examples = JSON.parse(await readFile(new URL(`../../fuzz/corpus/page/${name}.json`, import.meta.url), 'utf8'));
  assert.ok(examples.length, name);
  await fc.assert(property, { ...effort, examples });
}

const anyText = fc.string({ unit: fc.oneof(fc.constantFrom(...'#&=%.,+-019eE\0\n\u202e\ud800\udfff\u200d'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })), maxLength: 60 });
/** Fields of these names or any, of these words or any. */
const fieldsOf = (names, words) => {
  const field = fc.tuple(fc.oneof(fc.constantFrom(...names, '__proto__', 'constructor'), anyText),
    fc.oneof(anyText, fc.integer().map(String), fc.double().map(String), fc.constantFrom(...words)));
  return fc.oneof(anyText, fc.array(field, { maxLength: 20 }).map((fields) => fields.map((pair) => pair.join('=')).join('&')));
};
const WORDS = ['all', 'none', 'causal,prefix', '1.2.3', 'auto', 'cpu', '0.5.2.17', 'causal.0.5_prefix.2.17.3.1', 'encoder.1.5.1.6', 'causal.d3.1h4.2s_encoder.e1.1h', 'd3.1h3.1s'];

test('an address, whatever it says, gives a state of the right shape that survives being written', async () => {
  await holds('address', fc.property(fieldsOf(Object.keys(defaults()), WORDS), (hash) => {
    const state = readHash(hash);
    assert.deepEqual(Object.keys(state), Object.keys(defaults()));
    assert.equal(Object.getPrototypeOf(state), Object.prototype);
    for (const name of ['layer', 'temperature', 'topK', 'topP', 'seed', 'step']) assert.ok(Number.isFinite(state[name]) && state[name] >= 0, name);
    assert.ok(state.on === null || state.on.every((name) => ARCHITECTURES.includes(name)));
    assert.ok(SPEEDS.includes(state.speed) && ['auto', 'webgpu', 'cpu'].includes(state.device));
    for (const text of [state.text, state.pair]) assert.ok(text === null || (text.length <= LONGEST_TEXT && !/[\n\0]/.test(text)));
    for (const [name, choices] of Object.entries(state.forced ?? {})) assert.ok(ARCHITECTURES.includes(name) && readChoices(choices).length > 0, choices);
    for (const [name, rule] of Object.entries(state.mask ?? {})) assert.ok(ARCHITECTURES.includes(name) && readRule(rule) === rule, rule);
    for (const [name, heads] of Object.entries(state.silenced ?? {})) assert.ok(ARCHITECTURES.includes(name) && readSilenced(heads).length > 0, heads);
    for (const [name, edits] of Object.entries(state.edits ?? {})) assert.ok(ARCHITECTURES.includes(name) && readEdits(edits).length > 0, edits);
    assert.deepEqual(readHash(writeHash(state)), state);
  }));
});

/** As much of an element as its settings read. */
function element(attributes = {}) {
  const map = new Map(Object.entries(attributes));
  return {
    getAttribute: (name) => map.get(name) ?? null, hasAttribute: (name) => map.has(name),
    setAttribute: (name, value) => { assert.equal(typeof value, 'string'); map.set(name.toLowerCase(), value); }, names: () => [...map.keys()],
  };
}

/** @param {object} settings what an element asks for, however it was told */
function assertInRange(settings) {
  assert.ok(settings.text.length <= LONGEST_TEXT);
  assert.ok(Number.isInteger(settings.maxNewTokens) && settings.maxNewTokens >= 1 && settings.maxNewTokens <= 512);
  assert.ok(settings.blanks === null || settings.blanks.every((blank) => Number.isInteger(blank) && blank >= 0 && blank < 1000));
  assert.ok(settings.forced.length <= 64 && settings.forced.every(([step, id], at) => Number.isInteger(id) && step > (settings.forced[at - 1]?.[0] ?? -1)));
  assert.deepEqual(readChoices(writeChoices(settings.forced)), settings.forced);
  assert.ok(settings.edits.length <= MOST_EDITS && settings.edits.every(({ row, key }) => row <= 9999 && key <= 9999));
  assert.equal(readEdits(writeEdits(settings.edits)).length, settings.edits.length);
  assert.ok(settings.silenced.length <= MOST_SILENCED && settings.silenced.every(({ layer, head }) => layer >= 0 && head >= 0));
  assert.deepEqual(readSilenced(writeSilenced(settings.silenced)), settings.silenced);
  assert.ok(settings.rule === undefined || readRule(settings.rule) === settings.rule);
  const { temperature, topP, topK, seed } = settings.sampling ?? { temperature: 1, topP: 1, topK: 1, seed: 1 };
  assert.ok(temperature > 0 && temperature <= 5 && topP >= 0.01 && topP <= 1 && Number.isInteger(seed) && (topK === undefined || topK > 0));
}

test('attributes, whatever they say, give settings in range', async () => {
  const names = ['text', 'pair', 'blanks', 'fill', 'forced', 'edits', 'silenced', 'mask', 'language', 'temperature', 'topk', 'topp', 'seed', 'max'];
  await holds('attributes', fc.property(fc.dictionary(fc.constantFrom(...names), fc.oneof(anyText, fc.double().map(String), fc.constantFrom('0.5.2.17', '2.5.2.6', '1.2.3', 'd3.1h4.2s', 'c1.1he0.0s'))), (attributes) => {
    assertInRange(settingsOf(element(attributes)));
  }));
});

/** All that embed.html sets. No name among them is an address to load from. */
const EMBEDDED = ['architecture', 'text', 'pair', 'blanks', 'fill', 'edits', 'silenced', 'look', 'exchange', 'way', 'covered', 'forced', 'max', 'family', 'temperature', 'topk', 'topp', 'seed', 'mask', 'language', 'sourcelanguage',
  'layer', 'head', 'device', 'lang', 'theme', 'view', 'controls', 'start', 'autoplay'];

test('a query of embed.html, whatever it says, gives known attributes with values in range', async () => {
  const names = [...Object.keys(defaults()), 'architecture', 'mask', 'language', 'sourceLanguage', 'view', 'controls', 'autoplay', 'model', 'trace', 'scene'];
  const words = [...WORDS, 'prefix', 'end', 'mask candidates', 'step,play', 'https://elsewhere.example/', '250008'];
  await holds('query', fc.property(fieldsOf(names, words), (query) => {
    const { attributes, theme } = attributesOf(query);
    assert.deepEqual(Object.keys(attributes).sort(), [...EMBEDDED].sort());
    assert.ok(['auto', 'light', 'dark'].includes(theme) && ARCHITECTURES.includes(attributes.architecture));
    assert.ok(['auto', 'webgpu', 'cpu'].includes(attributes.device) && [null, 'en', 'zh'].includes(attributes.lang));
    assert.ok([null, 'end'].includes(attributes.start) || (Number.isInteger(attributes.start) && attributes.start > 0));
    for (const words of [attributes.view, attributes.controls]) assert.ok(words === null || /^[a-z]+( [a-z]+)*$/.test(words));
    const set = Object.entries(attributes).filter(([, value]) => value !== null && value !== false);
    for (const [name, value] of set) assert.ok(['string', 'number', 'boolean'].includes(typeof value), name);
    assertInRange(settingsOf(element(Object.fromEntries(set.map(([name, value]) => [name, value === true ? '' : String(value)])))));
  }));
});

const piece = fc.oneof(anyText, fc.constantFrom('<0xE4>', '<0xBD>', '▁the', 'Ġa', '##b', '\u202eabc', '\ufffd', ''));

test('pieces, whatever they hold, are shown without control characters, and none is lost', async () => {
  await holds('pieces', fc.property(fc.array(fc.record({ piece, special: fc.boolean(), space: fc.option(fc.boolean(), { nil: undefined }) }), { maxLength: 12 }), (tokens) => {
    const shown = showPieces(tokens);
    assert.equal(shown.length, tokens.length);
    for (const { text } of shown) assert.doesNotMatch(text.replaceAll('\u200d', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
  }));
});

const token = (id) => ({ id, piece: `w${id}`, space: true, special: false });
const attention = (rows, keys) => [[Array.from({ length: rows }, () => Array(keys).fill(1 / keys))]];
/** A sound trace of each architecture, to be spoilt. */
function sound(architecture, steps) {
  const stack = architecture === 'encoder' ? 'encoder' : 'decoder';
  return {
    version: 1, model: { family: 'unmasked', architecture, parameters: 1, name: 'x', objective: 'y' }, special: { bos: 1, mask: 4, eos: null }, device: { backend: 'cpu', adapter: 'x', software: false, reason: 'y', cause: 'asked' },
    tokens: [1, 2, 3].map(token), source_length: 3, truncated: 0, ...(architecture === 'encoder-decoder' ? { target: [token(1)] } : {}),
    forward: { mask: { [stack]: ['100', '110', '111'] }, attention: { [stack]: attention(3, 3) }, stats: { rows_computed: 3, dispatches: 1, milliseconds: 1 }, heads: { pair: [0.5, 1], classes: [1], replaced: [1, 2, 3], labels: ['z'] } },
    steps: Array.from({ length: steps }, (_, at) => ({
      // The second one was drawn, and is none of the most probable.
      row: architecture === 'encoder' ? at % 3 : 2 + at, chosen: at === 1 ? 9 : 5, piece: 'w5', space: false, probability: 0.1, candidates: [{ id: 5, piece: 'w5', space: false, probability: 0.5, kept: true }],
      rows: [2 + at].filter((row) => architecture !== 'encoder' || row < 3), attention: { [stack]: attention(1, 3 + at) }, mask: { [stack]: ['111'] },
      stats: { rows_computed: 1, dispatches: 1, milliseconds: 0.5 },
    })),
    scene: { layer: 2, text: 'a', pair: 'b' },
  };
}

/** All places of a value that could be spoilt. */
function places(value, path = []) {
  const inner = typeof value === 'object' && value !== null ? Object.keys(value).flatMap((key) => places(value[key], [...path, key])) : [];
  return [path, ...inner];
}

const spoilt = fc.record({
  architecture: fc.constantFrom(...ARCHITECTURES), steps: fc.integer({ min: 0, max: 4 }),
  changes: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, null, [], {}, -1, 1e300, 'x', NaN))), { maxLength: 3 }),
}).map(({ architecture, steps, changes }) => {
  let trace = sound(architecture, steps);
  for (const [at, value] of changes) {
    const all = places(trace);
    const path = all[at % all.length];
    if (!path.length) { trace = value; continue; }
    const last = path.at(-1);
    const holder = path.slice(0, -1).reduce((inner, key) => inner[key], trace);
    if (value === undefined) delete holder[last];
    else holder[last] = value;
    if (typeof trace !== 'object' || trace === null) break;
  }
  return trace;
});

/** Everything that the views ask of a frame. */
function look(timeline) {
  for (let at = 0; at <= timeline.length + 1; at += 1) {
    const frame = timeline.frame(at);
    showPieces([...frame.source, ...frame.target]);
    for (const block of frame.blocks) {
      assert.ok(block.rows <= 1e5 && block.keys <= 1e5);
      for (let row = 0; row < Math.min(block.rows, 9); row += 1) {
        const weights = block.attention(0, 0, row);
        for (let key = 0; key < Math.min(block.keys, 9); key += 1) assert.equal(typeof cellOf(block.visible(row, key), weights?.[key], (word) => word), 'string');
      }
    }
    for (const one of frame.candidates) one.probability.toFixed(3);
    timeline.answerIds(at);
  }
}

test('a sound trace passes, and can be looked at', () => {
  for (const architecture of ARCHITECTURES) {
    const trace = sound(architecture, 3);
    checkTrace(trace);
    look(Timeline.fromTrace(trace));
  }
});

test('a run of a model of billions of parameters passes, too', () => {
  const trace = sound('causal', 1);
  trace.model.parameters = 7_000_000_000;
  checkTrace(trace);
});

test('a row of attention that is shorter than its mask has no number there', () => {
  const trace = sound('causal', 0);
  trace.forward.attention.decoder[0][0][2] = [0.5];
  checkTrace(trace);
  const [block] = Timeline.fromTrace(trace).frame(0).blocks;
  const row = [0, 1, 2].map((key) => cellOf(block.visible(2, key), block.attention(0, 0, 2)?.[key], (word) => word));
  assert.deepEqual(row, ['0.500', 'table.seen', 'table.seen']);
});

test('a stored trace, however spoilt, is refused in one line or can be looked at', async () => {
  globalThis.document ??= { baseURI: 'http://127.0.0.1/' };
  await holds('trace', fc.asyncProperty(spoilt, fc.constantFrom('trace', 'scene'), async (trace, name) => {
    globalThis.fetch = async () => ({ ok: true, json: async () => JSON.parse(JSON.stringify(trace) ?? 'null') });
    const target = element({ [name]: 'run.json' });
    let scene;
    try {
      scene = await readScene(target);
    } catch (error) {
      assert.match(error.message, /^the (trace|scene)/);
      assert.doesNotMatch(error.message, /\n|undefined is not|cannot read/i);
      return;
    }
    for (const key of target.names()) assert.match(key, /^(trace|scene|architecture|text|pair|blanks|fill|temperature|topk|topp|seed|layer|head|view)$/);
    settingsOf(target);
    if (!scene.steps) return;
    const timeline = Object.assign(Timeline.fromTrace(scene), departuresOf(scene));
    look(timeline);
    const verdict = saidOf(scene);
    assert.ok((verdict?.replaced?.length ?? 0) <= timeline.frame(0).source.length, 'each is of a token');
    for (const said of [...verdict?.pair ?? [], ...verdict?.classes ?? [], ...verdict?.replaced ?? []]) said.toFixed(1);
    // Whatever was played can be saved, and played again.
    const frame = timeline.frame(0);
    for (const head of /** @type {const} */ ([0, 'all'])) {
      const shown = /** @type {any} */ ({ ...frame, view: { layer: 0, head } });
      writeCsv(matrixTable({ ...shown, heads: Math.min(frame.heads, 2), blocks: frame.blocks.map((block) => ({ ...block, rows: Math.min(block.rows, 9), keys: Math.min(block.keys, 9) })) }));
      const again = traceOf(timeline, { device: null, description: null, verdict, scene: sceneOf({ timeline, blanked: [], fills: false }, shown) });
      checkTrace(again);
      assert.deepEqual(again.steps, JSON.parse(JSON.stringify(scene.steps)));
    }
    assert.equal(typeof textIn(timeline), 'string');
  }));
});
