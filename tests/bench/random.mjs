/**
 * Random checkpoints of real models' shapes, as Hugging Face lays them out: for what depends on a model's size and not on
 * what it knows. Numbers are even, with the deviation that keeps a stream of any depth within its bounds.
 *
 *   node tests/bench/random.mjs FOLDER gpt2|t5-small [f32|f16]
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** @typedef {{ config: object, tensors: Array<[string, number[]]>, vocabulary: number }} Model */

/** @returns {Model} */
export function gpt2({ vocabulary = 50257, width = 768, heads = 12, layers = 12, positions = 1024 } = {}) {
  const linear = (name, inner, out) => [[`${name}.weight`, [inner, out]], [`${name}.bias`, [out]]];
  const norm = (name) => [[`${name}.weight`, [width]], [`${name}.bias`, [width]]];
  const block = (layer) => {
    const at = `transformer.h.${layer}`;
    return [
      ...norm(`${at}.ln_1`), ...linear(`${at}.attn.c_attn`, width, 3 * width), ...linear(`${at}.attn.c_proj`, width, width),
      ...norm(`${at}.ln_2`), ...linear(`${at}.mlp.c_fc`, width, 4 * width), ...linear(`${at}.mlp.c_proj`, 4 * width, width),
    ];
  };
  return {
    config: {
      model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], activation_function: 'gelu_new', n_embd: width, n_head: heads,
      n_layer: layers, n_positions: positions, vocab_size: vocabulary, layer_norm_epsilon: 1e-5, bos_token_id: vocabulary - 1,
      eos_token_id: vocabulary - 1, tie_word_embeddings: true,
    },
    tensors: /** @type {any} */ ([
      ['transformer.wte.weight', [vocabulary, width]], ['transformer.wpe.weight', [positions, width]],
      ...Array.from({ length: layers }, (_, layer) => block(layer)).flat(), ...norm('transformer.ln_f'),
    ]),
    vocabulary,
  };
}

/** @returns {Model} */
export function t5({ vocabulary = 32128, width = 512, heads = 8, headWidth = 64, inner = 2048, layers = 6 } = {}) {
  const all = heads * headWidth;
  const attention = (at, name) => [
    [`${at}.layer_norm.weight`, [width]],
    ...['q', 'k', 'v'].map((part) => [`${at}.${name}.${part}.weight`, [all, width]]), [`${at}.${name}.o.weight`, [width, all]],
  ];
  const stack = (name) => Array.from({ length: layers }, (_, layer) => {
    const at = `${name}.block.${layer}.layer`;
    const last = name === 'encoder' ? 1 : 2;
    return [
      ...attention(`${at}.0`, 'SelfAttention'), ...(last === 2 ? attention(`${at}.1`, 'EncDecAttention') : []),
      [`${at}.${last}.layer_norm.weight`, [width]],
      [`${at}.${last}.DenseReluDense.wi.weight`, [inner, width]], [`${at}.${last}.DenseReluDense.wo.weight`, [width, inner]],
    ];
  }).flat();
  const whole = (name) => [
    ...stack(name), [`${name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`, [32, heads]],
    [`${name}.final_layer_norm.weight`, [width]],
  ];
  return {
    config: {
      model_type: 't5', architectures: ['T5ForConditionalGeneration'], is_encoder_decoder: true, d_model: width, d_kv: headWidth,
      d_ff: inner, num_heads: heads, num_layers: layers, num_decoder_layers: layers, vocab_size: vocabulary,
      feed_forward_proj: 'relu', relative_attention_num_buckets: 32, relative_attention_max_distance: 128,
      layer_norm_epsilon: 1e-6, decoder_start_token_id: 0, pad_token_id: 0, eos_token_id: 1, tie_word_embeddings: true,
    },
    tensors: /** @type {any} */ ([['shared.weight', [vocabulary, width]], ...whole('encoder'), ...whole('decoder')]),
    vocabulary,
  };
}

const MODELS = { gpt2, 't5-small': t5 };

/**
 * Writes a model folder.
 * @param {string} folder @param {Model} model @param {'f32'|'f16'} [format]
 */
export function writeModel(folder, { config, tensors, vocabulary }, format = 'f32') {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const vocab = Object.fromEntries(Array.from({ length: vocabulary }, (_, id) => [`t${id}`, id]));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({
    version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, post_processor: null, decoder: null,
    pre_tokenizer: { type: 'WhitespaceSplit' }, model: { type: 'WordLevel', vocab, unk_token: 't1' },
  }));
  const size = format === 'f32' ? 4 : 2;
  let end = 0;
  const entries = tensors.map(([name, shape]) => {
    const start = end;
    end += size * count(shape);
    return [name, { dtype: format.toUpperCase(), shape, data_offsets: [start, end] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([length, header]));
  const random = generator(7);
  for (const [name, shape] of tensors) {
    const numbers = new Float32Array(count(shape));
    // The weight of a norm is about 1; what is added to a stream or a sum is small.
    const isGain = /(ln_\w|norm)\.weight$/.test(name);
    const width = shape.length === 1 || /wte|wpe|shared/.test(name) ? 0.05 : Math.sqrt(3 / Math.min(...shape));
    for (let at = 0; at < numbers.length; at += 1) numbers[at] = (isGain ? 1 : 0) + (2 * random() - 1) * width;
    writeSync(file, new Uint8Array((format === 'f32' ? numbers : halves(numbers)).buffer));
  }
  closeSync(file);
}

const count = (shape) => shape.reduce((product, n) => product * n, 1);

/** Numbers in [0, 1), the same in every run. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Rounded down; what is too small for a normal half becomes 0. */
function halves(numbers) {
  const bits = new Uint32Array(numbers.buffer);
  return Uint16Array.from(bits, (word) => {
    const exponent = (word >>> 23 & 255) - 112;
    return word >>> 16 & 0x8000 | (exponent > 0 ? exponent << 10 | word >>> 13 & 1023 : 0);
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder, name = '', format = 'f32'] = argv;
  if (!folder || !Object.hasOwn(MODELS, name) || !['f32', 'f16'].includes(format)) {
    console.error(`usage: node tests/bench/random.mjs FOLDER ${Object.keys(MODELS).join('|')} [f32|f16]`);
    process.exit(2);
  }
  writeModel(folder, MODELS[name](), /** @type {'f32'|'f16'} */ (format));
}
