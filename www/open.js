/** open.html: the page, and a panel that opens models from elsewhere. */

import { page } from './app.js';
import { Opener } from './page/open.js';

new Opener(/** @type {HTMLElement} */ (document.getElementById('open')), page);
