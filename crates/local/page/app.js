import { Storyboard } from './storyboard.js';

// Files up to this size go through the API in one request; the rest go straight to storage.
// The API takes 4.4 MiB, multipart framing included.
const FORM_LIMIT = 4 * 1024 * 1024;
const PARALLEL = 3;
const PAGE = 24;
const POLL_FIRST = 500;
const POLL_SLOWEST = 3000;
// Browsers differ in the type they give some containers, or give none.
const TYPES = {
  avi: 'video/x-msvideo', m4v: 'video/mp4', mkv: 'video/x-matroska', mov: 'video/quicktime',
  mp4: 'video/mp4', mpg: 'video/mpeg', ogv: 'video/ogg', ts: 'video/mp2t', webm: 'video/webm',
};
const CODECS = { h264: 'H.264', avc1: 'H.264', h265: 'HEVC', hvc1: 'HEVC', vorbis: 'Vorbis', opus: 'Opus' };

const $ = (selector, root = document) => root.querySelector(selector);
const grid = $('#grid');
const notice = $('#notice');
const more = $('#more');
const live = $('#live');
const cards = new Map(); // by element
const byId = new Map(); // by videoId
const queue = [];
let running = 0;
let cursor;

const path = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => { live.textContent = text; };
const settled = (video) => video?.status === 'PROCESSED' || video?.status === 'FAILED';

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener('visibilitychange', done, { once: true })).then(visible);
}

/* Words for people */

// Characters that turn the writing direction can make "fdp.mp4" read as a PDF.
const plain = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '') || 'Unnamed file';

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** step;
  return `${step && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

function clock(ms) {
  const s = Math.round(ms / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const rest = `${Math.floor(s / 60) % 60}:${two(s % 60)}`;
  return s < 3600 ? rest : `${Math.floor(s / 3600)}:${rest.padStart(5, '0')}`;
}

// A BlurHash begins with two digits of shape; the next four (base 83) are the average colour.
function average(hash) {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';
  const colour = [...(hash ?? '').slice(2, 6)].reduce((sum, digit) => sum * 83 + digits.indexOf(digit), 0);
  return hash ? `#${colour.toString(16).padStart(6, '0')}` : '';
}

function left(s) {
  if (s < 1) return 'almost done';
  if (s < 60) return `${Math.round(s)} s left`;
  return s < 3600 ? `${Math.round(s / 60)} min left` : `${(s / 3600).toFixed(1)} h left`;
}

const codec = (name) => CODECS[name.toLowerCase()] ?? name.toUpperCase();

function facts(video) {
  const codecs = [video.videoCodec, video.audioCodec].filter(Boolean).map(codec).join(' + ');
  return [
    video.durationMs != null && clock(video.durationMs),
    video.width && video.height && `${video.width}×${video.height}`,
    codecs,
    video.frameRate && `${+Number(video.frameRate).toFixed(2)} fps`,
    video.size != null && bytes(video.size),
  ].filter(Boolean);
}

function reason(status, body) {
  try {
    const { detail } = JSON.parse(body);
    if (detail) return detail;
  } catch { /* storage answers in XML, a proxy in HTML: the status has to do */ }
  return {
    0: 'The server cannot be reached. Check that it is still running.',
    403: 'The upload link was refused. It may have expired: try again.',
    404: 'This video no longer exists.',
    413: 'The file is larger than the server accepts.',
    415: 'This is not a kind of video the server accepts.',
    429: 'Too many requests at once. Wait a moment and try again.',
  }[status] ?? `The server answered with error ${status}. Try again in a moment.`;
}

async function call(url, options) {
  let reply;
  try {
    reply = await fetch(url, { cache: 'no-store', ...options });
  } catch (cause) {
    throw cause.name === 'AbortError' ? cause : Object.assign(new Error(reason(0)), { status: 0 });
  }
  if (reply.ok || reply.status === 304) return reply;
  throw Object.assign(new Error(reason(reply.status, await reply.text())), { status: reply.status });
}

/* One card: a file on its way up, then the video it became */

