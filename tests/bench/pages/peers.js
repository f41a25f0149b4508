/** transformers.js on the same checkpoints, one thread, f32, with stamps around every token. */
import { AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, BaseStreamer, Tensor, env }
  from '/__peers__/@huggingface/transformers/dist/transformers.web.js';
import * as ort from 'onnxruntime-web/webgpu';

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = '/__bench_models__/';
env.useBrowserCache = false;
env.useWasmCache = false;
env.backends.onnx.wasm.wasmPaths = '/__peers__/onnxruntime-web/dist/';
env.backends.onnx.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = '/__peers__/onnxruntime-web/dist/';
ort.env.wasm.numThreads = 1;

const CLASSES = { gpt2: AutoModelForCausalLM, bert: AutoModelForMaskedLM, t5: AutoModelForSeq2SeqLM };
const models = new Map();

async function modelOf(name, device) {
  const key = `${name} ${device}`;
  if (!models.has(key)) models.set(key, await CLASSES[name].from_pretrained(name, { device, dtype: 'fp32' }));
  return models.get(key);
}

const int64 = (ids) => new Tensor('int64', BigInt64Array.from(ids.map(BigInt)), [1, ids.length]);
const ones = (count) => int64(Array(count).fill(1));

/** Stamps each token as it is put. */
class Stamps extends BaseStreamer {
  constructor(start) { super(); this.start = start; this.stamps = []; this.ids = []; }
  put([ids]) { this.stamps.push(performance.now() - this.start); this.ids.push(Number(ids.at(-1))); }
  end() {}
}

async function sample({ model: name, device, ids, tokens }) {
  const model = await modelOf(name, device);
  const inputs = { input_ids: int64(ids), attention_mask: ones(ids.length) };
  const start = performance.now();
  if (name === 'bert') {
    const { logits } = await model(inputs);
    const [, rows, width] = logits.dims;
    const best = (row) => { let at = 0; for (let i = 1; i < width; i += 1) if (row[i] > row[at]) at = i; return at; };
    const chosen = Array.from({ length: rows }, (_, row) => best(logits.data.subarray(row * width, (row + 1) * width)));
    return { first_ms: performance.now() - start, tokens: rows, ids: chosen };
  }
  const streamer = new Stamps(start);
  await model.generate({ ...inputs, max_new_tokens: tokens, do_sample: false, streamer });
  // The prompt is put first.
  const stamps = streamer.stamps.slice(1);
  const record = { first_ms: stamps[0], tokens: stamps.length, ids: streamer.ids.slice(1) };
  if (stamps.length > 1) record.tokens_per_s = (stamps.length - 1) / (stamps.at(-1) - stamps[0]) * 1e3;
  return record;
}

const SAMPLE = 100; // milliseconds at least
const sessions = new Map();

async function matmul({ shape, device, count }) {
  const key = `${shape} ${device}`;
  if (!sessions.has(key)) {
    const made = await ort.InferenceSession.create(`/__bench_models__/matmul/${shape.join('x')}.onnx`, { executionProviders: [device] });
    const [rows, inner] = shape;
    const x = new ort.Tensor('float32', Float32Array.from({ length: rows * inner }, (_, cell) => (cell * 7919 % 2003) / 2003 - 0.5), [rows, inner]);
    await made.run({ x });
    sessions.set(key, { made, x });
  }
  const { made, x } = sessions.get(key);
  // As in ours.js: what was measured before is not to be felt.
  await made.run({ x });
  const start = performance.now();
  let plays = 0;
  let spent;
  do {
    await made.run({ x });
    plays += 1;
    spent = performance.now() - start;
  } while (spent < SAMPLE);
  return { gflops: plays * 2 * shape.reduce((a, b) => a * b) * count / spent / 1e6 };
}

window.bench = { sample, matmul, free: () => {} };
document.documentElement.dataset.ready = 'true';
