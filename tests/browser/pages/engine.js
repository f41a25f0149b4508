/** The engine's public face with nothing around it: tests reach it as `window.unmasked`. */
import { loadEngine } from '/engine.js';

window.unmasked = { loadEngine };
document.documentElement.dataset.ready = 'true';
