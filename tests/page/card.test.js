import assert from 'node:assert/strict';
import test from 'node:test';
import { amount, factsOf } from '../../www/facts.js';
import { translator } from '../../www/i18n/index.js';
import { licenceIn } from '../../www/licence.js';
import { calledOf, headsOf } from '../../www/models.js';
import { attributesOf, detailsOf, firstChoice, notesOf, rulesOf } from '../../www/tasks.js';

const t = translator('en');
const stack = {
  layers: 12, distinct_layers: 12, heads: 12, kv_heads: 12, head_width: 64, feed_forward_width: 3072, activation: 'gelu',
  gated: false, norm: 'layer', order: 'post', positions: { kind: 'learned', offset: 0, streams: 1 },
};
const bert = {
  family: 'bert', name: 'BERT', architecture: 'encoder', parameters: 110_106_428, vocabulary: 30522, width: 768, heads: 12, max_positions: 512,
  stacks: { encoder: stack }, stored: { formats: ['F32'], bytes: 440_449_768, tied: true }, masks: { encoder: 'full' },
  tasks: [{ task: 'fill', trained: 'yes', pair: false }, { task: 'pair', trained: 'yes', pair: true }],
};
const chatglm = {
  ...bert, family: 'chatglm', name: 'ChatGLM2', architecture: 'causal', pretrained_as: 'prefix', masks: { decoder: 'causal' },
  stacks: { decoder: { ...stack, heads: 32, kv_heads: 2, norm: 'rms', order: 'pre', gated: true, activation: 'silu', positions: { kind: 'rotary', dims: 32, parts: 1 } } },
  tasks: [{ task: 'continue', trained: 'yes', pair: false }, { task: 'translate', trained: 'no', pair: false }],
};
const t5 = {
  ...bert, family: 't5', name: 'T5', architecture: 'encoder-decoder',
  stacks: { encoder: { ...stack, layers: 6 }, decoder: { ...stack, layers: 8, heads: 16 } },
  tasks: [
    { task: 'translate', trained: 'yes', pair: false, prefixes: ['translate English to German: '] },
    { task: 'infill', trained: 'yes', pair: false, blanks: ['<extra_id_0>'] },
  ],
};
const facts = (description, licence = '') => Object.fromEntries(factsOf(description, licence, t));

test('a card says what the description says', () => {
  assert.deepEqual(facts(bert, 'apache-2.0'), {
    Family: 'BERT (bert)', Parameters: '110.1 million', Layers: '12', Heads: '12, 64 columns each', Width: '768, inside the feed-forward 3072',
    'Feed-forward': 'GELU', Positions: 'learned; up to 512', Norm: 'LayerNorm after each part', 'Output matrix': 'the token table (tied)',
    Vocabulary: '30522', 'Stored as': 'f32, 440.4 MB', Licence: 'apache-2.0', 'Trained for': 'fill blanks, compare two sentences',
  });
  const own = facts(chatglm);
  assert.equal(own['K/V heads'], '2');
  assert.equal(own.Positions, 'rotary, 32 of 64 columns; up to 512');
  assert.equal(own['Feed-forward'], 'SiLU, gated');
  assert.equal(own.Licence, 'not stated');
  assert.equal(own['Not trained for'], 'translate');
  const two = facts(t5);
  assert.equal(two.Layers, 'encoder 6; decoder 8');
  assert.equal(two.Heads, 'encoder 12, 64 columns each; decoder 16, 64 columns each');
  assert.equal(facts({ ...bert, stacks: { encoder: { ...stack, distinct_layers: 1 } } }).Layers, '12, of 1 kinds of weights');
  assert.equal(facts({ ...bert, stored: { formats: ['F16', 'I8'], bytes: 2100 } })['Output matrix'], 'none');
  assert.equal(headsOf({ ...t5 }), 16);
  assert.deepEqual([61, 12_345, 1_240_000_000].map((n) => amount(n, t)), ['61', '12.3 thousand', '1.24 billion']);
});

