/** The engine's public face with nothing around it: tests reach it as `window.unmasked`. */
import { loadEngine, usage } from '/engine.js';

window.unmasked = { loadEngine, usage };
document.documentElement.dataset.ready = 'true';
