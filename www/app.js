/**
 * The page: one sentence, four machines, one clock. The machines are <unmasked-demo> elements; here they get the same
 * sentence and settings and follow the same clock, and what the person chose goes into the address.
 */

import './warm.js';
import { TAG } from './define.js';
import { Clock } from './clock.js';
import { drawLater } from './frames.js';
import { chooseLanguage, translator } from './i18n/index.js';
import { familyOf, headsOf, modelList } from './models.js';
import { OPEN } from './place.js';
import { drawCredits, drawExamples, drawToggles, examplesOf, familiesOf, pairsOf } from './page/furniture.js';
import { drawHelp, toggleHelp } from './page/help.js';
import { drawSecond, openSecond, wireSecond } from './page/second.js';
import { drawLesson, lessonOf, loadLessons, wireLesson } from './page/lesson.js';
import { wireKeyboard } from './page/keyboard.js';
import { VIEW, drawPresent, fillScreen, wirePresent } from './page/present.js';
import { Aloud } from './page/aloud.js';
import { Asked } from './page/asked.js';
import { announcer } from './page/say.js';
import { drawSettings, saySampling, wireSettings } from './page/settings.js';
import { ARCHITECTURES, SPEEDS, cleanText, defaults, isLessonAlone, namedIn, readHash, writeHash } from './state.js';
import { draw as drawControls } from './views/controls.js';
import { make, part, setAttribute, setAttributes, setText, targetOf } from './views/dom.js';
import { icon, setIcon } from './views/icons.js';
import { sayError } from './views/status.js';

const ADDRESS_MILLISECONDS = 250;
const THEMES = ['auto', 'light', 'dark'];
const DOCK = ['restart', 'step', 'play', 'end', 'scrub', 'speed'];
const ON_A_PHONE = ['encoder', 'causal'];
/** What each place is asked for itself: an attribute of its machine. @type {import('./page/asked.js').Name[]} */
const OF_PLACE = ['forced', 'mask', 'edits', 'silenced', 'look', 'exchange', 'way'];

/** @type {(id: string) => any} the elements of index.html, each of its own kind */
const byId = (id) => document.getElementById(id);
const [stage, sentence, examples, settings, toggles, dock, dialog, credits, present, lessons, lesson, second] = ['machines', 'sentence', 'examples', 'settings', 'toggles', 'dock', 'help-dialog', 'credits', 'present', 'lessons', 'lesson', 'second'].map(byId);
/** Whether the page opened on a small screen. One that is turned, resized or printed later loses no machine, nor gets any. */
const small = matchMedia('(max-width: 44rem)').matches;
const wide = matchMedia('(min-width: 60rem)');
const say = announcer(byId('say'));

const state = readHash(location.hash);
/** The page's own machines that are on where nobody says. */
let first = firstOf();
let t = translator('en');
let lang = 'en';
let models = [];
let isListed = false;
/** @type {Array<[string, string]>|null} null until the list of models is there */
let families = null;
/** The place that has the page to itself; the address holds it where it is the page's own. @type {string|null} */
let enlarged = state.large || null;
let writing = 0;
/** The address that this page wrote last, or began with: no news to it. */
let written = location.hash;
/** @type {Map<string, import('./element.js').UnmaskedDemo>} machines that are on, by their place */
const demos = new Map();
/**
 * Models from elsewhere, each beside the page's own machine of its architecture.
 * @type {Map<string, import('./page/open.js').Opened & { on: boolean }>}
 */
const opened = new Map();
const PLACE_OF_OPENED = 'opened ';
const asked = new Asked(state, (place) => Boolean(modelAt(place)));
/** Told when the page speaks another language. @type {Set<() => void>} */
const readers = new Set();

const clock = new Clock({ available, ended, renewed, changed: clockChanged });
clock.position = state.step;
clock.speed = state.speed;
const aloud = new Aloud({ demos, nameOf: (place) => nameOf(place), position: () => clock.position, available, ended, renewed, say, t: () => t }, state.step);

/** How far everybody can follow: to the shortest run still being computed, else to the longest one. */
function available() {
  const own = [...demos.values()];
  const running = own.filter((demo) => demo.phase === 'running');
  if (running.length) return Math.min(...running.map((demo) => demo.available));
  return Math.max(0, ...own.map((demo) => demo.available));
}

