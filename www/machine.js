/**
 * One machine: an engine, the run it is on and what the person asked of it. No drawing and no clock here.
 *
 * @typedef {'idle'|'loading'|'empty'|'running'|'done'|'error'} Phase
 * @typedef {{ text: string, pair?: string, blanks: number[]|null, fill: 'parallel'|'confidence',
 *   sampling?: { temperature: number, topK?: number, topP?: number, seed: number },
 *   forced?: Array<[number, number]>, rule?: string, language?: number, sourceLanguage?: number, mask?: import('./edits.js').Masks, edits?: import('./edits.js').Edit[], silenced?: import('./gates.js').Head[], gates?: import('./engine.js').Gates, maxNewTokens: number, candidates: number }} Settings
 *   forced: steps and the ids that they choose, in order; rule: of the rows that write, in place of the mask it was trained with;
 *   edits: painted cells of the mask; mask: both for the engine; silenced: heads; gates: those for the engine
 */

import { readBlanks } from './blanks.js';
import { askShares, before, isTakenBack, questionOf, sharesOf } from './compare.js';
import { maskUnder } from './edits.js';
import { loadEngine } from './engine.js';
import { readLeak, requestOf } from './leak.js';
import { masksOf, ruleOf } from './machine-masks.js';
import { fitting, gatesOf } from './gates.js';
import { opensAhead, partsOf } from './rules.js';
import { isEmpty, writeChoices } from './state.js';
import { Timeline, signsOf } from './timeline.js';
import { departuresOf, saidOf } from './trace.js';
import { lacks, placed, readAgain, watchFor, watchesNothing } from './watch.js';
import { cutOf, defaultBlank, endOfFirst, firstSentence, wordAt, wordsOf } from './words.js';

/** The least that a pass can be asked for, where only the answer of a head is wanted: of the first row, or of every one. */
const VERDICT = { layers: [0], heads: [0], rows: [0], what: ['attention'] };
const VERDICTS = { layers: [0], heads: [0], rows: 'all', what: ['attention', 'logits'] };

/** Of signs that are put before a text, at the most. */
const SIGNS = 4;

export class Machine {
  #turn = 0;
  /** @type {AbortController|null} */
  #loadAbort = null;
  /** @type {AbortController|null} */
  #runAbort = null;
  /** A run was asked for, and the timeline is still that of the one before. */
  #starts = false;
  #looks = false;
  /** What the last run asked for, to be asked again under the model's own mask. @type {{ request: any, question: string }} */
  #asked = { request: {}, question: '' };
  /** Forced choices that the run has still to come to. @type {Array<[number, number]>} */
  #wishes = [];
  /** @type {import('./watch.js').Size} */
  #size = { source: 0, target: 0 };

  /** @param {(machine: Machine) => void} changed called after every change */
  constructor(changed) {
    this.changed = changed;
    /** @type {Phase} */
    this.phase = 'idle';
    this.progress = { loaded: 0, total: 0, file: '' };
    /** @type {Error|null} */
    this.error = null;
    /** @type {any} an Engine once the model is loaded, else null */
    this.engine = null;
    /** @type {import('./timeline.js').DeviceInfo|null} */
    this.device = null;
    /** @type {Timeline|null} */
    this.timeline = null;
    /** Counts runs that began anew (not forks), so that whoever shows them can go back to the start. */
    this.generation = 0;
    /** Counts forced choices: the same position shows other tokens after one. */
    this.forks = 0;
    /** @type {any} the Settings of the last run */
    this.settings = null;
    /** Which layer and head are shown. @type {import('./watch.js').Shown} */
    this.shown = { layer: 0, head: 0 };
    /** The run of the same question under the model's own mask, to be compared with. @type {Timeline|null} */
    this.plain = null;
    /** Counts what a run was told later of its attention: the same position shows more. */
    this.looks = 0;
    this.words = [];
    /** The sentence of which these are the words. @type {string|null} */
    this.worded = null;
    this.blanked = [];
    this.cutText = '';
    /** What every request to fill an encoder's blanks has. @type {any} */
    this.fillBase = {};
    /** An encoder's text with its blanks; null where it has none, or is no encoder's. @type {number[]|null} */
    this.blankedIds = null;
    /**
     * What heads other than the vocabulary's say, as logits: of two sentences, of classes, of each token.
     * @type {{ pair?: number[], classes?: number[], labels?: string[], replaced?: number[] }|null}
     */
    this.verdict = null;
    /** What became of the device since this run began: `lost`, `recovered`, `cpu`; null = nothing. */
    this.notice = null;
  }

