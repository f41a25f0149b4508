/**
 * A run, collected: the header that `begin` gave and the steps that followed, cut into frames.
 * Frame t shows the moment after t choices and before the next one: the row that is about to choose, what it
 * attends to and its candidates. The last frame shows the end. Pure: no engine, no page, no clock.
 *
 * @typedef {'encoder'|'causal'|'prefix'|'encoder-decoder'} Architecture
 * @typedef {'encoder'|'decoder'|'cross'} BlockName
 * @typedef {{ id: number, piece: string, space?: boolean, probability: number, kept?: boolean }} Candidate
 * @typedef {{ id: number, piece: string, space?: boolean, special?: boolean, start?: number|null, end?: number|null }} Token
 * @typedef {{ row: number, chosen: number, piece: string, space?: boolean, probability?: number|null, ended?: string, candidates: Candidate[], rows?: number[],
 *   attention?: Object<string, any>, mask?: Object<string, string[]>, stats?: Stats, forced?: boolean, own?: number }} Step   own: what the model chose, where another was forced
 * @typedef {{ backend: 'gpu'|'cpu', adapter?: string, software?: boolean, reason?: string }} DeviceInfo
 * @typedef {{ rows_computed: number, milliseconds: number, dispatches?: number, submits?: number, readbacks?: number }} Stats
 * @typedef {Record<string, any[]>} Grids   of encoder, decoder and cross: [layer][head][row][key]
 * @typedef {{ model?: { family?: string, architecture?: Architecture, parameters?: number, name?: string, objective?: string }, special?: Record<string, any>, scene?: any, tokens: Token[], source_length?: number, truncated?: number,
 *   target?: Token[], forward?: { mask?: Record<string, string[]>, attention?: Grids, stats?: Stats }, device?: DeviceInfo }} Header
 *   a trace without its steps
 * @typedef {Token & { position: number, state: 'special'|'source'|'blank'|'filled'|'answer', forced: boolean }} Shown
 * @typedef {{ name: BlockName, rows: number, keys: number, wholeRows: number, wholeKeys: number,
 *   visible: (row: number, key: number) => boolean|null,
 *   attention: (layer: number, head: number, row: number) => ArrayLike<number>|null }} Block
 * @typedef {{ architecture: Architecture, position: number, length: number, ended: boolean, settled: boolean,
 *   waiting: boolean, source: Shown[], target: Shown[], read: Shown[], truncated: number, sourceLength: number, starts: number,
 *   current: { stack: 'encoder'|'decoder', row: number }|null, candidates: Candidate[], chosen: number|null,
 *   forced: boolean, reason: string|null,
 *   blocks: Block[], layers: Object<string, number>, heads: number, stats: Stats|null }} Frame   starts: tokens at the head of the target that every answer begins with
 */

export class Timeline {
  /**
   * @param {Header} header a trace without its steps
   * @param {{ maskId?: number|null, specials?: Set<number> }} [signs] ids that are the model's own signs
   */
  constructor(header, signs = {}) {
    this.header = header;
    this.signs = signs;
    /** @type {Step[]} */
    this.steps = [];
    this.ended = false;
    /** The painted cells of the mask that it ran under. @type {import('./edits.js').Edit[]} */
    this.edits = [];
    /** The heads that were silent. @type {import('./gates.js').Head[]} */
    this.silenced = [];
    /** The rule that it was asked for in place of the model's own. @type {string|null} */
    this.rule = null;
    /** Where a prefix ended that was asked for by no number. @type {number|null} */
    this.prefixEnd = null;
    /** Whether it attended otherwise than the model does. */
    this.other = false;
    /** What was asked, whatever the mask (`questionOf`); null of a stored run. @type {string|null} */
    this.question = null;
    /** How likely any token was at each step, by its id; null until somebody asked. @type {Array<Map<number, number>>|null} */
    this.shares = null;
  }

