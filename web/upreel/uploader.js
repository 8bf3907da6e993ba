// <upreel-uploader>: a drop zone that uploads videos to Upreel, with progress, pause, resume and errors.
// Licence: Apache-2.0.
//
//   <script type="module" src="upreel/uploader.js"></script>
//   <upreel-uploader api="https://api.example.com" multiple></upreel-uploader>
//
// Attributes: `api`, the URL of the API; `multiple`; `audio`, if the server accepts files with audio alone; `renditions`,
// to wait for the transcoding to HLS; `disabled`.
// Property: `headers`, headers of every request to the API, or a function that returns them.
// Events: `stored` when the file is uploaded, with `{videoId}` in `detail`; `change` when its video changes, and
// `video` when it is PROCESSED or FAILED, with the video in `detail`; `error` with the error in `detail`.
// Slots: the default one is the text of the drop zone.
// Parts: `drop`, `label`, `choose`, `list`, `item`, `name`, `bar`, `status`, `error`, `button`. An `item` also has the
// state of its upload as a part: `queued`, `sending`, `waiting`, `pausing`, `paused`, `finishing`, `processing`,
// `done`, `interrupted`, `failed` (can be tried again) or `refused` (cannot).

import { Upload, discard, fingerprint, follow, get, interrupted } from './upreel.js';

/** @typedef {import('./upreel.js').Video} Video @typedef {import('./upreel.js').Progress} Progress
 * @typedef {import('./upreel.js').Entry} Entry @typedef {import('./upreel.js').Server} Server */

/** How many uploads run at the same time. */
const MAX_UPLOADS = 3;
/** The confirmation of a cancellation says how much has been sent if it is at least this much, in bytes. */
const MUCH = 16 * 2 ** 20;

/** What the file dialog offers. */
const VIDEOS = 'video/*,.mkv,.mts,.m2ts,.ts,.flv,.ogg';

const STYLE = `
  :host { display: block; font: 15px/1.5 system-ui, sans-serif; }
  :host([hidden]), [hidden] { display: none !important; }
  *, ::before, ::after { box-sizing: border-box; }
  .drop { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 8px 16px; padding: 28px 20px;
    border: 2px dashed GrayText; border-radius: 14px; text-align: center; cursor: pointer; }
  .drop.over { border-style: solid; border-color: Highlight; }
  .drop:focus-within { outline: 2px solid Highlight; outline-offset: 2px; }
  .drop.disabled { opacity: .6; cursor: not-allowed; }
  input, .live { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  .choose, button { padding: 5px 12px; border: 1px solid GrayText; border-radius: 8px; background: ButtonFace; color: ButtonText; font: inherit; cursor: pointer; }
  button:focus-visible { outline: 2px solid Highlight; outline-offset: 1px; }
  ul { margin: 0; padding: 0; list-style: none; }
  li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 4px 12px; align-items: center; margin-top: 10px; padding: 10px 14px; border: 1px solid GrayText; border-radius: 12px; }
  .name { overflow: hidden; font-weight: 600; text-overflow: ellipsis; white-space: nowrap; }
  .buttons { display: flex; flex-wrap: wrap; gap: 6px; grid-row: span 3; }
  progress { width: 100%; height: 8px; }
  .status { font-size: 13px; font-variant-numeric: tabular-nums; }
  .error { grid-column: 1 / -1; padding: 6px 10px; border-radius: 8px; background: light-dark(#fcefed, #2d1a1a); color: light-dark(#98201a, #ff9389); font-size: 14px; overflow-wrap: anywhere; }
  @supports not (color: light-dark(#000, #fff)) { .error { background: #fcefed; color: #98201a; } }
  @media (pointer: coarse) { button, .choose { min-height: 44px; } }
  @media (max-width: 480px) { li { grid-template-columns: minmax(0, 1fr); } }
`;

