/**
 * A stored trace comes from anybody. Its shape is checked here, once; whoever draws it need not doubt it any more.
 * Rows may be shorter than a matrix is wide, and unknown fields are left alone: newer engines write more.
 */

import { readEdits } from './edits.js';
import { readSilenced } from './gates.js';
import { readRule } from './rules.js';

const MOST_ENTRIES = 4096;

/** Such an error's `kind` is what the page's own sentence for it is found by. */
export class TraceError extends Error { kind = 'trace'; }

const kindOf = (value) => (value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `\`${String(value).slice(0, 40)}\``);
const refuse = (path, expected, got) => { throw new TraceError(`the trace: \`${path}\`: expected ${expected}, got ${kindOf(got)}`); };

const number = (value, path) => { if (!Number.isFinite(value)) refuse(path, 'a number', value); };
const count = (value, path) => { if (!Number.isInteger(value) || value < 0 || value > 1e9) refuse(path, 'a count', value); };
const text = (value, path) => { if (typeof value !== 'string' || value.length > 1e5) refuse(path, 'a text', value); };
const flag = (value, path) => { if (typeof value !== 'boolean') refuse(path, 'true or false', value); };
const oneOf = (...names) => (value, path) => { if (!names.includes(value)) refuse(path, names.join(', '), value); };
const maybe = (check) => (value, path) => { if (value !== undefined && value !== null) check(value, path); };
const list = (check, most = MOST_ENTRIES) => (value, path) => {
  if (!Array.isArray(value) || value.length > most) refuse(path, `a list of at most ${most}`, value);
  value.forEach((entry, at) => check(entry, `${path}[${at}]`));
};
const object = (fields) => (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, 'an object', value);
  for (const [name, check] of Object.entries(fields)) check(Object.hasOwn(value, name) ? value[name] : undefined, path ? `${path}.${name}` : name);
};

/** A dictionary of the model's own: whoever uses it takes what is a number. */
const names = object({});
const pair = (value, path) => { list(number, 2)(value, path); if (value.length < 2) refuse(path, 'two numbers', value); };
const heads = maybe(object({ pair: maybe(pair), classes: maybe(list(number)), replaced: maybe(list(number)), labels: maybe(list(text)) }));
const sites = (check) => maybe(object({ encoder: maybe(check), decoder: maybe(check), cross: maybe(check) }));
/** Of a large model's run there are holes: layers and heads that nobody looked at. */
const matrices = sites(list(maybe(list(maybe(list(list(number)))))));
const masks = sites(list(text));
const stats = maybe(object({ rows_computed: maybe(count), dispatches: maybe(count), submits: maybe(count), readbacks: maybe(count), milliseconds: number }));
const token = object({ id: count, piece: text, space: maybe(flag), special: maybe(flag), start: maybe(count), end: maybe(count) });
const candidate = object({ id: count, piece: text, space: maybe(flag), probability: number, kept: maybe(flag) });
const step = object({
  row: count, chosen: count, piece: text, space: maybe(flag), probability: maybe(number), candidates: list(candidate), rows: maybe(list(count)),
  attention: matrices, mask: masks, stats, ended: maybe(oneOf('eos', 'length', 'context')), forced: maybe(flag),
});
const trace = object({
  model: maybe(object({ architecture: oneOf('encoder', 'causal', 'prefix', 'encoder-decoder'), parameters: maybe(number), family: maybe(text), name: maybe(text), objective: maybe(text) })),
  device: maybe(object({ backend: oneOf('cpu', 'gpu'), adapter: maybe(text), reason: maybe(text), cause: maybe(text), software: maybe(flag), lacks: maybe(list(text)) })),
  tokens: list(token), target: maybe(list(token)), source_length: maybe(count), truncated: maybe(count), text: maybe(text), special: maybe(names),
  forward: maybe(object({ attention: matrices, mask: masks, stats, heads })),
  steps: maybe(list(step)),
});

/** Throws an error of one line that names the first field which is not what it must be. */
export function checkTrace(value) {
  trace(value, '');
  const length = value.tokens.length;
  if ((value.source_length ?? 0) > length) refuse('source_length', `at most the ${length} tokens`, value.source_length);
  const most = length + (value.target?.length ?? 0) + (value.steps?.length ?? 0);
  const { replaced } = value.forward?.heads ?? {};
  // One a token that was read: an encoder reads all of them.
  const read = value.model?.architecture === 'encoder' ? length : value.source_length ?? length;
  if ((replaced?.length ?? 0) > read) refuse('forward.heads.replaced', `at most ${read} numbers`, replaced.length);
  (value.steps ?? []).forEach(({ row, rows }, at) => {
    for (const each of [row, ...(rows ?? [])]) if (each >= most) refuse(`steps[${at}].row`, `below ${most}`, each);
  });
}

/** Painted cells, a rule and silenced heads that a stored run ran under, as its scene tells. @param {{ scene?: any }} trace */
export function departuresOf({ scene }) {
  const told = (/** @type {string} */ name) => (typeof scene?.[name] === 'string' ? scene[name] : null);
  return { edits: readEdits(told('edits')), rule: readRule(told('mask')) ?? null, silenced: readSilenced(told('silenced')) };
}

/** What heads other than the vocabulary's said of a stored run; the pair head, where there were two sentences. @param {{ scene?: any, forward?: any }} trace */
export function saidOf({ scene, forward }) {
  const { pair: both, classes, replaced, labels } = forward?.heads ?? {};
  const said = Object.entries({ pair: scene?.pair ? both : null, classes, replaced }).filter(([, numbers]) => numbers);
  return said.length ? { ...Object.fromEntries(said), labels: labels ?? undefined } : null;
}