  /** A stored trace as a finished run. */
  static fromTrace(trace) {
    const { steps, ...header } = trace;
    const timeline = new Timeline(header, signsOf(header.special, header.model?.architecture));
    for (const step of steps ?? []) timeline.push(step);
    timeline.ended = true;
    return timeline;
  }

  /** @returns {Architecture} */
  get architecture() { return this.header.model?.architecture ?? 'causal'; }
  get length() { return this.steps.length; }

  /** The last position that can be shown: with a step at hand, the moment before it; at the end, after it. */
  get available() {
    return this.ended ? this.steps.length : Math.max(0, this.steps.length - 1);
  }

  push(step) {
    this.steps.push(step);
    if (step.ended) this.ended = true;
  }
  end() { this.ended = true; }

  /**
   * The same run up to step `at`, which chooses `candidate` instead; what followed is forgotten.
   * @param {number} at
   * @param {{ id: number, piece: string, space?: boolean, probability?: number }} candidate
   */
  fork(at, candidate) {
    const fork = new Timeline(this.header, this.signs);
    const { edits, rule, prefixEnd, other, silenced, question } = this;
    Object.assign(fork, { edits, rule, prefixEnd, other, silenced, question });
    fork.steps = this.steps.slice(0, at + 1);
    const last = fork.steps[at];
    // The model's own choice, pressed again, is not a forced one.
    const own = last.own ?? last.chosen;
    fork.steps[at] = { ...last, own, chosen: candidate.id, piece: candidate.piece, space: candidate.space, probability: candidate.probability, ended: undefined, forced: candidate.id !== own };
    return fork;
  }

  /** Ids of the answer after t choices, what a new run takes as `targetIds`. */
  answerIds(t) {
    const given = this.architecture === 'encoder-decoder' ? this.header.target ?? []
      : (this.header.tokens ?? []).slice(this.header.source_length ?? this.header.tokens.length);
    return [...given.map((token) => token.id), ...this.steps.slice(0, t).map((step) => step.chosen)];
  }

  /** Ids of an encoder's sentence after t blanks were filled. */
  filledIds(t) {
    const ids = this.header.tokens.map((token) => token.id);
    for (const step of this.steps.slice(0, t)) ids[step.row] = step.chosen;
    return ids;
  }

  /** Rows of an encoder that are still blank after t were filled: what a person put there may be [MASK] again. */
  blanksAfter(t) {
    const filled = new Set(this.steps.slice(0, t).map((step) => step.row));
    return this.#blankRows().filter((row) => !filled.has(row));
  }

  /**
   * @param {number} t choices made so far
   * @returns {Frame}
   */
  frame(t) {
    const position = Math.max(0, Math.min(t, this.steps.length));
    const settled = this.ended && position >= this.steps.length;
    const waiting = !settled && position >= this.steps.length;
    const at = Math.min(position, this.steps.length - 1);
    const step = at >= 0 && !waiting ? this.steps[at] : null;
    const { source, target } = this.#tokens(position);
    const stack = this.architecture === 'encoder' ? 'encoder' : 'decoder';
    const blocks = this.#blocks(position, source.length);
    return {
      architecture: this.architecture,
      position, length: this.steps.length, ended: this.ended, settled, waiting,
      source, target, read: this.#read(source, position),
      truncated: this.header.truncated ?? 0,
      sourceLength: this.header.source_length ?? source.length,
      // A run is asked for with no answer; what a stored one was begun with it does not tell.
      starts: this.signs.specials && this.architecture !== 'encoder' ? target.length - position : 0,
      current: step ? { stack, row: step.row } : null,
      candidates: step ? candidatesOf(step) : [],
      chosen: step ? step.chosen : null,
      forced: Boolean(step?.forced),
      reason: settled ? step?.ended ?? null : null,
      blocks,
      layers: this.#layers(),
      heads: this.#heads(),
      stats: step ? this.#statsAt(at) : null,
    };
  }

