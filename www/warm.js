/**
 * The worker and the compiled engine, asked for before anything is drawn. index.html runs this module on its own, and it
 * needs little, so that they come while the page's other modules still do; as a module runs once, app.js names it for every
 * other place.
 */

import { beginFirst } from './first.js';

// A page that shows no machine needs none (state.js writes `on=none`).
if (!/[#&]on=none(&|$)/.test(location.hash)) beginFirst();