test('what is chosen becomes what the machine is given', () => {
  const fill = firstChoice(bert);
  assert.deepEqual(attributesOf(bert, fill, 'a b'), { text: 'a b', pair: null, blanks: null, mask: null, language: null, sourcelanguage: null, max: null });
  assert.equal(attributesOf(bert, { ...fill, words: [1] }, 'a b').blanks, '1');
  const pair = { ...fill, at: 1, second: 'c d' };
  assert.deepEqual(attributesOf(bert, pair, 'a b'), { text: 'a b', pair: 'c d', blanks: '', mask: null, language: null, sourcelanguage: null, max: null });
  assert.equal(attributesOf(bert, { ...fill, second: 'c d' }, 'a b').pair, null, 'filling takes one sentence');
  assert.equal(attributesOf(bert, { ...fill, text: 'own' }, 'a b').text, 'own');
  assert.equal(attributesOf(bert, fill, null).text, null);

  const translate = firstChoice(t5);
  assert.equal(attributesOf(t5, translate, 'a b').text, 'translate English to German: a b');
  assert.equal(attributesOf(t5, translate, '').text, '');
  const infill = { ...translate, at: 1, ...detailsOf(t5.tasks[1]) };
  assert.equal(attributesOf(t5, infill, 'a b ').text, 'a b <extra_id_0>');
  assert.equal(attributesOf(t5, infill, 'a <extra_id_0> b').text, 'a <extra_id_0> b');
  assert.equal(attributesOf(t5, { ...infill, language: '7', max: 20 }, 'a').language, '7');
  assert.equal(attributesOf(t5, { ...infill, from: '9' }, 'a').sourcelanguage, '9');
  assert.equal({ ...translate, from: '9', ...detailsOf(t5.tasks[1]) }.from, '', 'another task begins anew');
});

test('what a model was not trained for is said', () => {
  assert.deepEqual(notesOf(bert, firstChoice(bert)), ['task.fill.yes']);
  assert.deepEqual(notesOf(bert, { ...firstChoice(bert), rule: 'causal' }), ['task.fill.yes', 'task.mask.untrained']);
  assert.deepEqual(notesOf(chatglm, { ...firstChoice(chatglm), at: 1, rule: 'prefix' }), ['task.translate.no', 'task.mask.pretrained']);
  assert.deepEqual(rulesOf(bert, false), ['full', 'causal']);
  assert.deepEqual(rulesOf(bert, true), ['full', 'causal', 'prefix']);
  assert.equal(attributesOf(bert, { ...firstChoice(bert), rule: 'full' }, 'a').mask, null);
  assert.equal(attributesOf(bert, { ...firstChoice(bert), rule: 'causal' }, 'a').mask, 'causal');
});

test('every task, training and fact has its words', () => {
  const kinds = ['fill', 'pair', 'replaced', 'classify', 'read', 'continue', 'infill', 'translate', 'summarise'];
  for (const kind of kinds) assert.notEqual(t(`task.${kind}`), `task.${kind}`);
  const said = ['fill.yes', 'pair.yes', 'replaced.yes', 'classify.yes', 'read.untold', 'continue.yes', 'infill.yes',
    ...['translate', 'summarise'].flatMap((kind) => ['yes', 'no', 'untold'].map((trained) => `${kind}.${trained}`))];
  for (const key of said) assert.notEqual(t(`task.${key}`), `task.${key}`);
});

test('a licence is what the card says to machines, and nothing where it says nothing', () => {
  assert.equal(licenceIn('---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\nlicense: no'), 'apache-2.0');
  assert.equal(licenceIn('---\r\nlicense: "mit" # as the authors say\r\n---\r\n'), 'mit');
  assert.equal(licenceIn('---\nlicense: other\nlicense_name: llama3.2\n---\n'), 'llama3.2');
  assert.equal(licenceIn('---\nlicense: other\n---\n'), 'other');
  assert.equal(licenceIn('---\nlicense:\n- mit\n- cc-by-4.0\ntags:\n- x\n---\n'), 'mit, cc-by-4.0');
  assert.equal(licenceIn('---\nlicense: [mit, gpl-3.0]\n---\n'), 'mit, gpl-3.0');
  for (const text of ['', '# A model\nlicense: mit', '---\nlicense: mit', '---\n---\nlicense: mit', '---\nlicense_link: x\n---']) assert.equal(licenceIn(text), '', text);
  assert.ok(licenceIn(`---\nlicense: ${'x'.repeat(500)}\n---\n`).length <= 60);
});

test('a model of the page’s own kind is called by where it is from', () => {
  assert.equal(calledOf(bert, 'hub:a/b', t), 'BERT');
  assert.equal(calledOf({ family: 'unmasked', name: 'Unmasked', architecture: 'prefix' }, 'en-fr-prefix', t), 'Prefix decoder (en-fr-prefix)');
});
