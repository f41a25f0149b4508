/**
 * <unmasked-demo>: one machine in any page. Attributes are the truth, each is a property too; changes are gathered
 * and drawn once a frame. Nothing is downloaded before the element is seen or used.
 *
 *   <unmasked-demo architecture="prefix" text="Where is the cat?" controls="play step speed"></unmasked-demo>
 *
 * Events: unmasked-ready, unmasked-step, unmasked-error (contract); unmasked-change after anything that a clock
 * outside should know, unmasked-use when a person forced a candidate, made a blank or chose a head.
 */

import { Clock } from './clock.js';
import { questionOf } from './compare.js';
import { Machine } from './machine.js';
import { WORK, defineProperties, upgrade } from './element-attributes.js';
import { buildSkeleton, dress, wire } from './element-parts.js';
import { Hand } from './element-hand.js';
import { drawLater, drawNever } from './frames.js';
import { drawMachine, nameOf, sayVeiled } from './element-draw.js';
import { architectureOf, drawnOf, isCovered, lookOf, placeOf, shownOf, viewsOf } from './element-frame.js';
import { pointedBy, spotFor } from './element-point.js';
import { isOwn, resolveModel } from './models.js';
import { Asks } from './element-asks.js';
import { figureOf, recordOf, saveAs } from './element-save.js';
import { Painter } from './element-paint.js';
import { setAttributes } from './views/dom.js';
import { sayGiven } from './views/blanks.js';
import { PLACES } from './views/places.js';
import { headsShown } from './views/silence.js';
import { sayError } from './views/status.js';
import { keepInView } from './views/tokens.js';
import { readSpot, writeSpot } from './leak.js';
import { checkArchitecture, readScene, ruleOf, seedOf, settingsOf } from './element-settings.js';
import { announcer, sayStep } from './page/say.js';
import { readChoices } from './state.js';

const TYPING_MILLISECONDS = 250;
/** Strokes taken back one after the other make one run when the person rests this long. */
const PAINTING_MILLISECONDS = 60;
/** Attributes that the painter writes. */
const OF_MASK = ['edits', 'mask', 'silenced'];
/**
 * @typedef {import('./element-point.js').Spot} Spot
 * @typedef {import('./element-paint.js').Cell} Cell
 */

export class UnmaskedDemo extends HTMLElement {
  static observedAttributes = Object.keys(WORK);

  /** @type {any} what buildSkeleton makes, from the first time that the element is put into a page */
  #parts = null;
  #machine = new Machine(() => this.#machineChanged());
  #clock = new Clock({ available: () => this.available, ended: () => this.ended, renewed: () => this.renewed, changed: () => this.#later() });
  /** @type {Array<IntersectionObserver|ResizeObserver>} */
  #observers = [];
  #wanted = false;
  #typing = 0;
  /** The window's height counts as well, and may change alone. */
  #measured = () => this.#measure();
  /** Until the style is there, or will not come. @type {Promise<void>|null} */
  #dressed = null;
  #loads = 0;
  #generation = 0;
  #starts = false;
  #look = '';
  #toldStep = '';
  #lang = '';
  /** The position that was said last, and how it is said. */
  #said = 0;
  /** @type {(text: string) => void} */
  #say = () => {};
  /** @type {Error|null} */
  #toldError = null;
  /** The room that a matrix has, and its letters. @type {{ width: number, height: number, font?: number }} */
  #room = { width: 320, height: 320 };
  #missing = false;
  /** Attributes that are not the author's: a scene or an example set them, which is under way while `giving`. @type {Set<string>} */
  #given = new Set();
  #giving = false;
  /** The first example of the model that is there. @type {string|null} */
  #example = null;
  /** @type {File[]|null} */
  #files = null;
  /** @type {{ layer: number, head: number|'all' }|null} */
  #chosen = null;