  /**
   * What the pass cost of which a step came: blanks that are filled at once share one, and the first one has it. The first of an
   * answer whose source is read apart came of two.
   */
  #statsAt(at) {
    const pass = this.steps.slice(0, at + 1).findLast(({ stats }) => stats?.rows_computed !== 0);
    const read = this.architecture === 'encoder-decoder' && pass === this.steps[0] ? this.header.forward?.stats : null;
    return pass?.stats && read ? sumOf(pass.stats, read) : pass?.stats ?? null;
  }

  #special(token) {
    return token.special ?? this.signs.specials?.has(token.id) ?? false;
  }

  /** Chips of both stacks after t choices. Decoder-only machines have one stack: `source` then `target` in it. */
  #tokens(t) {
    const given = this.header.tokens ?? [];
    const shown = (token, position, state, forced = false) => (
      { ...token, special: this.#special(token), position, forced, state: this.#special(token) && state !== 'blank' ? 'special' : state });
    const made = this.steps.slice(0, t);
    if (this.architecture === 'encoder') {
      const filled = new Map(made.map((step) => [step.row, step]));
      const open = new Set(this.#blankRows());
      const source = given.map((token, position) => {
        const step = filled.get(position);
        if (step) return shown({ id: step.chosen, piece: step.piece, space: step.space, special: false, start: token.start, end: token.end }, position, 'filled', Boolean(step.forced));
        return shown(token, position, open.has(position) ? 'blank' : 'source');
      });
      return { source, target: [] };
    }
    const wired = this.architecture === 'encoder-decoder';
    const cut = wired ? given.length : this.header.source_length ?? given.length;
    const answer = wired ? this.header.target ?? [] : given.slice(cut);
    const first = wired ? 0 : cut;
    const source = given.slice(0, cut).map((token, position) => shown(token, position, 'source'));
    const target = [
      ...answer.map((token, at) => shown(token, first + at, 'answer')),
      ...made.map((step, at) => shown({ id: step.chosen, piece: step.piece, space: step.space, special: this.signs.specials?.has(step.chosen) },
        first + answer.length + at, 'answer', Boolean(step.forced))),
    ];
    return { source, target };
  }

  /**
   * What the rows of the matrix stood for in the pass that they are of. A word that was filled in after it was no part of it:
   * the row is still the blank's. What writes step by step reads what it wrote.
   */
  #read(source, t) {
    if (this.architecture !== 'encoder') return source;
    const latest = latestRows('encoder', this.steps.slice(0, Math.min(t + 1, this.steps.length)), this.header);
    const filledBy = new Map(this.steps.slice(0, t).map((step, at) => [step.row, at]));
    return source.map((token, position) => {
      const filled = filledBy.get(position);
      const at = latest.get(position);
      const pass = at ? this.steps.indexOf(at.step) : -1;
      if (filled === undefined || filled < pass) return token;
      const given = this.header.tokens[position];
      return { ...given, special: this.#special(given), position, forced: false, state: 'blank' };
    });
  }

  /** Rows that are (or were) blank: known from [MASK]'s id, or from the steps of a finished run. */
  #blankRows() {
    const { maskId } = this.signs;
    if (maskId === undefined || maskId === null) return this.steps.map((step) => step.row);
    const open = [];
    this.header.tokens.forEach((token, position) => { if (token.id === maskId) open.push(position); });
    return open;
  }

  /** The grids of frame t, each with what its rows were allowed to see and what they attended to. */
  #blocks(t, sourceLength) {
    const shownSteps = this.steps.slice(0, Math.min(t + 1, this.steps.length));
    const given = this.header.tokens?.length ?? 0;
    if (this.architecture === 'encoder') return [this.#block('encoder', given, given, given, given, shownSteps)];
    const whole = this.steps.length + (this.ended ? 0 : 1);
    if (this.architecture !== 'encoder-decoder') {
      const now = given + Math.max(0, shownSteps.length - 1);
      const all = given + Math.max(0, whole - 1);
      return [this.#block('decoder', now, now, all, all, shownSteps)];
    }
    const start = this.header.target?.length ?? 1;
    const now = start + Math.max(0, shownSteps.length - 1);
    const all = start + Math.max(0, whole - 1);
    return [
      this.#block('encoder', given, given, given, given, []),
      this.#block('cross', now, sourceLength, all, sourceLength, shownSteps),
      this.#block('decoder', now, now, all, all, shownSteps),
    ];
  }

  /** @returns {Block} */
  #block(name, rows, keys, wholeRows, wholeKeys, steps) {
    const header = this.header.forward ?? {};
    const latest = latestRows(name, steps, this.header);
    const visible = (row, key) => {
      const at = latest.get(row);
      const bits = (at && at.step.mask?.[name]?.[at.index]) ?? header.mask?.[name]?.[row];
      if (bits !== undefined) return key < bits.length ? bits[key] === '1' : false;
      const weights = this.#weights(name, at, 0, 0, row);
      return weights ? Boolean(weights[key]) : null;
    };
    const attention = (layer, head, row) => this.#weights(name, latest.get(row), layer, head, row);
    return { name, rows, keys, wholeRows, wholeKeys, visible, attention };
  }

  #weights(name, at, layer, head, row) {
    const own = at?.step.attention?.[name]?.[layer]?.[head]?.[at.index];
    return own ?? this.header.forward?.attention?.[name]?.[layer]?.[head]?.[row] ?? null;
  }

  /** Layers per block, from the first attention at hand. */
  #layers() {
    const layers = {};
    for (const name of ['encoder', 'decoder', 'cross']) {
      const held = this.header.forward?.attention?.[name] ?? this.steps[0]?.attention?.[name];
      if (held) layers[name] = held.length;
    }
    return layers;
  }

  #heads() {
    const held = this.header.forward?.attention ?? {};
    const own = this.steps[0]?.attention ?? {};
    const first = held.encoder ?? held.decoder ?? own.encoder ?? own.decoder;
    // A large model's run holds the layers that were looked at, and nothing of the others.
    return first?.find((/** @type {any} */ layer) => layer)?.length ?? 0;
  }
}