  get isEncoder() { return this.engine?.describe().architecture === 'encoder'; }
  get canRun() { return this.engine !== null; }
  /** Whether a run was asked for that has not begun: the timeline is still that of the run before. */
  get isStarting() { return this.#starts; }

  /** Whether choices of an address are still to be forced in this run. */
  get isForcing() { return this.phase === 'running' && this.#wishes.length > 0; }

  /** The choices that were forced in this run, as an address holds them. */
  get forced() { return writeChoices(this.timeline?.steps.flatMap((step, at) => (step.forced ? [[at, step.chosen]] : [])) ?? []); }
  /** What of the shown attention is too much to be brought back: all heads of its layer, or even one; null = nothing. */
  get unseen() {
    if (!this.engine || !this.timeline || this.#starts || !watchesNothing(this.#watch())) return null;
    const alone = this.#watch({ ...this.shown, head: 0 });
    return this.shown.head === 'all' && !watchesNothing(alone) ? 'heads' : 'text';
  }
  /** Where a prefix that was asked for by no number ends; null where no run knows. */
  get prefixEnd() { return Object.values(this.settings?.mask ?? {}).map(({ rule }) => partsOf(rule)?.n).find(Boolean) ?? null; }
  /** Whether it is an encoder that puts words in place of blanks: not every one has a head that does. */
  get fills() { return Boolean(this.isEncoder) && this.engine.describe().tasks.some(({ task }) => task === 'fill'); }

  /** Loads the model; the last call wins. */
  async load(source, { device, sizes }) {
    this.release();
    const abort = new AbortController();
    this.#loadAbort = abort;
    this.#enter('loading');
    this.progress = { loaded: 0, total: Object.values(sizes ?? {}).reduce((sum, size) => sum + size, 0), file: '' };
    try {
      const engine = await loadEngine(source, {
        device, sizes, signal: abort.signal,
        onProgress: (progress) => { this.progress = progress; if (this.phase === 'loading') this.changed(this); },
        onDevice: (/** @type {any} */ told) => this.#deviceTold(told),
      });
      if (abort.signal.aborted) { engine.free(); return false; }
      this.engine = engine;
      return true;
    } catch (error) {
      if (!abort.signal.aborted) this.fail(error);
      return false;
    }
  }

  /** Plays a stored trace: nothing is loaded and nothing can be changed. */
  show(trace) {
    this.release();
    this.timeline = Object.assign(Timeline.fromTrace(trace), departuresOf(trace));
    this.verdict = saidOf(trace);
    this.device = trace.device ?? null;
    this.generation += 1;
    this.#enter('done');
  }

  /** @param {Settings} settings @param {import('./watch.js').Shown} [shown] */
  async run(settings, shown = this.shown) {
    if (!this.engine) return;
    settings = { ...settings, silenced: fitting(settings.silenced ?? [], this.engine.describe()) };
    const question = questionOf(settings);
    const plain = this.timeline?.ended && !this.timeline.other ? this.timeline : this.plain;
    this.plain = hasOther(settings) && plain?.question === question ? plain : null;
    this.settings = settings;
    this.shown = shown;
    if (this.notice !== 'lost') this.notice = null;
    const turn = this.#newTurn();
    this.verdict = null;
    this.#starts = true;
    this.#wishes = settings.forced ?? [];
    if (isEmpty(settings.text)) {
      this.#starts = false;
      this.timeline = null;
      this.#enter('empty');
      return;
    }
    try {
      const { masks, max_positions: most } = this.engine.describe();
      const rule = await ruleOf(this.engine, settings);
      const mask = maskUnder(settings.edits ?? [], await masksOf(this.engine, { ...settings, rule }), { sites: Object.keys(masks), most });
      if (turn !== this.#turn) return;
      const gates = gatesOf(settings.silenced ?? [], this.engine.describe());
      settings = this.settings = { ...settings, mask, gates };
      await this.#measure(settings);
      if (turn !== this.#turn) return;
      /** @type {any} */
      const request = this.isEncoder ? await this.#fillRequest(settings) : generateRequest(settings, this.#watch());
      if (turn !== this.#turn) return;
      this.#asked = { request, question };
      const begin = (header) => {
        this.#starts = false;
        this.generation += 1;
        if (this.isEncoder) header.tokens.forEach((token, at) => Object.assign(token, placeOf((settings.pair ? firstSentence(this.parts.tokens, this.#maskId()) : this.parts.tokens)[at])));
        if (this.isEncoder) header.truncated = this.parts.truncated;
        this.cutText = header.truncated ? cutOf(settings, this.isEncoder ? this.parts.tokens : header.tokens, this.#maskId()) : '';
        const { edits = [], silenced = [] } = settings;
        return Object.assign(new Timeline(header, this.#signs()), { edits, rule: settings.rule ?? null, prefixEnd: this.prefixEnd, other: hasOther({ rule, edits, silenced }), silenced, question });
      };
      let last = turn;
      if (this.isEncoder && !request.ids) await this.#readOnly(turn, request, begin);
      else last = await this.#collect(turn, request, begin);
      if (last === this.#turn) await this.#judge(settings, last);
      this.#readPlain(last);
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
    }
  }

  /** The same question under the model's own mask with all heads, to be compared with: an address may bring another at once. */
  async #readPlain(turn) {
    const { request, question } = this.#asked;
    if (turn !== this.#turn || this.phase !== 'done' || !this.timeline?.other || this.isEncoder && !request.ids) return;
    const abort = new AbortController();
    this.#runAbort = abort;
    if (this.plain && isTakenBack(this.plain, this.timeline)) this.plain = null;
    try {
      if (!this.plain) {
        const run = this.engine.generate({ ...request, mask: undefined, gates: undefined, watch: { ...request.watch, what: [] }, signal: abort.signal });
        const plain = Object.assign(new Timeline(await run.header, this.#signs()), { question });
        for await (const step of run) {
          plain.push(step);
          await inSight(abort.signal);
        }
        if (turn !== this.#turn) return;
        plain.end();
        this.plain = plain;
        this.changed(this);
      }
      await this.#readShares(turn, this.plain);
    } catch {
      // Nothing is compared then; what is shown stands by itself.
    }
  }

  /** How likely all that is shown under another mask was under the model's own. @param {number} turn @param {Timeline} plain */
  async #readShares(turn, plain) {
    const { engine, settings: { sampling, language } } = this;
    if (plain.shares) return;
    const shares = /** @type {Array<Map<number, number>>} */ ([]);
    for (const { request, steps, rows } of askShares(plain, engine.describe().vocabulary)) {
      const { forward } = await engine.forward({ ...request, ...this.#first(), language, watch: { layers: [0], heads: [0], rows, what: ['logits'] } });
      if (turn !== this.#turn) return;
      for (const at of steps) shares[at] = sharesOf(forward.logits[rows.indexOf(plain.steps[at].row)], sampling?.temperature);
    }
    plain.shares = shares;
    this.looks += 1;
    this.changed(this);
  }

  /**
   * Another layer or head is shown: what the run did not ask for is asked for now.
   * @param {import('./watch.js').Shown} shown
   */
  look(shown) {
    if (shown.layer === this.shown.layer && shown.head === this.shown.head) return;
    this.shown = shown;
    this.#lookUp();
  }

  /** Asks for what is shown and not held, one thing after the other: of many choices in a row the last one counts. */
  async #lookUp() {
    if (this.#looks) return;
    this.#looks = true;
    try {
      while (await this.#lookOnce());
    } catch (error) {
      this.fail(error);
    } finally {
      this.#looks = false;
    }
  }

  /** @returns {Promise<boolean>} whether there may be more to ask for */
  async #lookOnce() {
    const { engine, timeline, shown, settings } = this;
    if (!engine || !timeline || this.#starts || !['running', 'done'].includes(this.phase)) return false;
    const description = engine.describe();
    const watch = this.#watch();
    if (watchesNothing(watch) || !lacks(timeline, description, shown)) return false;
    const runs = !timeline.ended;
    // Its steps come from few readings, each of which it would have to do once more: they are waited for.
    if (runs && this.isEncoder) return false;
    const turn = runs ? this.#newTurn() : this.#turn;
    const { language, mask, gates } = settings;
    for (const { request, take } of readAgain(timeline, settings)) {
      const { forward } = await engine.forward({ ...request, ...this.#first(), language, mask, gates, watch });
      if (turn !== this.#turn) return true;
      take(placed(forward.attention, watch, description) ?? {});
    }
    this.looks += 1;
    this.changed(this);
    if (runs) this.#goOn(turn, timeline);
    return shown !== this.shown;
  }

  /** A run that was stopped for a look goes on where it was. */
  async #goOn(turn, timeline) {
    try {
      const last = await this.#collect(turn, this.#restOf(timeline, timeline.length), () => timeline);
      if (last === this.#turn) await this.#judge(this.settings, last);
      this.#readPlain(last);
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
    }
  }

  /** What is left of an answer after so many steps. */
  #restOf(timeline, steps) {
    const { settings } = this;
    return { ...generateRequest(settings, this.#watch()), targetIds: timeline.answerIds(steps), maxNewTokens: Math.max(0, settings.maxNewTokens - steps) };
  }

  #watch(shown = this.shown) {
    const isOpen = opensAhead(this.settings?.rule) && !this.isEncoder;
    return watchFor(this.engine.describe(), shown, this.#size, isOpen ? this.settings.maxNewTokens : 1);
  }

  /** How large its matrices may become; exactly only where that decides what can be watched. @param {Settings} settings */
  async #measure({ text, pair, maxNewTokens }) {
    const { max_positions: most, architecture } = this.engine.describe();
    this.#size = { source: most, target: most };
    if (this.#watch().layers === 'all') return;
    const { tokens } = await this.engine.tokenize(text, pair);
    // Signs may be put before a source or an answer that its tokens do not tell of.
    const [source, first] = [tokens.length + SIGNS, architecture === 'encoder-decoder' ? SIGNS : tokens.length + SIGNS];
    this.#size = { source: Math.min(most, source), target: Math.min(most, first + maxNewTokens) };
  }

  /**
   * Chooses another candidate at step `at`; the run goes on from there.
   * @param {number} at @param {{ id: number, piece: string }} candidate
   */
  async force(at, candidate) {
    this.#wishes = [];
    if (!this.engine || !this.timeline || at >= this.timeline.length) return;
    const last = await this.#choose(this.timeline, at, candidate);
    this.#readPlain(last);
    // The pass for it may have been under way.
    if (last !== this.#turn || this.phase !== 'done' || this.verdict) return;
    await this.#judge(this.settings, last).catch((error) => { if (last === this.#turn) this.fail(error); });
  }

  /** @returns {Promise<number>} the turn on which the run goes on */
  async #choose(timeline, at, candidate) {
    const turn = this.#newTurn();
    const fork = timeline.fork(at, candidate);
    /** @type {any} */
    const request = this.isEncoder
      ? { ...this.fillBase, ids: fork.filledIds(at + 1), blanks: fork.blanksAfter(at + 1), watch: this.#watch() } : this.#restOf(fork, at + 1);
    const over = this.isEncoder ? !request.blanks.length : this.#endsAnswer(candidate.id) || request.maxNewTokens === 0;
    this.timeline = fork;
    this.forks += 1;
    if (over) {
      fork.end();
      this.#enter('done');
      return turn;
    }
    this.#enter('running');
    try {
      return await this.#collect(turn, request, () => fork);
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
      return turn;
    }
  }

  /** What the newest step was forced to choose. A choice that is not among its candidates is of another run, like those after it. */
  #wish(timeline) {
    const [[at, id] = []] = this.#wishes;
    if (at !== timeline.length - 1) return null;
    const candidate = timeline.steps[at].candidates.find((one) => one.id === id) ?? null;
    this.#wishes = candidate ? this.#wishes.slice(1) : [];
    return candidate;
  }

  /** What the candidates of a step were under the model's own mask; null where that cannot be compared. @param {number} at */
  before(at) {
    const isAlone = this.isEncoder && this.settings?.fill === 'parallel';
    return this.plain && this.timeline?.other ? before(this.plain, this.timeline, at, isAlone) : null;
  }

  /**
   * Blanks (as word indices) after pressing token `position`; null where it spells no word, or one of another sentence.
   * @param {number} position
   * @param {Settings} wanted what is asked for by now: a run may still be on its way to it
   */
  toggledBlanks(position, wanted) {
    const word = wordAt(this.words, position);
    if (word < 0 || wanted.text !== this.worded) return null;
    const blanked = wanted.blanks?.filter((at) => at < this.words.length) ?? this.blanked;
    return blanked.includes(word) ? blanked.filter((at) => at !== word) : [...blanked, word].sort((a, b) => a - b);
  }

  /**
   * What moves where a token is exchanged for another: both texts of a frame, read whole under the mask of its run.
   * @param {import('./timeline.js').Frame} frame @param {import('./leak.js').Exchange} spot
   * @param {() => boolean} isWanted whether it still is, between two passes
   * @returns {Promise<import('./leak.js').Leak|null>} null: there is nothing to exchange it for, or it is wanted no more
   */
  async leak(frame, spot, isWanted) {
    const { engine, settings } = this;
    const { mask, gates, language } = settings ?? {};
    return engine && readLeak(engine, { ...this.#first(), mask, gates, language }, frame, spot, isWanted);
  }

  /** After how many layers each row of a frame can know of each of its tokens, under the mask and with the heads of its run. @param {import('./timeline.js').Frame} frame */
  async reach(frame) {
    const { mask, gates, language } = this.settings;
    return this.engine?.reach({ ...requestOf(frame), ...this.#first(), mask, gates, language }) ?? null;
  }

  /**
   * What an encoder guesses for two of its blanks, apart and one after the other, under the mask of its run.
   * @param {{ rows: number[], count: number, at: number }} pair
   * @param {() => boolean} isWanted whether it still is, between two passes
   * @returns {Promise<import('./blanks.js').Two|null>} null: there are none to ask of, or it is wanted no more
   */
  async twoBlanks(pair, isWanted) {
    const { engine, settings: { mask, gates, sampling }, blankedIds: ids } = this;
    return engine && ids ? readBlanks(engine, { ids, ...this.#first(), mask, gates, sampling }, pair, isWanted) : null;
  }

  release() {
    this.#newTurn();
    this.#starts = false;
    this.#loadAbort?.abort();
    this.#loadAbort = null;
    this.engine?.free();
    this.engine = null;
    this.device = null;
    this.timeline = null;
    this.plain = null;
    this.worded = null;
    this.error = null;
    this.notice = null;
    // Of the run that was: a stored one that follows has none of it.
    Object.assign(this, { settings: null, blanked: [], blankedIds: null, cutText: '', verdict: null });
    this.phase = 'idle';
  }

  /**
   * The device was chosen, was lost, or is there again: on the CPU where the GPU was lost too often.
   * @param {import('./timeline.js').DeviceInfo & { event: string, cause?: string }} told
   */
  #deviceTold({ event, ...device }) {
    this.device = device;
    if (event === 'chosen') return;
    this.notice = event === 'recovered' && device.cause === 'lost' ? 'cpu' : event;
    this.changed(this);
  }

  #enter(phase) {
    this.phase = phase;
    if (phase !== 'error') this.error = null;
    this.changed(this);
  }

  fail(error) {
    if (error?.name === 'AbortError') return;
    this.#starts = false;
    this.error = error;
    this.phase = 'error';
    this.changed(this);
  }

  /** Cancels what runs; what it still answers is of an old turn and ignored. */
  #newTurn() {
    this.#runAbort?.abort();
    this.#runAbort = null;
    return (this.#turn += 1);
  }

  /** @returns {Promise<number>} the turn on which the run ended */
  async #collect(turn, request, begin) {
    const abort = new AbortController();
    this.#runAbort = abort;
    const run = this.engine.generate({ ...request, signal: abort.signal });
    const header = await run.header;
    if (turn !== this.#turn) return turn;
    const timeline = begin(this.#placed(header, request));
    this.timeline = timeline;
    this.device = { ...this.device, ...this.engine.device };
    this.#enter('running');
    let wish = null;
    try {
      for await (const step of run) {
        if (turn !== this.#turn) return turn;
        timeline.push(this.#placedIn(step, request));
        wish = this.#wish(timeline);
        if (wish) break;
        this.changed(this);
        await inSight(abort.signal);
      }
    } catch (error) {
      if (turn !== this.#turn || error?.name === 'AbortError') return turn;
      throw error;
    }
    if (turn !== this.#turn) return turn;
    if (wish) return this.#choose(timeline, timeline.length - 1, wish);
    timeline.end();
    this.#enter('done');
    this.#lookUp();
    return turn;
  }

  /** A sentence without blanks is only read: one pass, no steps. */
  async #readOnly(turn, { text, pair, mask, gates, watch }, begin) {
    const trace = await this.engine.forward({ text, pair, mask, gates, watch });
    if (turn !== this.#turn) return;
    const timeline = begin(this.#placed(trace, { watch }));
    this.timeline = timeline;
    timeline.end();
    this.#enter('done');
    this.#lookUp();
  }

  /** A header, and a step, with the attention that was asked for at its own layers and heads. */
  #placed(header, request) { return header.forward ? { ...header, forward: this.#placedIn(header.forward, request) } : header; }
  #placedIn(part, { watch }) {
    const attention = placed(part.attention, watch, this.engine.describe());
    return attention === part.attention ? part : { ...part, attention };
  }

  /** Where an encoder's first sentence ends: ids alone do not tell which they are of. */
  #first() { return this.isEncoder ? { sourceLength: this.fillBase.sourceLength } : {}; }

  #maskId() { return this.engine.describe().special?.mask ?? null; }

  #signs() {
    const { special, architecture } = this.engine.describe();
    return signsOf(special, architecture);
  }

  #endsAnswer(id) { return id === this.engine.describe().special?.eos; }

  /** Tokenises, swaps the blanked words' pieces for [MASK] and asks for them. */
  async #fillRequest(settings) {
    const parts = await this.engine.tokenize(settings.text, settings.pair);
    this.worded = settings.text;
    const mask = this.#maskId();
    this.words = wordsOf(settings.text, settings.pair ? firstSentence(parts.tokens, mask) : parts.tokens);
    // A sign for a blank that the person wrote is one: no other is added to it unasked, nor to a pair that is to be judged.
    const written = this.fills && parts.tokens.some(({ id }) => id === mask);
    const asked = settings.blanks?.filter((word) => word < this.words.length) ?? (written || settings.pair ? [] : defaultBlank(this.words));
    const wanted = this.fills ? asked : [];
    this.blanked = wanted;
    const blank = new Set(wanted.flatMap((word) => this.words[word].tokens));
    this.fillBase = {
      fill: settings.fill, candidates: settings.candidates, sampling: settings.sampling,
      mask: settings.mask, gates: settings.gates, watch: this.#watch(), sourceLength: settings.pair ? endOfFirst(parts.tokens, mask) + 1 : parts.source_length,
      maxNewTokens: settings.maxNewTokens,
    };
    this.parts = parts;
    // Read as it is, it goes through the template: ids alone have lost which sentence they are of.
    this.blankedIds = blank.size === 0 && !written ? null : parts.tokens.map((token, at) => (blank.has(at) ? mask : token.id));
    return { ...this.fillBase, ...this.blankedIds ? { ids: this.blankedIds } : { text: settings.text, pair: settings.pair } };
  }

  /**
   * The heads that speak of the whole text or of each of its tokens; the pair head, where there are two sentences.
   * @param {Settings} settings
   * @param {number} turn
   */
  async #judge({ text, pair, mask, gates }, turn) {
    const { output_heads: heads, tasks } = this.engine.describe();
    const asked = ['classes', 'replaced', ...pair ? ['pair'] : []].filter((head) => heads.includes(head));
    if (!asked.length) return;
    // Of what is shown, with its blanks.
    const read = this.blankedIds ? { ids: this.blankedIds, sourceLength: this.fillBase.sourceLength } : { text, pair };
    const trace = await this.engine.forward({ ...read, mask, gates, watch: asked.includes('replaced') ? VERDICTS : VERDICT });
    if (turn !== this.#turn) return;
    const said = Object.entries(trace.forward?.heads ?? {}).filter(([head]) => asked.includes(head));
    this.verdict = { ...Object.fromEntries(said), labels: tasks.find(({ task }) => task === 'classify')?.labels };
    this.changed(this);
  }
}

/** Nobody looks at a tab in the background: its runs wait, and cost nothing but the pulls under way. */
function inSight(signal) {
  if (!document.hidden || signal.aborted) return undefined;
  return /** @type {Promise<void>} */ (new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  }));
}

/** Whether a run attends otherwise than the model does. @param {{ rule?: string|null, edits?: object[], silenced?: object[] }} run */
const hasOther = ({ rule, edits, silenced }) => Boolean(rule || edits?.length || silenced?.length);

/** Where a token stands in the sentence: a request by ids alone has lost that. */
const placeOf = ({ start, end }) => ({ start, end });

/** @param {Settings} settings @param {import('./watch.js').Watch} watch */
function generateRequest({ text, pair, sampling, language, sourceLanguage, mask, gates, maxNewTokens, candidates }, watch) {
  return { text, pair, sampling, language, sourceLanguage, mask, gates, maxNewTokens, candidates, watch };
}