class Card {
  constructor(name) {
    this.el = $('#card').content.firstElementChild.cloneNode(true);
    this.name = plain(name ?? '');
    cards.set(this.el, this);
    const title = $('h3', this.el);
    title.textContent = title.title = this.name;
    $('.bar', this.el).setAttribute('aria-label', `Upload of ${this.name}`);
    const img = $('img', this.el);
    img.alt = `Poster of ${this.name}`;
    this.storyboard = new Storyboard($('.scrub', this.el), this.name, clock, () => this.renew());
    for (const [button, act] of Object.entries({
      '.cancel': () => { this.abort.abort(); },
      '.retry': () => enqueue(this),
      '.dismiss': () => this.remove(),
      '.delete': () => this.delete(),
    })) {
      const el = $(button, this.el);
      el.addEventListener('click', act);
      el.setAttribute('aria-label', `${el.textContent} ${this.name}`);
    }
    img.addEventListener('error', () => this.renewPoster());
    img.addEventListener('load', () => { img.style.backgroundColor = ''; });
  }

  get busy() { return ['waiting', 'uploading', 'finishing'].includes(this.state); }

  set(state, stage, factList, trouble = '') {
    // A button about to vanish would drop the keyboard user back at the top of the page.
    const held = this.el.contains(document.activeElement) && document.activeElement;
    this.state = this.el.dataset.state = state;
    $('.stage', this.el).textContent = stage;
    $('.facts', this.el).replaceChildren(...factList.map((fact) => {
      const span = document.createElement('span');
      span.textContent = fact;
      return span;
    }));
    this.trouble(trouble);
    if (held && !held.checkVisibility()) $('h3', this.el).focus();
  }

  trouble(words) {
    $('.trouble', this.el).textContent = words;
    $('.trouble', this.el).hidden = !words;
  }

  adopt(videoId) {
    const twin = byId.get(videoId);
    // The list may have been read between the server storing the video and our hearing of it.
    if (twin && twin !== this) twin.remove();
    byId.set(videoId, this);
    this.videoId = videoId;
    $('.json', this.el).href = path(videoId);
    $('.json', this.el).setAttribute('aria-label', `JSON of ${this.name}`);
  }

  progress(loaded, total, rate) {
    const percent = total ? Math.floor((loaded / total) * 100) : 100;
    const bar = $('.bar', this.el);
    const words = [`${bytes(loaded)} of ${bytes(total)}`];
    if (rate > 0) words.push(`${bytes(rate)}/s`, left((total - loaded) / rate));
    bar.setAttribute('aria-valuenow', percent);
    bar.setAttribute('aria-valuetext', `${percent}%, ${words.join(', ')}`);
    bar.firstElementChild.style.width = `${percent}%`;
    this.set(loaded < total ? 'uploading' : 'finishing', loaded < total ? `${percent}%` : 'Finishing…', words);
  }