const MARKUP = `
  <label class="drop" part="drop">
    <input type="file" accept="${VIDEOS}">
    <span part="label"><slot>Drop videos here</slot></span>
    <span class="choose" part="choose" aria-hidden="true">Choose files</span>
  </label>
  <ul part="list"></ul>
  <p class="live" role="status"></p>
  <template>
    <li part="item">
      <span class="name" part="name" dir="auto"></span>
      <span class="buttons">
        <button type="button" data-act="pause">Pause</button>
        <button type="button" data-act="resume">Resume</button>
        <button type="button" data-act="retry">Try again</button>
        <button type="button" data-act="choose">Choose the file</button>
        <button type="button" data-act="cancel">Cancel</button>
        <button type="button" data-act="remove">Remove</button>
      </span>
      <progress part="bar" max="1" value="0"></progress>
      <span class="status" part="status"></span>
      <span class="error" part="error" hidden></span>
    </li>
  </template>
`;

/** The buttons that an item has in each state. @type {Record<string, string[]>} */
const BUTTONS = {
  queued: ['cancel'],
  sending: ['pause', 'cancel'],
  waiting: ['pause', 'cancel'],
  pausing: ['resume', 'cancel'],
  paused: ['resume', 'cancel'],
  interrupted: ['choose', 'cancel'],
  failed: ['retry', 'remove'],
  refused: ['remove'],
  done: ['remove'],
};

/** @param {number} n */
function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
}

// Strips control and bidirectional characters, which can make "fdp.mp4" look like a PDF.
/** @param {string} name */
const displayName = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '') || 'Unnamed file';

/** @template {Element} T @param {ParentNode} root @param {string} selector @returns {T} */
const find = (root, selector) => /** @type {T} */ (root.querySelector(selector));

/** @internal */
class Item {
  state = 'queued';
  /** @type {File | undefined} */ file;
  /** @type {Upload | undefined} */ job;
  /** @type {Entry | undefined} An interrupted upload. */ entry;
  ending = new AbortController();

  /** @param {UpreelUploader} owner @param {string} name */
  constructor(owner, name) {
    this.owner = owner;
    this.name = displayName(name);
    const template = find(owner.root, 'template');
    const { content } = /** @type {HTMLTemplateElement} */ (template);
    this.el = /** @type {HTMLElement} */ (/** @type {Element} */ (content.firstElementChild).cloneNode(true));
    find(this.el, '.name').textContent = this.name;
    this.bar = /** @type {HTMLProgressElement} */ (find(this.el, 'progress'));
    this.bar.setAttribute('aria-label', `Upload of ${this.name}`);
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (this.el.querySelectorAll('button'))) {
      const act = String(button.dataset.act);
      button.part.add('button', act);
      button.setAttribute('aria-label', `${button.textContent} ${this.name}`);
      button.addEventListener('click', () => owner.act(this, act));
    }
  }

  /** @param {string} state @param {string} status @param {string} [error] */
  show(state, status, error = '') {
    const changed = this.state !== state;
    const root = /** @type {ShadowRoot} */ (this.el.getRootNode());
    const focused = root.activeElement && this.el.contains(root.activeElement);
    this.state = state;
    this.el.setAttribute('part', `item ${state}`);
    find(this.el, '.status').textContent = status;
    const line = /** @type {HTMLElement} */ (find(this.el, '.error'));
    line.textContent = error;
    line.hidden = !error;
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (this.el.querySelectorAll('button'))) {
      button.hidden = !BUTTONS[state]?.includes(String(button.dataset.act));
    }
    // Hiding the focused button would move the keyboard focus to the top of the page.
    if (focused && !root.activeElement) {
      const next = /** @type {HTMLElement | null} */ (this.el.querySelector('button:not([hidden])'));
      (next ?? this.owner.input).focus();
    }
    if (changed && ['paused', 'waiting', 'failed', 'refused', 'processing', 'done'].includes(state)) {
      this.owner.announce(`${this.name}: ${error || status}`);
    }
  }

  /** @param {Progress} progress */
  progress({ state, sent, total, secondsLeft, error }) {
    const share = total ? sent / total : 1;
    this.bar.value = share;
    const percent = `${Math.floor(share * 100)}%`;
    const amount = `${percent} of ${bytes(total)}`;
    const left = secondsLeft === undefined ? '' : `, ${Math.ceil(secondsLeft)} s left`;
    if (state === 'sending') this.show(state, amount + left);
    else if (state === 'pausing') this.show(state, `${amount}, pausing`);
    else if (state === 'paused') this.show(state, `Paused at ${amount}`);
    else if (state === 'finishing') this.show(state, 'Finishing');
    else if (state === 'waiting') {
      const isOffline = error?.code === 'OFFLINE';
      this.show(state, isOffline ? `Offline, ${amount} sent` : `${amount}, retrying`, isOffline ? '' : error?.message);
    }
  }
}