/**
 * The ids that are a model's own signs. Only in an encoder [MASK] is a blank.
 * @param {Record<string, any>|null|undefined} special as its description has them @param {string|undefined} architecture
 */
export function signsOf(special, architecture) {
  const ids = Object.values(special ?? {}).filter((id) => typeof id === 'number');
  return { maskId: architecture === 'encoder' ? special?.mask ?? null : null, specials: new Set(ids) };
}

/** What passes cost one after the other. @param {Stats} one @param {Stats} other @returns {Stats} */
function sumOf(one, other) {
  const add = (/** @type {keyof Stats} */ name) => (one[name] ?? 0) + (other[name] ?? 0);
  return { rows_computed: add('rows_computed'), dispatches: add('dispatches'), submits: add('submits'), readbacks: add('readbacks'), milliseconds: add('milliseconds') };
}

/** The most probable ones, and the one that was drawn where it is none of them. @param {Step} step @returns {Candidate[]} */
export function candidatesOf({ candidates, chosen, piece, space, probability }) {
  if (typeof probability !== 'number' || candidates.some(({ id }) => id === chosen)) return candidates;
  return [...candidates, { id: chosen, piece, space, probability, kept: true }];
}

/** Where each absolute row was last computed: row -> { step, index within that step }. */
function latestRows(name, steps, header) {
  const latest = new Map();
  steps.forEach((step, at) => {
    const rows = step.rows ?? guessedRows(name, step, at, header);
    rows.forEach((row, index) => latest.set(row, { step, index }));
  });
  return latest;
}

/** Stored traces may lack `rows`: the rows of a step end at its own row. */
function guessedRows(name, step, at, header) {
  const held = step.attention?.[name]?.[0]?.[0] ?? step.mask?.[name];
  const count = held?.length ?? 0;
  if (header.model?.architecture === 'encoder') return Array.from({ length: count }, (_, row) => row);
  const last = at === 0 && header.model?.architecture !== 'encoder-decoder' ? (header.tokens?.length ?? count) - 1 : step.row;
  return Array.from({ length: count }, (_, index) => last - count + 1 + index);
}