  show(video) {
    const before = this.video?.status;
    this.video = video;
    const time = $('time', this.el);
    const when = new Date(video.uploadTime);
    if (!Number.isNaN(+when)) {
      time.dateTime = video.uploadTime;
      time.title = when.toLocaleString();
      const year = when.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' };
      time.textContent = when.toLocaleString(undefined, { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', ...year });
    }
    // Until storage has told the API of a file this page has sent, its record still says PENDING.
    const status = video.status === 'PENDING' && this.file ? 'UPLOADED' : video.status;
    const known = facts(video);
    if (status === 'PROCESSED') this.set('done', video.thumbnailUrl ? '' : 'No poster', known);
    else if (status === 'FAILED') this.set('failed', 'Failed', known, video.error?.message || 'This video could not be processed.');
    else if (status === 'PENDING') this.set('pending', 'Not uploaded yet', known);
    else this.set('processing', status === 'PROCESSING' ? 'Processing…' : 'Uploaded, waiting…', known);
    this.poster(video);
    this.storyboard.show(video);
    if (before !== video.status && (before || this.file)) {
      const news = { UPLOADED: 'is uploaded.', PROCESSING: 'is being processed.', PROCESSED: 'is processed.', FAILED: 'failed.' };
      say(`${this.name} ${news[status]} ${$('.trouble', this.el).textContent}`);
    }
    // A file that has not come within the hour was given up elsewhere.
    if (status !== 'PENDING' || Date.now() - when < 3600e3) this.poll();
  }

  poster({ thumbnailUrl: url, thumbnailLargeUrl: large, blurHash }) {
    const img = $('img', this.el);
    if (!url) { img.hidden = true; return; }
    // Only the signature differs from one reading to the next: the picture need not load again.
    if (img.hidden || img.src.split('?')[0] !== url.split('?')[0]) {
      img.style.backgroundColor = average(blurHash);
      img.srcset = large ? `${url} 640w, ${large} 1280w` : '';
      img.src = url;
    }
    img.hidden = false;
  }

  async renewPoster() {
    $('img', this.el).hidden = true;
    $('.stage', this.el).textContent = 'No poster';
    // A signed address expires while the page stays open; a second failure is not about that.
    if (this.renewed) return;
    this.renewed = true;
    try {
      this.show(await this.renew());
    } catch { /* the card already says what is missing */ }
  }

  // The same video, with addresses signed anew.
  async renew() { return (await call(path(this.videoId))).json(); }

  async poll() {
    if (this.polling) return;
    this.polling = true;
    let wait = POLL_FIRST;
    let etag;
    while (this.el.isConnected && !settled(this.video)) {
      await sleep(wait);
      await visible();
      if (!this.el.isConnected) break;
      wait = Math.min(wait * 1.5, POLL_SLOWEST);
      try {
        const headers = etag ? { 'If-None-Match': etag } : {};
        const reply = await call(path(this.videoId), { headers });
        if (reply.status === 304) {
          if (!$('.trouble', this.el).hidden) this.show(this.video);
          continue;
        }
        etag = reply.headers.get('ETag');
        this.show(await reply.json());
      } catch (error) {
        if (error.status === 404) { this.remove(); break; }
        this.set(this.state, 'Waiting for the server…', facts(this.video), `${error.message} Still asking.`);
      }
    }
    this.polling = false;
  }

  async delete() {
    const dialog = $('#confirm');
    $('bdi', dialog).textContent = this.name;
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener('close', done, { once: true }));
    if (dialog.returnValue !== 'delete') return;
    try {
      await call(path(this.videoId), { method: 'DELETE' });
    } catch (error) {
      if (error.status !== 404) {
        this.trouble(`Not deleted. ${error.message}`);
        say(`${this.name} was not deleted. ${error.message}`);
        return;
      }
    }
    this.remove();
    say(`${this.name} is deleted.`);
  }

  remove() {
    const near = this.el.nextElementSibling ?? this.el.previousElementSibling;
    const held = this.el.contains(document.activeElement);
    this.el.remove();
    cards.delete(this.el);
    if (byId.get(this.videoId) === this) byId.delete(this.videoId);
    if (held) (near ? $('h3', near) : $('#videos-title')).focus();
  }
}

/* Uploading */

function add(files) {
  for (const file of [...files].reverse()) {
    const card = new Card(file.name);
    const type = TYPES[file.name.split('.').pop().toLowerCase()] || file.type || 'application/octet-stream';
    card.file = file.type === type ? file : new File([file], file.name, { type });
    grid.prepend(card.el);
    // Prepended last to first, so the one chosen first is both on top and first in the queue.
    enqueue(card, true);
  }
}

function enqueue(card, first = false) {
  card.abort = new AbortController();
  card.abort.signal.addEventListener('abort', () => {
    say(`${card.name} is cancelled.`);
    card.remove();
  });
  card.set('waiting', 'Waiting', [bytes(card.file.size)]);
  if (first) queue.unshift(card); else queue.push(card);
  // Once the whole choice is queued, not in the middle of it.
  queueMicrotask(work);
}

function work() {
  while (running < PARALLEL && queue.length) {
    const card = queue.shift();
    if (card.abort.signal.aborted) continue;
    running += 1;
    upload(card).finally(() => { running -= 1; work(); });
  }
}

async function upload(card) {
  const { file, abort: { signal } } = card;
  let slot;
  say(`${card.name} is uploading.`);
  card.progress(0, file.size);
  try {
    if (file.size <= FORM_LIMIT) {
      const form = new FormData();
      form.append('file', file);
      card.adopt(JSON.parse(await send(card, 'POST', '/upload', {}, form)).videoId);
    } else {
      const query = new URLSearchParams({ name: file.name, type: file.type, size: file.size });
      slot = await (await call(`/presign?${query}`, { signal })).json();
      card.adopt(slot.videoId);
      await send(card, slot.method, slot.uploadUrl, slot.headers, file);
    }
    card.show({ size: file.size, status: 'UPLOADED', uploadTime: new Date().toISOString() });
  } catch (error) {
    // The record made for an upload that never came would sit in the list for ever.
    if (slot) {
      byId.delete(slot.videoId);
      call(path(slot.videoId), { method: 'DELETE' }).catch(() => {});
    }
    if (signal.aborted) return;
    card.set('broken', 'Not uploaded', [bytes(file.size)], error.message);
    say(`${card.name} was not uploaded. ${error.message}`);
  }
}

// XHR, because fetch cannot tell how much of a body has been sent.
function send(card, method, url, headers, body) {
  return new Promise((done, fail) => {
    const xhr = new XMLHttpRequest();
    const size = card.file.size;
    const samples = [];
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => {
      // A form is a little larger than the file in it; people know the size of the file.
      const loaded = Math.round(size * (event.total ? event.loaded / event.total : 0));
      samples.push({ at: event.timeStamp, loaded });
      // The speed of the last few seconds says more about what is left than the average does.
      while (samples.length > 2 && event.timeStamp - samples[0].at > 4000) samples.shift();
      const span = (event.timeStamp - samples[0].at) / 1000;
      card.progress(loaded, size, span > 0.4 ? (loaded - samples[0].loaded) / span : 0);
    };
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) done(xhr.responseText);
      else fail(new Error(reason(xhr.status, xhr.responseText)));
    };
    // XHR gives one error for a lost connection and for a file that cannot be read; a read tells them apart.
    xhr.onerror = () => card.file.slice(0, 1).arrayBuffer().then(
      () => fail(new Error(reason(0))),
      () => fail(new Error('This file cannot be read. It may have been moved, or be a folder.')),
    );
    xhr.onabort = () => fail(new Error('Cancelled'));
    card.abort.signal.addEventListener('abort', () => xhr.abort());
    xhr.send(body);
  });
}