function ended() {
  return [...demos.values()].every((demo) => demo.ended);
}

function renewed() {
  return [...demos.values()].some((demo) => demo.renewed);
}

function clockChanged() {
  for (const demo of demos.values()) demo.seek(clock.position);
  aloud.moved();
  state.step = clock.position;
  state.speed = clock.speed;
  drawSoon();
  remember();
}

/** Changes settings and everything that hangs on them. */
function change(changes) {
  Object.assign(state, changes);
  asked.forget(changes);
  if ('text' in changes || 'family' in changes) unread();
  // Another quartet reads another language: it starts with a sentence of its own.
  if ('family' in changes) { Object.assign(state, { text: null, pair: null, blanks: null }); sentence.value = textNow(); drawModels(); }
  if ('lang' in changes) setLanguage();
  if ('theme' in changes) setTheme();
  if ('on' in changes || 'device' in changes) clock.pause();
  arrange();
  // Once the machines know what is asked for: what they show is of before.
  if (['text', 'pair', 'blanks', 'family'].some((name) => name in changes)) clock.restart();
  remember();
}

/** A second sentence of a person's own, for the encoder, which may be off. */
function askSecond() {
  if (!on().includes('encoder')) change({ on: ARCHITECTURES.filter((name) => name === 'encoder' || on().includes(name)) });
  openSecond(second);
}

/** @param {string|null} pair */
function readSecond(pair) {
  if (pair !== state.pair) change({ pair, blanks: null });
}

/** The page's sentence is another: models from elsewhere read it, too, but for those that have one of their own. */
function unread() {
  asked.unread((place) => !modelAt(place)?.readsOwn());
}

/** Where an address is opened that does not say: on a small screen few, and those that it tells anything else of. It stays so whatever becomes of them. */
function firstOf() {
  const few = [...ON_A_PHONE, ...namedIn(state)];
  return ARCHITECTURES.filter((name) => !small || few.includes(name));
}

/** The page's own machines that are on: beside a model from elsewhere its counterpart alone, until a person chooses. */
const on = () => state.on ?? (opened.size ? ARCHITECTURES.filter((name) => opened.has(name)) : first);
/** All places of the stage in order, a model from elsewhere before its counterpart. */
const places = () => ARCHITECTURES.flatMap((architecture) => {
  const own = { place: architecture, architecture, model: null, on: on().includes(architecture) };
  const model = opened.get(architecture);
  return model ? [{ place: `${PLACE_OF_OPENED}${architecture}`, architecture, model, on: model.on }, own] : [own];
});
/** The model from elsewhere at a place; none at those of the page's own machines. */
const modelAt = (place) => (place.startsWith(PLACE_OF_OPENED) ? opened.get(place.slice(PLACE_OF_OPENED.length)) : undefined);
/** What a place is called: as its model is, where that is from elsewhere. */
const nameOf = (place) => modelAt(place)?.called(t) ?? t(`machine.${place}`);
const textNow = () => state.text ?? examplesOf(models, familyNow())[0] ?? '';
const familyNow = () => state.family || (models[0] ? familyOf(models[0]) : '');

/** A link may name a quartet that is not here: the first one is shown, and the address says no other. */
function mendFamily() {
  if (!models.length || !state.family || models.some((model) => familyOf(model) === state.family)) return;
  state.family = '';
  remember();
}