// There is no HTMLElement on a server that renders pages.
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class UpreelUploader extends Base {
  /** @internal */
  static get observedAttributes() { return ['multiple', 'disabled', 'audio']; }

  /** Headers of every request to the API, or a function that returns them. @type {Server['headers']} */ headers;
  /** @type {Set<Item>} */ #items = new Set();
  /** @type {Item | undefined} */ #choosing;
  #connected = false;
  /** @internal */ root = this.attachShadow({ mode: 'open' });
  /** @internal @type {HTMLInputElement} */ input;

  constructor() {
    super();
    this.root.innerHTML = MARKUP;
    this.#addStyle();
    this.input = /** @type {HTMLInputElement} */ (find(this.root, 'input'));
    this.input.addEventListener('change', () => this.#chosen());
    const drop = find(this.root, '.drop');
    drop.addEventListener('click', () => { this.#choosing = undefined; });
    for (const type of ['dragover', 'dragleave', 'drop']) {
      drop.addEventListener(type, (event) => {
        const { dataTransfer } = /** @type {DragEvent} */ (event);
        if (!dataTransfer?.types.includes('Files') || this.disabled) return;
        event.preventDefault();
        drop.classList.toggle('over', type === 'dragover');
        if (type === 'drop') this.add(dataTransfer.files);
      });
    }
  }

  get api() { return this.getAttribute('api') ?? undefined; }

  set api(value) { if (value === undefined) this.removeAttribute('api'); else this.setAttribute('api', value); }

  get multiple() { return this.hasAttribute('multiple'); }

  set multiple(value) { this.toggleAttribute('multiple', value); }

  get audio() { return this.hasAttribute('audio'); }

  set audio(value) { this.toggleAttribute('audio', value); }

  get disabled() { return this.hasAttribute('disabled'); }

  set disabled(value) { this.toggleAttribute('disabled', value); }

  /** @returns {Server} */
  get #server() { return { api: this.api, headers: this.headers, audio: this.audio }; }

  /** @internal */
  attributeChangedCallback() {
    this.input.multiple = this.multiple;
    this.input.accept = `${this.audio ? 'audio/*,' : ''}${VIDEOS}`;
    this.input.disabled = this.disabled;
    find(this.root, '.drop').classList.toggle('disabled', this.disabled);
    find(this.root, '.choose').textContent = this.multiple ? 'Choose files' : 'Choose a file';
  }

  /** @internal */
  connectedCallback() {
    this.attributeChangedCallback();
    if (this.#connected) return;
    this.#connected = true;
    // Runs after the current task, in which a framework may still set `headers`.
    setTimeout(() => this.#showInterrupted(), 0);
  }

  /** Uploads files, as if the user had chosen them. Without `multiple`, only the first. @param {Iterable<File>} files */
  add(files) {
    for (const file of this.multiple ? [...files] : [...files].slice(0, 1)) {
      let item = [...this.#items].find(({ state, entry }) => (
        state === 'interrupted' && entry && fingerprint(entry) === fingerprint(file)));
      if (!item) this.#insert(item = new Item(this, file.name));
      const { progress } = item;
      item.file = file;
      item.job = new Upload(file, { ...this.#server, onProgress: progress.bind(item) });
      item.show('queued', `Waiting, ${bytes(file.size)}`);
    }
    this.#startNext();
  }

  /** @internal @param {Item} item @param {string} act */
  act(item, act) {
    if (act === 'pause') item.job?.pause();
    else if (act === 'resume') item.job?.resume();
    else if (act === 'retry') {
      item.show('queued', 'Waiting');
      this.#startNext();
    } else if (act === 'choose') {
      this.input.click();
      this.#choosing = item;
    } else if (act === 'remove') this.#remove(item);
    else if (act === 'cancel') this.#cancel(item);
  }

  /** @internal @param {string} text */
  announce(text) { find(this.root, '.live').textContent = text; }

  // A constructed style sheet works under a Content-Security-Policy that forbids inline styles.
  #addStyle() {
    if ('adoptedStyleSheets' in this.root && 'replaceSync' in CSSStyleSheet.prototype) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.root.adoptedStyleSheets = [sheet];
    } else {
      const style = document.createElement('style');
      style.textContent = STYLE;
      this.root.prepend(style);
    }
  }

  async #showInterrupted() {
    try {
      for (const entry of await interrupted(this.#server)) {
        const item = new Item(this, entry.name);
        item.entry = entry;
        item.bar.value = entry.sent / entry.size;
        this.#insert(item);
        item.show('interrupted', `Interrupted at ${bytes(entry.sent)} of ${bytes(entry.size)}: choose the file again`);
      }
    } catch { /* The server cannot be reached now. Uploads will show this error. */ }
  }

  #chosen() {
    const files = [...this.input.files ?? []];
    const item = this.#choosing;
    this.#choosing = undefined;
    // Otherwise choosing the same file again fires no event.
    this.input.value = '';
    const other = item?.entry && files.find((file) => fingerprint(file) !== fingerprint(/** @type {Entry} */ (item.entry)));
    if (item && other) item.show('interrupted', find(item.el, '.status').textContent ?? '', `“${displayName(other.name)}” is a different file or has been changed.`);
    else this.add(files);
  }

  /** @param {Item} item */
  #insert(item) {
    this.#items.add(item);
    find(this.root, 'ul').append(item.el);
  }

  /** @param {Item} item */
  #remove(item) {
    const hadFocus = this.root.activeElement && item.el.contains(this.root.activeElement);
    item.ending.abort();
    this.#items.delete(item);
    item.el.remove();
    if (hadFocus) this.input.focus();
    this.#startNext();
  }

  /** @param {Item} item */
  async #cancel(item) {
    const sent = item.job?.sent ?? item.entry?.sent ?? 0;
    if (sent >= MUCH && !globalThis.confirm(`Cancel the upload of ${item.name}? ${bytes(sent)} have been sent and will be deleted.`)) return;
    this.#remove(item);
    this.announce(`${item.name}: cancelled`);
    if (item.job) await item.job.cancel();
    else if (item.entry) await discard(item.entry, this.#server).catch((error) => this.#emit('error', error));
  }

  #startNext() {
    const busy = [...this.#items].filter(({ state }) => ['sending', 'waiting', 'pausing', 'finishing'].includes(state));
    const queued = [...this.#items].filter(({ state }) => state === 'queued');
    for (const item of queued.slice(0, Math.max(0, MAX_UPLOADS - busy.length))) this.#upload(item);
  }

  /** @param {Item} item */
  async #upload(item) {
    const { job, ending: { signal } } = item;
    if (!job) return;
    item.show('sending', 'Starting');
    const server = this.#server;
    try {
      const { videoId } = await job.start();
      item.bar.value = 1;
      item.show('processing', 'Processing');
      this.#startNext();
      const onChange = (/** @type {Video} */ video) => {
        item.show('processing', 'Processing');
        this.#emit('change', video);
      };
      const onRetry = () => item.show('processing', 'Waiting for the server');
      this.#emit('stored', { videoId });
      const followed = await follow(videoId, { ...server, renditions: this.hasAttribute('renditions'), onChange, onRetry, signal });
      const video = followed.url || followed.status === 'FAILED' ? followed : await get(videoId, { ...server, signal });
      if (video.status === 'FAILED') item.show('refused', 'Failed', video.error?.message ?? 'The video could not be processed.');
      else item.show('done', 'Ready');
      this.#emit('video', video);
    } catch (error) {
      if (job.state === 'cancelled' || signal.aborted) return;
      item.show(error.final ? 'refused' : 'failed', 'Not uploaded', error.message);
      this.#emit('error', error);
    }
    this.#startNext();
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

globalThis.customElements?.define('upreel-uploader', UpreelUploader);
