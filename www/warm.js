/**
 * The worker, the compiled engine and the list of models, asked for before anything is drawn. index.html runs this module
 * on its own, so that they come while the page's other modules still do; as a module runs once, app.js names it for every
 * other place.
 */

import { warm } from './engine.js';
import { modelList } from './models.js';
import { readHash } from './state.js';

if (readHash(location.hash).on?.length !== 0) warm(); // A page that shows no machine needs none.
modelList().catch(() => {}); // Whoever needs it is told what went wrong.
