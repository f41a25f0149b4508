/** wllama, which is llama.cpp compiled to wasm, on the same GPT-2 as GGUF, one thread, f32, with stamps around every token. */
import { Wllama } from '/__peers__/@wllama/wllama/esm/index.min.js';

/** Runs of a prompt before it is measured: the browser makes this much wasm fast bit by bit, where it is busy. */
const WARM = 8;
const models = new Map();
const warm = new Set();

async function modelOf(name) {
  if (!models.has(name)) {
    const made = new Wllama({ default: '/__peers__/@wllama/wllama/esm/wasm/wllama.wasm' }, { suppressNativeLog: true });
    // Other browsers than this one would be given another build, from elsewhere.
    made.setCompat(null);
    const file = await fetch(`/__bench_models__/${name}/model.gguf`);
    await made.loadModel([await file.blob()], {
      n_ctx: 256, n_parallel: 1, n_threads: 1, n_gpu_layers: 0, cache_type_k: 'f32', cache_type_v: 'f32',
      // With it a token takes twice as long here.
      flash_attn: false,
    });
    models.set(name, made);
  }
  return models.get(name);
}

async function run(model, prompt, tokens) {
  const [ids, stamps] = [[], []];
  const start = performance.now();
  await model.createCompletion({
    // It takes no ids: its vocabulary's tokens are their numbers, each with a space.
    prompt: prompt.map((id) => `${id} `).join(''), max_tokens: tokens, samplers: ['top_k'], top_k: 1, cache_prompt: false, stream: true,
    onData: ({ choices: [{ text }] }) => {
      // The last piece only says that it is the last.
      if (!text) return;
      stamps.push(performance.now() - start);
      ids.push(Number(text));
    },
  });
  return { ids, stamps };
}

async function sample({ model: name, ids: prompt, tokens }) {
  const model = await modelOf(name);
  const key = `${name} ${prompt.length}`;
  for (let count = 0; count < WARM && !warm.has(key); count += 1) await run(model, prompt, tokens);
  warm.add(key);
  const { ids, stamps } = await run(model, prompt, tokens);
  const record = { first_ms: stamps[0], tokens: ids.length, ids };
  if (stamps.length > 1) record.tokens_per_s = (stamps.length - 1) / (stamps.at(-1) - stamps[0]) * 1e3;
  return record;
}

window.bench = { sample };
document.documentElement.dataset.ready = 'true';