  #painter = new Painter({
    asked: () => ({ edits: this.getAttribute('edits') ?? '', rule: ruleOf(this) ?? '', silenced: this.getAttribute('silenced') ?? '' }),
    ask: ({ edits, rule, silenced }) => {
      this.#paints = true;
      setAttributes(this, { edits: edits || null, mask: rule || null, silenced: silenced || null });
      this.#paints = false;
      this.#tell('unmasked-use', { kind: 'edits', edits, mask: rule, silenced });
    },
  });
  #hand = new Hand({
    painter: this.#painter,
    frame: () => this.timeline?.frame(this.position) ?? null, drawn: () => this.#drawn().frame,
    isCurrent: () => { const asked = settingsOf(this); return this.timeline?.question === questionOf(asked) && this.timeline.rule === (asked.rule ?? null); },
    pointed: (pointed, here) => this.#tell('unmasked-use', { kind: 'point', pointed, here }),
    say: (text) => { this.#parts.say.textContent = text; }, listens: () => { this.#listens = true; },
    changed: () => this.#later(),
  });
  #asks = new Asks(() => { this.#sayAnswer(); this.#later(); });
  /** A token was exchanged, or another place chosen: what comes of it is said aloud. */
  #awaits = false;
  /** It is the painter who writes the attributes. */
  #paints = false;
  /** The run that is asked for differs by its mask and its silenced heads alone. */
  #keeps = false;
  /** A cell was painted by key: what comes of it is said aloud. */
  #listens = false;
  /** Where covered candidates were uncovered: a run and a position in it. */
  #uncovered = '';
  /** What is said of what would stand in the matrix's place, were it not covered. */
  #veiled = '';
  /** What was asked in the run that is shown. @type {string|null|undefined} */
  #question = undefined;
  /** Rows that the matrix has room for while it is painted. */
  #least = 0;

  /** Which layer and head the page around says are shown, counted from 1: of one with fewer it is said which it shows. */
  set chosen(chosen) {
    if (JSON.stringify(chosen) === JSON.stringify(this.#chosen)) return;
    this.#chosen = chosen;
    this.#later();
  }

  /** The files of a model folder, in place of an address; null = none. The same array is loaded once. */
  get files() { return this.#files; }
  set files(files) {
    if (files === this.#files) return;
    this.#files = files;
    this.#clock.put(0);
    this.#forgetPaint();
    this.#takeBack();
    if (this.#wanted) this.#load();
    if (this.#parts) this.#later();
  }

  get available() { return this.#machine.timeline?.available ?? 0; }
  /** Whether nothing will come after `available`. One that waits for its model will have more; one that nobody has seen yet, or that has none, keeps nobody waiting. */
  get ended() {
    const { phase } = this.#machine;
    return !this.renewed && (phase === 'idle' ? !this.#wanted || this.#missing : ['done', 'error', 'empty'].includes(phase));
  }

  /** Another run was asked for, and has not begun: what is shown is still the one before. */
  get renewed() { return this.#typing !== 0 || this.#machine.isStarting; }
  get position() { return this.#clock.position; }
  get phase() { return this.#machine.phase; }
  get error() { return this.#machine.error; }
  get deviceInfo() { return this.#machine.device; }
  get name() { const { description } = this; return description && !isOwn(description) ? description.name : ''; }
  get description() { return this.#machine.engine?.describe() ?? null; }
  get timeline() { return this.#machine.timeline; }
  get blanked() { return this.#machine.blanked; }
  get choices() { return this.#machine.forced; }
  get playing() { return this.#clock.playing; }

  play() { this.#use(); this.#clock.play(); }
  pause() { this.#clock.pause(); }
  step() { this.#use(); this.#clock.step(); }
  /** Past the end, where another clock may have put it, nothing is shown that a step could go back from. */
  back() { if (this.ended) this.#clock.settle(); this.#clock.back(); }
  restart() { this.#clock.restart(); }
  end() { this.#use(); this.#clock.end(); }

  /** Follows another clock: a position past what is computed shows the wait, or the end. What is no number is no position. */
  seek(position) {
    const at = Math.max(0, Math.trunc(Number(position)));
    if (!Number.isFinite(at) || this.#clock.position === at) return;
    this.#clock.put(at);
    this.#settle();
  }

  /** Whether the candidates of the shown step are covered. */
  get isCovered() {
    const frame = this.timeline?.frame(this.position);
    return frame ? isCovered(this, { uncovered: this.#uncovered === this.#spotKey }, frame) : false;
  }

  /** Uncovers the candidates of the shown step, where they are covered. */
  reveal() {
    if (!this.isCovered || this.timeline?.frame(this.position).waiting) return;
    this.#uncovered = this.#spotKey;
    this.#later();
  }

  /** Chooses candidate `id` at the shown step; the run goes on from there. */
  force(id) {
    const { timeline } = this.#machine;
    if (!timeline?.length || !this.#machine.canRun || this.renewed) return;
    const at = Math.min(this.position, timeline.length - 1);
    const candidate = timeline.steps[at].candidates.find((one) => one.id === id);
    if (!candidate) return;
    this.#machine.force(at, candidate);
    // What was forced before is not what is forced now; nor is it the author's any more.
    if (this.hasAttribute('forced')) this.#give('forced', this.#machine.forced || null);
    // Where nothing follows, as after an encoder's last blank, others may be further on: the clock stays.
    const position = this.#machine.timeline?.ended ? Math.max(this.position, at + 1) : at + 1;
    this.#clock.put(position);
    this.#tell('unmasked-use', { kind: 'force', position });
  }

  connectedCallback() {
    upgrade(this);
    if (!this.#parts) this.#build();
    const seen = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) this.#use(); }, { rootMargin: '160px' });
    // Before it has its style it has no size: many would be in sight at once.
    this.#dressed?.then(() => { if (this.#observers.includes(seen)) seen.observe(this); });
    const sized = new ResizeObserver(() => this.#measure());
    // The matrix may have less room than its part has: a page says so.
    for (const part of [this.#parts.look, this.#parts.mask]) sized.observe(part);
    this.#observers = [seen, sized];
    addEventListener('resize', this.#measured);
    this.#later();
  }

  /** Gives everything back; a moved element (removed and put in again at once) keeps its run. */
  disconnectedCallback() {
    for (const observer of this.#observers) observer.disconnect();
    this.#observers = [];
    removeEventListener('resize', this.#measured);
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#clock.stop();
      this.#typedNothing();
      drawNever(this.#draw);
      this.#loads += 1;
      this.#machine.release();
      this.#wanted = false;
    });
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#giving) this.#given.delete(name);
    if (before === after || !this.#parts) return;
    if (name === 'covered') this.#uncovered = '';
    // What nobody says is said by the model again.
    if (name === 'text' && after === null && !this.#giving && this.#machine.canRun && this.#example) {
      this.removeAttribute('exchange');
      this.#give('text', this.#example);
      return;
    }
    const work = WORK[name];
    // The page's choice among its own models says nothing of files that were handed over.
    if (work === 'model' && !this.#giving && !(this.#files && name === 'family')) {
      if (name !== 'device') this.#takeBack();
      if (this.#wanted) this.#load();
    }
    // What a person forced is of one run; only what is painted on its mask leaves it that.
    if (['text', 'run'].includes(work) && ![...OF_MASK, 'forced'].includes(name) && !this.#giving && this.#given.has('forced')) this.#give('forced', null);
    if (work === 'text') {
      this.#clock.put(0);
      this.#runSoon(name === 'blanks' ? 0 : TYPING_MILLISECONDS);
    }
    if (name === 'exchange') this.#asks.leak.choose(readSpot(after));
    if (OF_MASK.includes(name) ? !this.#paints : ['text', 'model'].includes(work) && !['blanks', 'device'].includes(name)) this.#forgetPaint();
    if (['text', 'run'].includes(work)) this.#keeps = OF_MASK.includes(name) && (this.#typing === 0 || this.#keeps);
    // A page that keeps what was forced here tells nothing new.
    const isKnown = name === 'forced' && (after ?? '') === this.#machine.forced && !this.#machine.isForcing;
    // A run may be longer or shorter, and its matrix another: not under the brush.
    const waits = name === 'edits' && this.#painter.isDown;
    if (work === 'run' && !isKnown && !waits) this.#runSoon(OF_MASK.includes(name) ? PAINTING_MILLISECONDS : TYPING_MILLISECONDS);
    this.#later();
  }

  /** Sets, or removes, an attribute that the page's author left open: a scene's, a model's example. It loads nothing. */
  #give(name, value) {
    this.#giving = true;
    this[name] = value;
    this.#giving = false;
    if (value === null) this.#given.delete(name);
    else this.#given.add(name);
  }

  /** Of another scene or model nothing is left of what the one before gave. */
  #takeBack() {
    for (const name of this.#given) this.#give(name, null);
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    this.#parts = buildSkeleton(root);
    const { machine } = this.#parts;
    this.#say = announcer(this.#parts.say);
    this.#asks.leak.choose(readSpot(this.getAttribute('exchange')));
    // Nothing is shown before it has its style; without one it is still of use.
    machine.hidden = true;
    this.#dressed = dress(root).then(() => { machine.hidden = false; this.#measure(); });
    wire(this.#parts, {
      pressToken: (position, stack) => this.#pressToken(position, stack),
      pointToken: (spot) => this.#hand.pointAt(/** @type {Spot|null} */ (spot) ?? this.#hand.pinned),
      pointCell: (x, y) => this.#hand.moveTo(x, y),
      pressCell: (isKey) => this.#hand.press(isKey),
      releaseCell: () => { if (this.#painter.end()) this.#runSoon(0); },
      undo: () => { if (this.#painter.canUndo) this.#listens = true; this.#painter.undo(); },
      unpin: () => this.unpin(),
      leaveCell: () => this.#hand.leave(),
      moveCell: (rows, keys) => this.#hand.step(rows, keys),
      chooseHead: (head) => { if (this.#painter.on) return; this.setAttribute('head', String(head + 1)); this.#tell('unmasked-use', { kind: 'head', head: head + 1 }); },
      pressCandidate: (id) => this.force(id),
      control: (action, value) => this.#control(action, value),
    });
  }

  /** What its matrix shows, as the text of an SVG file; null where it shows none. */
  figure() { return figureOf(this.#drawn(), this.#machine); }

  /** The run so far, as the trace that the attribute `trace` plays; null where there is none. */
  record() { return recordOf(this.#drawn(), this.#machine); }

  /** Puts the brush away: what is shown is another page's, or another lesson's. */
  rest() {
    this.#painter.on = false;
    if (this.#parts) this.#later();
  }

  /** Fetches the model now, for a page that knows that it will be seen. */
  load() { this.#use(); }

  /** Seen or used: from here on the model may be fetched. */
  #use() {
    if (this.#wanted || !this.isConnected) return;
    this.#wanted = true;
    this.#load();
  }

  async #load() {
    const turn = (this.#loads += 1);
    this.#missing = false;
    this.#machine.release();
    this.#later();
    try {
      /** @type {any} a stored run or a scene, where one was named */
      const scene = await readScene(this, (name, value) => { if (turn === this.#loads) this.#give(name, value); });
      if (turn !== this.#loads) return;
      if (scene?.steps) { this.#typedNothing(); this.#machine.show(scene); this.#ready(); return; }
      checkArchitecture(this);
      const wish = this.#files ? { source: this.#files, entry: null, sizes: undefined } : await resolveModel({ model: this.getAttribute('model') ?? '', architecture: architectureOf(this), family: this.getAttribute('family') ?? '' });
      if (turn !== this.#loads) return;
      this.#missing = wish === null;
      if (wish === null) { this.#later(); return; }
      const loaded = await this.#machine.load(wish.source, { device: this.getAttribute('device') || 'auto', sizes: wish.sizes });
      if (!loaded || turn !== this.#loads) return;
      this.#example = wish.entry?.examples?.[0] ?? null;
      if (!this.hasAttribute('text') && this.#example) this.#give('text', this.#example);
      this.#ready();
      this.#typedNothing();
      await this.#run();
    } catch (error) {
      if (turn !== this.#loads) return;
      this.#machine.fail(error);
    }
  }

  #ready() {
    this.#tell('unmasked-ready', { description: this.description, device: this.deviceInfo });
    if (this.hasAttribute('autoplay')) this.#clock.play();
  }

  #runSoon(wait) {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => {
      this.#typing = 0;
      if (this.#machine.canRun) this.#run();
      else this.#machineChanged();
    }, wait);
  }

  /** What was painted, or exchanged, is of another question, or somebody else painted. */
  #forgetPaint() {
    this.#painter.forget();
    // What a scene or an example brings forgets nothing that its page's author said.
    if (!this.#giving) this.removeAttribute('exchange');
    this.#asks.leak.choose(readSpot(this.getAttribute('exchange')));
    this.#least = 0;
  }

  #typedNothing() {
    clearTimeout(this.#typing);
    this.#typing = 0;
  }

  #run() {
    const { layer, head } = shownOf(this, this.#chosen);
    const settings = settingsOf(this);
    // Who paints keeps what was forced, also where no page keeps it.
    if (this.#keeps && !this.hasAttribute('forced')) settings.forced = readChoices(this.#machine.forced);
    this.#keeps = false;
    return this.#machine.run(settings, { layer, head });
  }

  #machineChanged() {
    const machine = this.#machine;
    this.#clock.follow();
    if (machine.generation !== this.#generation) {
      this.#generation = machine.generation;
      const question = machine.timeline?.question ?? null;
      this.#starts = this.hasAttribute('start') && (question === null || question !== this.#question);
      this.#question = question;
      this.#hand.forget();
    }
    if (this.#starts && (this.ended || this.available > this.#startPosition())) {
      this.#starts = false;
      this.seek(Math.min(this.available, this.#startPosition()));
    }
    this.#settle();
    if (machine.phase === 'error' && this.#toldError !== machine.error) {
      this.#toldError = machine.error;
      this.#tell('unmasked-error', { error: machine.error });
    }
    this.#later();
  }

  /** Painted, it may end before where it was; a page around sees to its own clock. */
  #settle() {
    if (this.ended && this.timeline && this.getAttribute('controls') !== 'none') this.#clock.settle();
  }

  /** The position at which a run is first shown, where the page's author gave one: a number, or the end. */
  #startPosition() {
    const start = this.getAttribute('start');
    return start === 'end' ? Infinity : Math.max(0, Math.trunc(Number(start)) || 0);
  }

  /** One drawing a frame, whatever changed since the last. */
  #later() {
    if (this.#parts) drawLater(this.#draw);
  }

  #draw = () => {
    this.#asks.show(viewsOf(this).has('mask') ? placeOf(this, this.#machine) : '');
    const shown = this.timeline?.frame(this.position);
    // Before it is drawn: what was answered of another step waits from now on.
    Object.assign(this.#asks.objective, { seed: seedOf(this), way: this.getAttribute('way') ?? '' });
    if (shown && this.phase === 'done' && !this.renewed) this.#asks.follow(shown, this.#machine, this.#runKey);
    const drawn = this.#drawn();
    const { frame } = drawn;
    if (frame) this.#machine.look({ layer: frame.view.layer, head: frame.view.head });
    // What was said last is of another language.
    if (this.#lang !== drawn.lang) { this.#lang = drawn.lang; this.#parts.say.textContent = ''; }
    const look = lookOf(drawn, [this.#generation, this.#asks.told]);
    if (look !== this.#look) {
      this.#look = look;
      drawMachine(this.#parts, drawn);
    }
    const veiled = frame ? sayVeiled(frame) : '';
    if (veiled && !this.#veiled) this.#say(veiled);
    this.#veiled = veiled;
    if (this.#listens && frame && this.phase === 'done' && !this.renewed) {
      this.#listens = false;
      this.#say(this.#parts.painting.firstElementChild.textContent);
    }
    const ended = frame?.ended && !this.renewed;
    const told = frame ? `${this.#generation} ${frame.position} ${frame.length} ${frame.chosen} ${ended}` : '';
    if (frame && told !== this.#toldStep && !frame.waiting) {
      this.#toldStep = told;
      keepInView(this.#parts.tokens);
      this.#sayStep(drawn);
      this.#tell('unmasked-step', { position: frame.position, available: this.available, ended, step: this.timeline?.steps[frame.position] ?? null });
    }
    this.#tell('unmasked-change', {});
  };

  /** Where this element has a clock of its own, no page around it says what its steps choose. */
  #sayStep(drawn) {
    const { frame, t, controls } = drawn;
    if (frame.position === this.#said || controls.names.length === 0) return;
    this.#said = frame.position;
    this.#say(sayStep(frame.position, [{ name: nameOf(drawn), timeline: this.timeline, isCovered: frame.covered }], frame.settled, t));
  }

  /** Everything the views need, as one plain object. */
  #drawn() {
    const drawn = drawnOf(this, {
      machine: this.#machine, clock: this.#clock, painter: this.#painter, asks: this.#asks, view: { ...this.#room, hover: this.#hand.hover, pinned: this.#hand.pinned, cell: this.#hand.cell }, least: this.#least,
      chosen: this.#chosen, missing: this.#missing, wanted: this.#wanted, runKey: this.#runKey, uncovered: this.#uncovered === this.#spotKey,
    });
    this.#least = drawn.least;
    return drawn;
  }

  #measure() {
    const width = Math.floor(this.#parts.mask.clientWidth);
    if (width <= 0) return;
    const beside = this.hasAttribute('aligned') && innerWidth >= 1280;
    // Where two stand side by side what is under the matrix is to be in sight, too.
    const paired = this.hasAttribute('aligned') && innerWidth >= 704;
    const share = this.hasAttribute('enlarged') ? 0.72 : beside ? (width >= 480 ? 0.44 : 0.315) : paired ? 0.5 : 0.7;
    const tall = Math.max(230, innerHeight * share);
    Object.assign(this.#room, { width, height: Math.floor(Math.min(width, tall)), font: parseFloat(getComputedStyle(this.#parts.mask).fontSize) });
    this.#later();
  }

  #pressToken(position, stack) {
    if (this.#machine.fills) {
      const blanks = this.#machine.toggledBlanks(position, settingsOf(this));
      if (!blanks) return;
      // What was forced is of the question before.
      setAttributes(this, { forced: null, blanks: blanks.join(' ') });
      this.#tell('unmasked-use', { kind: 'blanks', blanks });
      return;
    }
    this.#hand.pin(/** @type {Spot} */ ({ stack, position }));
  }

  /** What a person pinned here, for other machines to point at. */
  get pinned() { return this.#hand.told; }

  /** Takes a person's pin away. @returns {boolean} whether there was one */
  unpin() { return this.#hand.unpin(); }

  /** Points at this machine's own token for what was pointed at in another. */
  point(pointed) { this.#hand.pointLike(pointed); }

  #control(action, value) {
    if (action === 'retry') { this.#wanted = true; this.#load(); return; }
    if (action === 'look') { this.#showInstead(value); return; }
    if (action === 'reveal') { this.reveal(); return; }
    if (action === 'exchange') { this.#exchange(value); return; }
    if (action === 'given') { this.#tellGiven(Number(value)); return; }
    if (['way', 'again'].includes(action)) { this.#chooseWay(value); return; }
    if (action === 'save') { saveAs(this.#parts.save, value, this.#drawn(), this.#machine).then((trouble) => { if (trouble) this.#say(trouble); }); return; }
    if (action === 'paint') { this.#painter.on = !this.#painter.on; this.#later(); return; }
    if (['rule', 'dial', 'sources'].includes(action)) { this.#chooseRule(action, value); return; }
    if (action === 'silence') { this.#silence(value); return; }
    if (action === 'rest') { this.#painter.rest(); return; }
    if (action === 'undo') { this.#painter.undo(); return; }
    if (action === 'reset') { this.#painter.reset(); return; }
    if (action === 'enlarge') { this.#tell('unmasked-use', { kind: 'enlarge' }); return; }
    if (action === 'layer' || action === 'head') { this.setAttribute(action, value); return; }
    this.#use();
    if (action === 'play') this.#clock.toggle();
    if (action === 'speed') this.#clock.setSpeed(Number(value) || 1);
    if (action === 'scrub') { this.#clock.pause(); this.#clock.seek(Number(value)); }
    if (['step', 'back', 'restart', 'end'].includes(action)) this.#clock[action]();
  }

  /** @param {string} name the block of which the shown heads are meant */
  #silence(name) {
    const { frame } = this.#drawn();
    if (frame) this.#painter.silence(headsShown(frame, name));
  }

  /** @param {string} value the token that is exchanged, as the attribute has it */
  #exchange(value) {
    const spot = readSpot(value);
    if (!spot) return;
    const frame = this.timeline?.frame(this.position);
    this.#awaits = true;
    this.#choose(spot);
    this.#tell('unmasked-use', { kind: 'exchange', pointed: frame ? pointedBy(frame, spot) : null });
  }

  /** Exchanges, where a leak is tested here, too, this machine's own token for what was pressed in another. */
  exchangeLike(pointed) {
    const frame = this.timeline?.frame(this.position);
    const spot = frame && spotFor(frame, pointed);
    const masked = readSpot(this.getAttribute('exchange'))?.masked;
    if (this.#asks.leak.on && spot) this.#choose({ ...spot, ...masked && { masked } });
  }

  /** Told again where it is the one that was chosen before. @param {import('./leak.js').Exchange} spot */
  #choose(spot) {
    this.setAttribute('exchange', writeSpot(spot));
    this.#asks.leak.choose(spot);
  }

  #sayAnswer() {
    const { frame } = this.#awaits ? this.#drawn() : { frame: null };
    // Of what stands there: what is covered gave its place back, and nothing of it is said.
    const place = frame?.view.place ?? '';
    if (!frame || !this.#asks.all[place] || this.#asks.all[place].waiting) return;
    this.#awaits = false;
    const { error } = this.#asks.all[place];
    const said = error ? sayError(error, frame.view.t) : PLACES[place].say?.(frame);
    if (said) this.#say(said);
  }

  /** @param {string} way '' = the same one, drawn again */
  #chooseWay(way) {
    this.#awaits = true;
    if (way) this.setAttribute('way', way);
    this.#asks.objective.choose(way);
    if (way) this.#tell('unmasked-use', { kind: 'way', way });
  }

  /** @param {number} id the guess of the first of two blanks of which it is told what follows */
  #tellGiven(id) {
    this.#asks.blanks.choose(id);
    const { result } = this.#asks.blanks;
    const { frame, t } = this.#drawn();
    if (frame && result) this.#say(sayGiven(result, frame.specials, t));
  }

  /** @param {string} look what is to stand in the matrix's place; '' = the matrix */
  #showInstead(look) {
    this.#awaits = Boolean(PLACES[look]?.say);
    setAttributes(this, { look: look || null });
    this.#tell('unmasked-use', { kind: 'look', look });
  }

  get #spotKey() { return `${this.#runKey} ${this.position}`; }

  /** Another one for every run, and every choice that was forced in it. */
  get #runKey() { return `${this.#generation} ${this.#machine.forks}`; }

  #chooseRule(action, value) {
    const { frame } = this.#drawn();
    if (!frame) return;
    if (action === 'rule') this.#painter.choose(frame, value);
    else if (action === 'dial') this.#painter.turn(Number(value));
    else this.#painter.narrow(frame, Number(value));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

}

defineProperties(UnmaskedDemo);