/* The list */

// New videos take their place by time; uploads of this page keep theirs on top.
function place(video) {
  const known = byId.get(video.videoId);
  if (known) {
    if (!known.busy) known.show(video);
    return known;
  }
  const card = new Card(video.filename);
  card.adopt(video.videoId);
  const older = [...grid.children].find((el) => {
    const other = cards.get(el).video;
    return other && Date.parse(other.uploadTime) < Date.parse(video.uploadTime);
  });
  grid.insertBefore(card.el, older ?? null);
  card.show(video);
  return card;
}

async function list(from) {
  const query = new URLSearchParams({ limit: PAGE });
  if (from) query.set('cursor', from);
  try {
    const page = await (await call(`/videos?${query}`)).json();
    const placed = page.videos.map(place);
    // A fresh look at the newest must not forget how far down the list has been read.
    if (from || grid.ariaBusy === 'true') cursor = page.cursor;
    notice.hidden = true;
    grid.ariaBusy = 'false';
    const held = document.activeElement === more;
    more.hidden = !cursor;
    if (from) say(`${placed.length} more videos.`);
    if (held && more.hidden && placed.length) $('h3', placed[0].el).focus();
  } catch (error) {
    $('p', notice).textContent = `The list could not be read. ${error.message}`;
    notice.hidden = false;
  }
}

more.addEventListener('click', async () => {
  if (more.ariaDisabled === 'true') return;
  more.ariaDisabled = 'true';
  await list(cursor);
  more.ariaDisabled = 'false';
});
$('button', notice).addEventListener('click', () => list());
// Someone who has just uploaded with curl comes back to this window to see it.
window.addEventListener('focus', () => list());

/* Choosing and dropping */

$('#file').addEventListener('change', (event) => {
  add(event.target.files);
  // Choosing the same file again has to count as a change.
  event.target.value = '';
});

const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
let depth = 0; // dragenter and dragleave come for every element passed over
const drag = (step) => {
  depth = step ? Math.max(0, depth + step) : 0;
  document.body.classList.toggle('dragging', depth > 0);
};
document.addEventListener('dragenter', (event) => { if (carriesFiles(event)) drag(1); });
document.addEventListener('dragleave', (event) => { if (carriesFiles(event)) drag(-1); });
document.addEventListener('dragover', (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener('drop', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  drag(0);
  add(event.dataTransfer.files);
});

window.addEventListener('beforeunload', (event) => {
  if ([...cards.values()].some((card) => card.busy)) event.preventDefault();
});

/* curl */

for (const figure of document.querySelectorAll('figure')) {
  const code = $('code', figure);
  const button = $('.copy', figure);
  code.textContent = code.textContent.replaceAll('http://127.0.0.1:3000', location.origin);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
      say('Copied.');
    } catch {
      // No clipboard outside localhost or HTTPS: leave the text selected for the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
      say('Selected. Press Ctrl+C or Command+C to copy.');
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

list();
