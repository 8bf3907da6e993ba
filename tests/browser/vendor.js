// The libraries of the page, from the packages in the lock file: hls.js as published, and one module with the elements of
// media-chrome that the page uses. `npm run vendor` writes them to web/page/vendor; a test compares them.

import {createHash} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import * as esbuild from 'esbuild';
import {globalThis as serverGlobals} from 'media-chrome/dist/utils/server-safe-globals.js';

const {resolve} = createRequire(import.meta.url);
const hls = join(dirname(resolve('hls.js')), '..');
const mediaChrome = join(dirname(resolve('media-chrome')), '../..');

const ELEMENTS = [
  'media-controller', 'media-fullscreen-button', 'media-loading-indicator', 'media-mute-button', 'media-pip-button',
  'media-play-button', 'media-time-display', 'media-time-range', 'media-volume-range',
  'menu/media-captions-menu', 'menu/media-captions-menu-button', 'menu/media-chrome-menu-item',
  'menu/media-playback-rate-menu', 'menu/media-playback-rate-menu-button', 'menu/media-rendition-menu',
  'menu/media-rendition-menu-button',
].map((name) => `media-chrome/dist/${name}.js`);

async function bundle() {
  const {version} = JSON.parse(await readFile(join(mediaChrome, 'package.json'), 'utf8'));
  const {outputFiles: [{text}]} = await esbuild.build({
    stdin: {contents: ELEMENTS.map((path) => `import '${path}';`).join('\n'), resolveDir: import.meta.dirname},
    banner: {js: `/*! media-chrome ${version}, MIT licence, see LICENSE.media-chrome */`},
    bundle: true,
    format: 'esm',
    minify: true,
    target: 'es2022',
    write: false,
  });
  return text;
}

/** Returns the sources of a Content-Security-Policy that allow the `style` elements in media-chrome's shadow roots. */
async function styleSources() {
  const hashes = new Set();
  // In Node, media-chrome defines its elements in a registry of its own, and can render their templates.
  serverGlobals.customElements.define = (name, element) => {
    for (const [, style] of element.getTemplateHTML?.({}, {}).matchAll(/<style[^>]*>([^]*?)<\/style>/g) ?? []) {
      hashes.add(`'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    }
  };
  for (const path of ELEMENTS) await import(path);
  return [...hashes].sort().join('\n') + '\n';
}

/** Returns the contents of the files in web/page/vendor by their names. */
export async function vendored() {
  return {
    'hls.min.mjs': await readFile(join(hls, 'dist/hls.min.mjs'), 'utf8'),
    'LICENSE.hls.js': await readFile(join(hls, 'LICENSE'), 'utf8'),
    'media-chrome.min.mjs': await bundle(),
    'media-chrome.styles': await styleSources(),
    'LICENSE.media-chrome': await readFile(join(mediaChrome, 'LICENSE'), 'utf8'),
  };
}

if (import.meta.filename === process.argv[1]) {
  for (const [name, text] of Object.entries(await vendored())) {
    await writeFile(join(import.meta.dirname, '../../web/page/vendor', name), text);
  }
}
