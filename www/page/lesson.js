/** The lesson that is on: its words above the machines, and the menu of all. What they say is loaded when it is asked for. */

import { readHash } from '../state.js';
import { make, part, reuse, setAttribute, setAttributes, setText, targetOf } from '../views/dom.js';
import { icon } from '../views/icons.js';
import { closeMenu, wireMenu } from './menu.js';

/** @typedef {import('./lessons.js').Lesson} Lesson */

/** @type {Lesson[]} */
let lessons = [];
/** @type {Promise<Lesson[]>|null} */
let loading = null;
/** They were asked for and did not come: a server that is gone, or has others by now. */
let missing = false;

/** All lessons, once somebody asks for one; none where they cannot be had. @returns {Promise<Lesson[]>} */
export function loadLessons() {
  loading ??= import('./lessons.js').then(({ LESSONS }) => { lessons = LESSONS; missing = false; return LESSONS; }, () => { loading = null; missing = true; return []; });
  return loading;
}

/** @param {string} id */
export const lessonOf = (id) => lessons.find((lesson) => lesson.id === id) ?? null;

/**
 * @typedef {object} Shown   what the page shows
 * @property {string} text
 * @property {number[]|null} blanks
 * @property {string} family   '' = not known yet
 * @property {string[]} on
 */

/**
 * Whether something else is read than a lesson tells of, or one of its machines is off. Masks, layers and all that stands
 * in a matrix's place are there to be changed.
 * @param {Pick<Lesson, 'state'>} lesson @param {Shown} shown
 */
export function isOther(lesson, { text, blanks, family, on }) {
  const own = readHash(lesson.state);
  const isBlanked = !own.blanks?.length || String(blanks) === String(own.blanks);
  return text !== own.text || !isBlanked || family !== '' && family !== own.family || (own.on ?? []).some((name) => !on.includes(name));
}

/**
 * @param {HTMLElement} menu a `details` of its own @param {HTMLElement} target where the lesson stands
 * @param {{ take: (id: string) => void, came: (all: Lesson[]) => void }} act   take: begin this lesson, or begin it anew; '' = leave it
 */
export function wireLesson(menu, target, { take, came }) {
  menu.append(make('summary', {}, icon('lesson'), make('span')), make('div', { class: 'panel' }, make('ol'), make('p', { class: 'lesson-missing', hidden: true })));
  menu.addEventListener('toggle', () => { if (menu.hasAttribute('open')) loadLessons().then(came); });
  const choose = (event) => {
    const button = targetOf(event).closest('button[data-lesson]');
    if (!button) return;
    closeMenu(menu, false);
    take(button.dataset.lesson);
  };
  menu.addEventListener('click', choose);
  target.addEventListener('click', choose);
  wireMenu(menu);
}

/** @param {HTMLElement} menu @param {HTMLElement} target @param {Shown & { id: string }} shown   id: the lesson that is on; '' = none @param {'en'|'zh'} lang */
export function drawLesson(menu, target, { id, ...shown }, lang, t) {
  const [summary, panel] = menu.children;
  setText(summary.lastElementChild, t('lesson.menu'));
  reuse(panel.firstElementChild, lessons.length, () => make('li', {}, make('button', { type: 'button' }))).forEach((line, at) => {
    setText(line.firstElementChild, lessons[at][lang].title);
    setAttributes(line.firstElementChild, { 'data-lesson': lessons[at].id, 'aria-current': lessons[at].id === id ? 'true' : null });
  });
  setAttribute(panel.lastElementChild, 'hidden', !missing);
  setText(panel.lastElementChild, missing ? t('lesson.missing') : '');
  const lesson = lessonOf(id);
  // Who read it goes on where lessons are chosen.
  if (!lesson && !target.hidden && target.contains(document.activeElement)) /** @type {HTMLElement} */ (summary).focus();
  setAttribute(target, 'hidden', !lesson);
  if (!lesson) return;
  const words = lesson[lang];
  const at = lessons.indexOf(lesson);
  const head = part(target, 'lesson-head', () => make('header', {}, make('p', { class: 'lesson-place' }), make('h2', { id: 'lesson-title', tabindex: -1 }),
    make('button', { type: 'button', class: 'plain again' }), make('button', { type: 'button', class: 'plain next' }), make('button', { type: 'button', class: 'control leave-lesson', 'data-lesson': '' }, icon('close'))));
  const [place, title, again, next, leave] = head.children;
  setText(place, t('lesson.place', { n: at + 1, of: lessons.length }));
  setText(title, words.title);
  setText(again, t('lesson.again'));
  setAttribute(again, 'data-lesson', lesson.id);
  setText(next, t('lesson.next'));
  setAttributes(next, { hidden: at + 1 === lessons.length, 'data-lesson': lessons[at + 1]?.id ?? '' });
  setAttributes(leave, { 'aria-label': t('lesson.leave'), title: t('lesson.leave') });
  const body = part(target, 'lesson-body', () => make('div', {}, make('p'), make('p', { class: 'lesson-try' }, make('b'), document.createTextNode(' '), make('span')), make('details', {}, make('summary'), make('p'))));
  const [text, trial, question] = body.children;
  setText(text, words.text);
  setText(trial.firstElementChild, t('lesson.try'));
  setText(trial.lastElementChild, words.try);
  // Each lesson's answer is told anew when it is asked for.
  if (question.dataset.of !== lesson.id) { question.dataset.of = lesson.id; question.open = false; }
  setText(question.firstElementChild, words.ask);
  setText(question.lastElementChild, words.answer);
  const other = part(target, 'lesson-other', () => make('p', {}, make('span'), make('button', { type: 'button', class: 'plain' })));
  setAttribute(other, 'hidden', !isOther(lesson, shown));
  setText(other.firstElementChild, t('lesson.other'));
  setText(other.lastElementChild, t('lesson.restore'));
  setAttribute(other.lastElementChild, 'data-lesson', lesson.id);
}