/** Puts the machines that are on onto the stage, in order, with the page's settings. */
function arrange() {
  const all = places();
  for (const { place, architecture, on: wanted } of all) if (wanted && !demos.has(place)) demos.set(place, createDemo(place, architecture));
  const gone = [...demos.keys()].filter((place) => !all.some((one) => one.place === place && one.on));
  for (const place of gone) { demos.get(place)?.remove(); demos.delete(place); }
  // What was pointed at in one that has gone is pointed at no more.
  if (gone.length) point('', { pointed: null, here: false });
  if (enlarged !== null && !demos.has(enlarged)) hold(null);
  const only = demos.size === 1 && wide.matches ? [...demos.keys()][0] : enlarged;
  let before = stage.firstElementChild;
  for (const { place, architecture, model } of all) {
    const demo = demos.get(place);
    if (!demo) continue;
    if (demo !== before) stage.insertBefore(demo, before);
    else before = before.nextElementSibling;
    const text = models.length || state.text !== null ? textNow() : null;
    setAttributes(demo, {
      text, family: familyNow() || null,
      layer: state.layer || null, head: state.head || null, device: state.device, lang,
      temperature: state.temperature || null, topk: state.topK || null, topp: state.topP, seed: state.seed,
      pair: architecture === 'encoder' ? state.pair : null,
      fill: state.fill, blanks: architecture === 'encoder' && state.blanks !== null ? state.blanks.join(' ') : null,
      // After all that makes another run, of which a machine forgets what was forced.
      ...Object.fromEntries(OF_PLACE.map((name) => [name, asked.of(place, name)])),
      view: state.present ? VIEW : null, covered: state.cover,
      'data-from': model?.source(t) ?? null,
      enlarged: only === place, aligned: only === null, enlargeable: demos.size > 1,
      ...model?.attributes(text),
    });
    demo.files = model?.files ?? null;
    demo.seek(clock.position);
  }
  setAttributes(stage, { 'data-count': demos.size, 'data-enlarged': only !== null });
  let empty = stage.querySelector('.empty');
  if (demos.size === 0 && !empty) stage.append(empty = make('p', { class: 'empty' }));
  if (demos.size === 0) setText(empty, t('page.none'));
  else empty?.remove();
  drawSoon();
}

function createDemo(place, architecture) {
  const demo = make(TAG, { architecture, controls: 'none', 'data-place': place });
  demo.addEventListener('unmasked-change', drawSoon);
  demo.addEventListener('unmasked-ready', () => {
    say(t('say.ready', { name: nameOf(place) }));
    // The list failed when the page asked for it, and may be had now: a machine that was tried again has come.
    if (isListed && !models.length) readModels();
  });
  for (const event of ['unmasked-ready', 'unmasked-error']) demo.addEventListener(event, () => modelAt(place)?.settled());
  demo.addEventListener('unmasked-use', ({ detail }) => used(place, detail));
  return demo;
}

/** A person used a machine directly: the clock and the settings follow. */
function used(place, detail) {
  if (detail.kind === 'force') {
    // A model from elsewhere is not in the address, nor what was forced in it.
    if (!modelAt(place)) {
      asked.put(place, { forced: demos.get(place)?.choices ?? '' });
      arrange();
    }
    clock.put(detail.position);
  }
  if (detail.kind === 'edits') {
    const { edits, mask, silenced } = detail;
    // A model from elsewhere has its rule on its card.
    const model = modelAt(place);
    asked.put(place, { edits, silenced, ...!model && { mask } });
    model?.ruled(mask);
    arrange();
    remember();
  }
  if (detail.kind === 'blanks') blanked(place, detail.blanks);
  if (detail.kind === 'point') point(place, detail);
  if (detail.kind === 'exchange') exchanged(place, detail.pointed);
  if (detail.kind === 'head') change({ head: detail.head });
  if (detail.kind === 'enlarge') enlarge(enlarged === place ? null : place);
  if (detail.kind === 'look') looked(place, 'look', detail.look);
  if (detail.kind === 'way') looked(place, 'way', detail.way);
}

/** @param {string|null} place */
function hold(place) {
  enlarged = place;
  state.large = place && !modelAt(place) ? place : '';
}

/** @param {string|null} place the one that has the page to itself from now on; null: none has */
function enlarge(place) {
  hold(place);
  arrange();
  remember();
}

/** Something else stands where the matrix was, or another way to train is shown there. @param {string} place @param {'look'|'way'} name @param {string} value */
function looked(place, name, value) {
  asked.put(place, { [name]: value });
  arrange();
  remember();
}

/** A token was exchanged in one machine: the others that test for a leak go along, and each keeps its own. */
function exchanged(place, pointed) {
  for (const [name, demo] of demos) {
    if (name !== place) demo.exchangeLike(pointed);
    asked.put(name, { exchange: demo.getAttribute('exchange') ?? '' });
  }
  remember();
}

/** What is pointed at in one machine is in all; where nothing is, what was pinned in one. A sign that only one machine has is pointed at there. */
function point(place, { pointed, here }) {
  const pinned = [...demos.values()].map((demo) => demo.pinned).find(Boolean) ?? null;
  for (const [name, demo] of demos) if (name !== place || !here) demo.point(pointed ?? pinned);
}

