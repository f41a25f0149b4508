/** Dictionaries and how to speak from them. */

import en from './en.js';
import zh from './zh.js';

const DICTIONARIES = { en, zh };

/**
 * The language to begin with: what was asked for, else the browser's, else English.
 * @param {string|null|undefined} asked
 * @param {readonly string[]} [browser]
 */
export function chooseLanguage(asked, browser = []) {
  for (const name of [asked, ...browser]) {
    const short = String(name ?? '').toLowerCase().split('-')[0];
    if (Object.hasOwn(DICTIONARIES, short)) return short;
  }
  return 'en';
}

/** @returns {(key: string, values?: Record<string, any>) => string} */
export function translator(lang) {
  const words = DICTIONARIES[lang] ?? en;
  return (key, values = {}) => (words[key] ?? en[key] ?? key)
    .replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}
