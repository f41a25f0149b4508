/** What the linter holds the page's code and its tests to. */

import js from '@eslint/js';
import globals from 'globals';

const rules = {
  ...js.configs.recommended.rules,
  'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
  eqeqeq: 'error',
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-new-func': 'error',
  'no-var': 'error',
  'prefer-const': ['error', { destructuring: 'all' }],
};
/** For what people's browsers run. */
const strict = {
  ...rules,
  'no-shadow': 'error',
  'no-console': 'error',
  'no-restricted-properties': ['error',
    ...['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'write'].map((property) => ({ property, message: 'text goes in as text: see views/dom.js' }))],
};

const of = (files, names, held = strict) => ({ files, rules: held, languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: names } });

export default [
  { ignores: ['www/pkg/', 'node_modules/', 'target/', 'dist/', 'tests/browser/results/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  of(['www/**/*.js', 'offline/place.js', 'offline/keep.js'], globals.browser),
  of(['www/worker.js', 'www/files.js', 'www/program.js', 'offline/program.js', 'offline/gunzip.js'], globals.worker),
  of(['offline/service-worker.js'], globals.serviceworker),
  of(['tests/**/*.js', 'tests/**/*.mjs', 'offline/bundle.mjs', 'eslint.config.js'], { ...globals.node, ...globals.browser }, rules),
];