/** Blanks of a model from elsewhere are its own: it may read another sentence. */
function blanked(place, blanks) {
  const model = modelAt(place);
  if (!model) { change({ blanks }); return; }
  model.blanked(blanks);
  arrange();
  clock.restart();
}

function drawSoon() {
  drawLater(draw);
}

/** Paper leaves out what nobody has scrolled to, as no print waits for a model; and says so. Where one is large, the others are not asked for. */
function sayIdle() {
  for (const demo of demos.values()) setAttribute(demo, 'data-idle', demo.phase === 'idle');
  const names = [...demos].filter(([place, demo]) => demo.phase === 'idle' && (enlarged === null || place === enlarged)).map(([place]) => nameOf(place));
  return names.length ? t('page.idle', { names: new Intl.ListFormat(lang).format(names) }) : '';
}

function draw() {
  clock.follow();
  // One that gave up has no run and none to come: those that have one tell where the end is.
  const all = [...demos.values()];
  if (ended() && all.some((demo) => demo.timeline) && all.every((demo) => demo.timeline || demo.phase === 'error')) clock.settle();
  aloud.runs();
  const descriptions = [...demos.values()].map((demo) => demo.description).filter(Boolean);
  // What is asked for is all that is known of them until a model is there.
  const layers = Math.max(1, ...descriptions.length ? descriptions.map(({ layers: own }) => Math.max(own.encoder, own.decoder)) : [state.layer]);
  const heads = Math.max(1, ...descriptions.length ? descriptions.map(headsOf) : [Number(state.head) || 1]);
  const chosen = {
    layer: state.layer === 0 ? layers : Math.min(state.layer, layers),
    head: state.head === 'all' ? state.head : Math.max(1, Math.min(state.head, heads)),
  };
  for (const demo of demos.values()) demo.chosen = chosen;
  const device = [...demos.values()].map((demo) => demo.deviceInfo).find(Boolean) ?? null;
  const hasEncoder = [...demos.values()].some((demo) => demo.getAttribute('architecture') === 'encoder');
  drawSettings(settings, { state, layers, heads, chosen, hasEncoder, families, family: familyNow(), device, t });
  setText(byId('printed'), [`${t('settings.layer')} ${chosen.layer}`, `${t('settings.head')} ${chosen.head === 'all' ? t('settings.head.all') : chosen.head}`,
    t('clock.at', { n: Math.min(clock.position, available()), of: available() }), saySampling(state, t), sayIdle()].filter(Boolean).join(' · '));
  setText(part(byId('ask'), 'asked', () => make('p', { dir: 'auto' })), [sentence.value, ...hasEncoder && state.pair !== null ? [state.pair] : []].join(' | '));
  drawSecond(second, { pair: state.pair, hasEncoder }, t);
  drawToggles(toggles, places().map((one) => ({ ...one, name: nameOf(one.place) })), t);
  drawPresent(present, dock, state, t);
  drawLesson(lessons, lesson, { id: state.lesson, text: textNow(), blanks: state.blanks, family: familyNow(), on: on() }, lang === 'zh' ? 'zh' : 'en', t);
  drawControls(dock, {
    names: DOCK, playing: clock.playing, position: clock.position, available: available(), ended: ended(),
    speed: clock.speed, speeds: SPEEDS, layer: 1, layers: 1, head: 1, heads: 1, t,
  });
}

function setLanguage() {
  lang = chooseLanguage(state.lang, navigator.languages);
  t = translator(lang);
  document.documentElement.lang = lang === 'zh' ? 'zh-Hans' : lang;
  document.title = t('page.title');
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-say]'))) setText(node, t(node.dataset.say ?? ''));
  setAttributes(sentence, { placeholder: t('page.sentence.hint') });
  const button = byId('lang');
  setText(button, t('page.lang'));
  setAttributes(button, { 'aria-label': t('page.lang.label'), lang: lang === 'zh' ? 'en' : 'zh-Hans' });
  setAttributes(byId('help'), { 'aria-label': t('page.help'), title: t('page.help') });
  drawHelp(dialog, { open: byId('open') ? null : OPEN, letters: state.keys === 'on', turn: (letters) => change({ keys: letters ? 'on' : 'off' }) }, t);
  setTheme();
  drawModels();
  for (const drawn of readers) drawn();
}

function setTheme() {
  const root = document.documentElement;
  if (state.theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = state.theme;
  const button = byId('theme');
  const label = t(`page.theme.${state.theme}`);
  setAttributes(button, { 'aria-label': label, title: label });
  setIcon(button, state.theme);
}

function drawModels() {
  families = isListed ? familiesOf(models, lang, t) : null;
  drawExamples(examples, examplesOf(models, familyNow()), pairsOf(models, familyNow()), t);
  drawCredits(credits, models, t);
}

/** The address of a lesson's stage, in the person's own language and look. @param {import('./page/lessons.js').Lesson} begun */
function stageOf(begun) {
  const { lang: own, theme, keys, device, present: presents } = state;
  return writeHash({ ...readHash(begun.state), lang: own, theme, keys, device, present: presents, lesson: begun.id });
}

/** Begins a lesson, or begins it anew: the page is as the lesson has it, in the person's own language and look. @param {string} id '' = it is left, and all stays as it is */
function take(id) {
  const begun = lessonOf(id);
  if (!begun) {
    change({ lesson: '' });
    draw();
    lessons.querySelector('summary')?.focus();
    say(t('lesson.left'));
    return;
  }
  const hash = stageOf(begun);
  // What was changed a moment ago is what Back comes to.
  write();
  if (hash !== location.hash) history.pushState(null, '', hash);
  adopt();
  // Where it is begun from a menu that closes, reading goes on at its heading.
  draw();
  lesson.querySelector('h2')?.focus();
}

/** The page becomes what its address says. */
function adopt() {
  clearTimeout(writing);
  written = location.hash;
  const read = readHash(location.hash);
  Object.assign(state, defaults(), read);
  first = firstOf();
  if (!state.present) fillScreen(false);
  enlarged = read.large || null;
  unread();
  mendFamily();
  clock.pause();
  clock.speed = read.speed;
  setLanguage();
  sentence.value = textNow();
  arrange();
  for (const demo of demos.values()) demo.rest();
  clock.put(read.step);
  readLesson();
}

/** They came, or not: that is said. */
function lessonsCame(all) {
  if (!all.length) say(t('lesson.missing'));
  drawSoon();
}

/** A link may name a lesson before any was loaded. One that says nothing else has that lesson's stage. */
async function readLesson() {
  if (!state.lesson) return;
  lessonsCame(await loadLessons());
  const begun = lessonOf(state.lesson);
  if (!begun || !isLessonAlone(state)) return;
  history.replaceState(null, '', stageOf(begun));
  adopt();
}

/** The address holds the page's state; it is written after things settle. */
function remember() {
  clearTimeout(writing);
  writing = setTimeout(write, ADDRESS_MILLISECONDS);
}

function write() {
  clearTimeout(writing);
  const hash = writeHash(state);
  if (hash !== location.hash) history.replaceState(null, '', hash || location.pathname + location.search);
  written = location.hash;
}

const nextOf = (list, value) => list[(list.indexOf(value) + 1) % list.length];
const actions = {
  toggle: () => clock.toggle(), step: () => clock.step(), back: () => clock.back(), end: toEnd, restart: () => clock.restart(),
  play: () => clock.toggle(),
  language: () => change({ lang: lang === 'en' ? 'zh' : 'en' }),
  help: () => toggleHelp(dialog),
  present: () => turn('present'), cover: () => turn('cover'), reveal: () => aloud.reveal(),
  leave: () => {
    const unpinned = [...demos.values()].filter((demo) => demo.unpin());
    for (const demo of demos.values()) demo.point(null);
    if (unpinned.length) return;
    if (enlarged !== null) enlarge(null);
    else if (state.present) turn('present');
  },
};

/** The end is that of all that stand there: those that nobody has come to yet load for it, too. */
function toEnd() {
  for (const [place, demo] of demos) if (enlarged === null || enlarged === place) demo.load();
  clock.end();
}

/** @param {'present'|'cover'} name what is turned on, or off again, for a class */
function turn(name) {
  change({ [name]: !state[name] });
  if (name === 'present') fillScreen(state.present);
  // What had the focus may be gone.
  if (name === 'present' && state.present) stage.focus({ preventScroll: true });
  say(t(`present.${name}.${state[name] ? 'on' : 'off'}`));
}

function wirePage() {
  byId('help').append(icon('help'));
  byId('theme').append(icon('auto'));
  // Its address is the page's state, which a jump to a name would throw away.
  byId('skip').addEventListener('click', (event) => { event.preventDefault(); stage.focus(); });
  byId('lang').addEventListener('click', actions.language);
  byId('theme').addEventListener('click', () => change({ theme: nextOf(THEMES, state.theme) }));
  byId('help').addEventListener('click', actions.help);
  sentence.addEventListener('input', () => change({ text: cleanText(sentence.value), blanks: null }));
  wireSecond(second, { read: readSecond, leave: () => { sentence.focus(); readSecond(null); }, left: drawSoon });
  examples.addEventListener('change', () => {
    const [kind, at] = examples.value.split(' ');
    const pair = kind === 'pair' ? pairsOf(models, familyNow())[at] : null;
    const text = pair?.source ?? examplesOf(models, familyNow())[at];
    examples.value = '';
    if (kind === 'own') askSecond();
    if (text === undefined) return;
    sentence.value = text;
    change({ text, pair: pair?.target ?? null, blanks: null });
  });
  toggles.addEventListener('click', (event) => {
    const { architecture, place } = targetOf(event).closest('.toggle')?.dataset ?? {};
    if (!architecture) return;
    const model = modelAt(place);
    if (model) { model.on = !model.on; clock.pause(); arrange(); return; }
    const now = on();
    change({ on: ARCHITECTURES.filter((name) => (name === architecture) !== now.includes(name)) });
  });
  wireSettings(settings, change);
  dock.addEventListener('click', (event) => {
    const button = targetOf(event).closest('button[data-action]');
    if (button && button.getAttribute('aria-disabled') !== 'true') actions[button.dataset.action]?.();
  });
  dock.addEventListener('input', (event) => {
    const target = targetOf(event);
    if (target.dataset.action === 'scrub') { clock.pause(); clock.seek(Number(target.value)); }
    if (target.dataset.action === 'speed') clock.setSpeed(Number(target.value));
  });
  wirePresent(present, dock, turn);
  wireKeyboard(actions, () => state.present, () => state.keys === 'on');
  wireLesson(lessons, lesson, { take, came: lessonsCame });
  for (const name of ['hashchange', 'popstate']) addEventListener(name, () => { if (location.hash !== written) adopt(); });
  wide.addEventListener('change', arrange);
  document.addEventListener('visibilitychange', () => { if (document.hidden) clock.pause(); });
}

async function readModels() {
  models = await modelList().catch((error) => { say(sayError(error, t)); return []; });
  isListed = true;
  mendFamily();
  if (state.text === null) sentence.value = textNow();
  drawModels();
  arrange();
  // The first is in sight whatever the window's size: it need not be drawn to be wanted.
  /** @type {import('./element.js').UnmaskedDemo|null} */ (stage.querySelector('unmasked-demo'))?.load();
}

/** What open.html does with this page. @type {import('./page/open.js').Page} */
export const page = {
  get t() { return t; },
  get device() { return state.device; },
  onLanguage(drawn) { readers.add(drawn); },
  /** A model comes onto the stage beside the machine of its architecture; null: it leaves. */
  show(architecture, model) {
    if (model) opened.set(architecture, { ...model, on: true });
    else opened.delete(architecture);
    // What was painted is of the model before.
    asked.drop(`${PLACE_OF_OPENED}${architecture}`);
    // What was large before would hide it.
    hold(null);
    arrange();
    clock.restart();
  },
  /** Something else is asked of a model. */
  asked(architecture) { asked.unread((place) => place === `${PLACE_OF_OPENED}${architecture}`); arrange(); clock.restart(); },
};

async function start() {
  // It may become another address while lessons are on their way.
  wirePage();
  // The machines of a stage that is not the lesson's need not come.
  if (isLessonAlone(state)) await loadLessons();
  byId('static').remove();
  for (const id of ['ask', 'prefs', 'bar', 'dock']) setAttribute(byId(id), 'hidden', false);
  setLanguage();
  sentence.value = state.text ?? '';
  arrange();
  readLesson();
  readModels();
  draw();
  document.documentElement.dataset.ready = 'true';
}

start();
